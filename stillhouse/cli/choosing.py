"""`stillhouse doctor` and `compare`: is all here, what a choice takes, which teacher is best."""

from __future__ import annotations

from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import load_project
from stillhouse.wording import visible


def doctor(
    project: ProjectOption = None,
    teacher: Annotated[
        str | None, typer.Option(help="What this teacher version takes; with --student, of whom.")
    ] = None,
    student: Annotated[str | None, typer.Option(help="What this student takes.")] = None,
    gpu_memory: Annotated[
        float | None, typer.Option(min=0.1, help="Ask for a GPU with so many GB, here or not.")
    ] = None,
    probe: Annotated[
        bool, typer.Option("--probe/--no-probe", help="Time a few seconds of the real work.")
    ] = True,
) -> None:
    """Look at machine, models, licences and disk, and say what to mend; or what a choice takes."""
    if teacher or student or gpu_memory:
        from stillhouse.cli.sizing import print_sizes

        fits = print_sizes(load_project(project), teacher, student, gpu_memory, probe=probe)
        raise typer.Exit(0 if fits else 1)
    from stillhouse.cli import doctor as examination

    findings = examination.examine(load_project(project))
    for finding in findings:
        mark, colour = ("ok  ", typer.colors.GREEN) if finding.ok else ("MEND", typer.colors.RED)
        typer.secho(visible(f"{mark}  {finding.subject}: {finding.message}"), fg=colour)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def compare(
    versions: Annotated[
        list[str] | None, typer.Argument(help="Show these teacher versions only.")
    ] = None,
    project: ProjectOption = None,
) -> None:
    """Ask every teacher version, as it came, on the validation split; the best comes first."""
    from stillhouse.cli.comparing import compare_candidates

    compare_candidates(load_project(project), versions or [])
