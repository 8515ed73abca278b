"""`stillhouse doctor --teacher V --student S`: memory, disk and time, and what to change."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from stillhouse.config.project import Project
from stillhouse.wording import human_bytes

if TYPE_CHECKING:
    from rich.table import Table

    from stillhouse.selection.machine import Machine
    from stillhouse.selection.memory import Need
    from stillhouse.selection.plan import Plan
    from stillhouse.selection.probe import Estimate


def print_sizes(
    project: Project, teacher: str | None, student: str | None, gpu: float | None, *, probe: bool
) -> bool:
    """Tables of what is needed; True where all that this house does fits. A teacher or student
    that is left out is the last or the first of the file."""
    from stillhouse.selection.machine import this_machine
    from stillhouse.selection.plan import needs, plan_of
    from stillhouse.selection.remedies import remedies

    version = teacher or project.teachers[-1].version
    plan = plan_of(project, version, student or project.students[0].name)
    machine = this_machine(gpu)
    found = needs(plan, machine)
    room = machine.memory - machine.taken
    _say(_heading(plan, machine))
    _say(_memory(found, room))
    fits = True
    for need in found:
        wanted = need.house and (plan.adapted or not need.purpose.startswith("training, LoRA"))
        if need.size > room and wanted:
            fits = False
            typer.secho(f"\n{need.purpose} does not fit. What would:", fg=typer.colors.YELLOW)
            for line in remedies(plan, machine, need):
                typer.echo(f"  {line}")
    _print_disk(plan, machine)
    if not probe or gpu is not None:
        return fits
    if plan.texts is None:
        typer.echo(
            "\nTime: not measured, as there is no dataset or the teacher is not imported yet; "
            "`stillhouse run --until teacher_model` brings both."
        )
    elif not fits:
        typer.echo("\nTime: not measured, as the work does not fit.")
    else:
        _print_times(plan)
    return fits


def _say(what: Table | str) -> None:
    from rich.console import Console

    Console(highlight=False, markup=False).print(what)


def _heading(plan: Plan, machine: Machine) -> str:
    from stillhouse.wording import human_count

    texts = plan.texts
    longest = "of the project's own texts" if texts else "of texts as long as they may be"
    return (
        f"{plan.student.name} ({human_count(plan.cut.parameters)} weights) from "
        f"{plan.teacher.version} ({human_count(plan.shape.parameters)}): memory of the largest "
        f"batch {longest}, beside {human_bytes(machine.taken)} that libraries take. "
        f"There are {human_bytes(machine.memory)} ({machine.name})."
    )


def _memory(found: Sequence[Need], room: int) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("What", "Formula", "Bytes"):
        table.add_column(column, justify="right" if column == "Bytes" else "left")
    for need in found:
        verdict = "fits" if need.size <= room else "DOES NOT FIT"
        grounds = need.grounds if need.house else f"{need.grounds}; not in this house"
        table.add_row(f"{need.purpose} ({grounds})", verdict, human_bytes(need.size), style="bold")
        for term in need.terms:
            kept = " (need not fit)" if term.mapped else ""
            table.add_row(f"  {term.name}{kept}", term.formula, human_bytes(term.size))
    return table


def _print_disk(plan: Plan, machine: Machine) -> None:
    from rich.table import Table

    from stillhouse.selection.disk import rooms

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Disk", "Formula", "Bytes"):
        table.add_column(column, justify="right" if column == "Bytes" else "left")
    found = rooms(plan, machine.compute)
    for part in found:
        passing = " (for a while)" if part.passing else ""
        table.add_row(f"{part.name}{passing}", part.formula, human_bytes(part.size))
    folder = plan.project.data_path
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    table.add_row(
        "all of it", f"{human_bytes(free)} are free", human_bytes(sum(p.size for p in found))
    )
    typer.echo("")
    _say(table)
    if plan.texts is None:
        typer.echo("Soft labels and caches: known once there is a dataset.")


def _print_times(plan: Plan) -> None:
    from rich.table import Table

    from stillhouse.models.loading import pick_device, pick_dtype
    from stillhouse.selection.probe import estimates

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in (
        "Time, an estimate",
        "Tokens",
        "Tokens a second",
        "Minutes (at least - at most)",
    ):
        table.add_column(column, justify="left" if not table.columns else "right")
    for step in estimates(plan, pick_dtype(pick_device())):
        table.add_row(step.name, f"{step.tokens:,}", f"{step.rate.middle:,.0f}", _minutes(step))
    typer.echo("")
    _say(table)
    typer.echo(
        "From a probe of seconds with the teacher's own weights and texts. Loading, validation, "
        "quantization and the report come on top."
    )


def _minutes(step: Estimate) -> str:
    about, least, most = (seconds / 60 for seconds in step.rate.seconds(step.tokens))
    return f"{about:.1f} ({least:.1f} - {most:.1f})"
