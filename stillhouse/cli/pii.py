"""`stillhouse pii`: who hides behind a pseudonym, and who asked for it."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import load_project
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain

app = typer.Typer(help="What stands for personal data.", no_args_is_help=True)


@app.command()
def reveal(
    pseudonym: Annotated[str, typer.Argument(help="As it stands in a text: Person-kuvora.")],
    reason: Annotated[
        str, typer.Option(help="What it is needed for; logged. Name nobody, as the log is plain.")
    ],
    project: ProjectOption = None,
) -> None:
    """Print the originals behind a pseudonym, a surrogate or a hash; who asked is logged first."""
    from stillhouse.corpus.pii.reveal import reveal

    layout = Layout(load_project(project).data_path)
    for entry in reveal(layout, pseudonym, reason):
        # Whoever wrote the document is not trusted with the terminal.
        typer.echo(f"{entry.kind}  {plain(entry.value)}")


@app.command()
def log(project: ProjectOption = None) -> None:
    """Who asked for which original, when (UTC) and why."""
    from stillhouse.corpus.pii.reveal import asked

    for entry in asked(Layout(load_project(project).data_path)):
        if entry is None:
            typer.echo("(a line that can't be read)")
        else:
            pseudonym = entry.pseudonym or "(not in the vault)"
            parts = (entry.time, entry.user, pseudonym, entry.reason)
            typer.echo("  ".join(plain(str(part)) for part in parts))
