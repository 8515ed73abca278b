"""`stillhouse forget`: what it would forget, or what it did, and who has to learn anew."""

from __future__ import annotations

import typer

from stillhouse.config.project import Project
from stillhouse.erasure.forget import Found, find, forget
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain

LINES_NAMED = 8


def forget_asked(
    project: Project, document: str | None, person: str | None, *, dry_run: bool
) -> None:
    """Forget a document or a person's documents, and print where they stand still."""
    asked = person or document
    if asked is None or (person and document):
        raise UserError(
            "forget: a document or a person is to be named",
            remedy="`stillhouse forget DOC`, or `stillhouse forget --person PSEUDONYM`.",
        )
    layout = Layout(project.data_path)
    found = find(layout, asked, person=person is not None)
    if not dry_run:
        for step in forget(layout, found, asked):
            typer.echo(f"Clearing {step}")
    verb = "would be forgotten" if dry_run else "forgotten"
    what = "document" if found.documents == 1 else "documents"
    typer.echo(f"{found.documents} {what} {verb}.")
    if found.requests:
        typer.echo(f"{len(found.requests)} requests of production {verb}; their logs are yours.")
    _print_files("Still in your files, which are yours to clean:", found.files)
    _print_files("Near-duplicates of them stay, in:", found.alike)
    _print_learned(found)
    if not dry_run:
        typer.echo("`stillhouse run` makes the tables, and all that learned from them, again.")


def _print_files(title: str, files: list[tuple[str, str, list[int]]]) -> None:
    if files:
        typer.echo(title)
    for source, path, lines in files:
        named = ", ".join(str(line) for line in lines[:LINES_NAMED] if line)
        more = f" and {len(lines) - LINES_NAMED} more" if len(lines) > LINES_NAMED else ""
        # Whoever named the file is not trusted with the terminal.
        where = f", line {named}{more}" if named else ""
        typer.echo(f"  {plain(source)}: {plain(path)}{where}")


def _print_learned(found: Found) -> None:
    if not found.learned:
        typer.echo("No student learned from them.")
        return
    typer.echo("Learned from them, and to be distilled again:")
    for learned in found.learned:
        of = f", {learned.alike} of them from near-duplicates that stay" if learned.alike else ""
        typer.echo(f"  {learned}: {learned.pairs} pairs{of}")
    if any(learned.release for learned in found.learned):
        typer.echo("Release the new student, then `stillhouse releases remove` the old ones.")
