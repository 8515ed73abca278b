"""What the command line prints: a run's outcome, staleness, teachers. At most 80 columns wide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stillhouse.config.project import Project
from stillhouse.moved import in_full
from stillhouse.outside import open_state
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.caches import sizes
from stillhouse.storage.files import read_json
from stillhouse.wording import plain, visible

if TYPE_CHECKING:
    from stillhouse.cli.runs import Outcome

WIDTH = 80
OF_EVERY_ASSET = ": up_to_date"


def print_header(project: Project, versions: Sequence[str]) -> None:
    """Project, teachers, and where the results go."""
    for line in _wrapped(f"{project.name}: distilling from {', '.join(versions)}"):
        typer.secho(line, bold=True)
    typer.echo(f"  project  {shown(project.file)}")
    typer.echo(f"  results  {shown(project.data_path)}\n")


def print_run(project: Project, version: str, outcome: Outcome, *, finished: bool) -> None:
    """Seconds by asset and the outcome of checks; for a whole run also each student's table."""
    from stillhouse.report.assemble import EVALUATION, PAGE
    from stillhouse.report.findings import gates, headlines
    from stillhouse.report.summary import table_markdown
    from stillhouse.report.verdict import verdict

    state = open_state(project)
    typer.echo("\nSeconds by asset:")
    for name, seconds in outcome.seconds.items():
        typer.echo(f"  {name:<44} {seconds:7.1f}")
    typer.echo(f"  {'total':<44} {sum(outcome.seconds.values()):7.1f}")
    _print_checks(outcome)
    _print_quarantine(state)
    if not finished:
        return
    for student in project.students:
        folder = state.folder(Artefact(STEPS["evaluation_report"], version, student.name))
        typer.echo(f"\n{student.name}, taught by {version}:\n")
        evaluation = read_json(folder / EVALUATION)
        _, concluded = verdict(gates(evaluation))
        for sentence in (f"{concluded}.", *headlines(evaluation)):
            for line in _wrapped(sentence):
                typer.echo(line)
        typer.echo(f"\n{table_markdown(evaluation)}")
        typer.echo(f"\nReport: {shown(folder / PAGE)}")


def _print_checks(outcome: Outcome) -> None:
    typer.echo("\nChecks:")
    for name, found in outcome.checks.items():
        if name.endswith(OF_EVERY_ASSET):
            continue
        told = found.passed and not found.unproven
        mark = "passed" if told else "unsure" if found.unproven else "MISSED"
        colour = typer.colors.GREEN if told else typer.colors.YELLOW
        typer.secho(_cut(f"  {mark}  {name}"), fg=colour)
        if not told:
            _print_indented(found.said)
            _print_indented(found.figures)


def _print_indented(text: str) -> None:
    for line in _wrapped(visible(text), WIDTH - 10) if text else []:
        typer.echo(f"          {line}")


def _print_quarantine(state: State) -> None:
    from stillhouse.errors import UserError

    try:
        facts = state.facts_of("parsed_documents")
    except UserError:
        return
    if facts.quarantined:
        found = ", ".join(f"{n} {kind}" for kind, n in facts.quarantined_by_category.items())
        where = shown(state.layout.quarantine("parsed_documents"))
        typer.echo(_cut(f"\nQuarantined: {facts.quarantined} ({found}); reasons and remedies in"))
        typer.echo(f"  {where}")


def print_failures(outcome: Outcome) -> None:
    """What failed and why; of missed checks also the figures that they missed by."""
    for step, reason in outcome.failures.items():
        typer.secho(visible(f"\n{step} failed:\n  {reason}"), fg=typer.colors.RED, err=True)
    for name, found in outcome.checks.items():
        if not found.passed and not name.endswith(OF_EVERY_ASSET):
            texts = [visible(text) for text in (found.said, found.figures) if text]
            if texts:
                said = "\n  ".join(line for text in texts for line in _wrapped(text))
                typer.secho(f"\n{name}:\n  {said}", fg=typer.colors.RED, err=True)


def print_status(project: Project, versions: list[str] | None) -> int:
    """A line an artefact: up to date, not made yet, or stale with the reason; then the caches.

    Returns the exit code of `--check`: 0 when all is up to date, 3 when something is stale, 4 when
    something was not made yet.
    """
    state = open_state(project)
    codes = {0}
    for artefact, reason in state.statuses(versions).items():
        if reason is None:
            text, colour = "up to date", typer.colors.GREEN
        elif state.record(artefact) is None:
            text, colour = "not made yet", typer.colors.BLUE
            codes.add(4)
        else:
            text, colour = "stale", typer.colors.YELLOW
            codes.add(3)
        typer.secho(f"{_cut(str(artefact), 66):<66} {text:>12}", fg=colour)
        if text == "stale":
            for line in _wrapped(str(in_full(state, artefact, reason))):
                typer.echo(f"    {line}")
    print_caches(state)
    return max(codes)


def print_caches(state: State) -> None:
    """What can be made again takes this much: it may be removed at any time."""
    found = sizes(state.layout.cache(""))
    if found:
        typer.echo("\nCaches (may be removed at any time):")
    for name, size in found.items():
        typer.echo(f"  {name:<20} {size / 1e6:10.1f} MB")


def print_files(project: Project, student: str, version: str) -> None:
    """The files that a student learned from, with the number of pairs of each."""
    from stillhouse.dataset.lineage import files_of

    state = open_state(project)
    artefact = Artefact(STEPS["checkpoint"], version, student)
    state.facts(artefact)  # tells when it was not made yet
    for row in files_of(state.folder(artefact), state.layout):
        # Whoever named the file is not trusted with the terminal.
        name = plain(str(row["path"] or f"(gone since) {row['file_id']}"))
        typer.echo(f"{row['pairs']:>6} pairs  {row['source']}: {name}")


def shown(path: Path) -> Path:
    """Relative to the working folder where it lies below it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _cut(text: str, width: int = WIDTH) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _wrapped(text: str, width: int = WIDTH - 4) -> list[str]:
    import textwrap

    return textwrap.wrap(text, width) or [text]
