"""`stillhouse corpus`: what became of a document."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import load_project
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain

app = typer.Typer(help="What became of documents.", no_args_is_help=True)


@app.callback()
def corpus() -> None:
    """A group, whether it has one command or several."""


@app.command()
def show(
    doc: Annotated[str, typer.Argument(help="A document's `doc_id`, or how it begins.")],
    project: ProjectOption = None,
    removed: Annotated[
        bool, typer.Option("--removed", help="Only what was taken out or mended.")
    ] = False,
) -> None:
    """Print a document, NOT masked, with what cleansing took out of it and why."""
    from stillhouse.corpus.shown import document, marked_lines

    found = document(Layout(load_project(project).data_path), doc)
    typer.secho(f"{found.doc_id}, source {found.source}: {found.status}", bold=True)
    if found.reason:
        typer.echo(f"  left out for: {found.reason}")
    typer.echo(f"  language {found.language or 'unknown'}, quality {found.quality:.2f}")
    counted = ", ".join(f"{count} {reason}" for reason, count in found.counted.items())
    typer.echo(f"  taken out or mended: {counted or 'nothing'}")
    typer.secho("What follows is not masked.\n", fg=typer.colors.YELLOW, err=True)
    # Whoever wrote the document is not trusted with the terminal.
    for part, edit in found.others:
        typer.echo(f"~ {part}: [-{plain(edit.removed)}-]{{+{plain(edit.put)}+}}")
    for reason, line in marked_lines(found):
        if reason:
            typer.secho(f"- {plain(line)}  ({reason})", fg=typer.colors.RED)
        elif not removed or "[-" in line:
            typer.echo(f"  {plain(line)}".rstrip())
