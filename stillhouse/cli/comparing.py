"""`stillhouse compare`: candidate teachers side by side, in the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from stillhouse.config.project import Project

if TYPE_CHECKING:
    from stillhouse.selection.rows import Candidate


def compare_candidates(project: Project, versions: list[str]) -> None:
    """Make `teacher_comparison` where anything changed, and print its table; of some `versions`,
    if any are named. Raises `UserError` for one that is none, before anything runs."""
    from stillhouse.cli import printing, runs
    from stillhouse.instance import close_dead_runs, open_instance
    from stillhouse.selection.candidates import NAME
    from stillhouse.selection.rows import read_candidates
    from stillhouse.storage.layout import Layout

    for version in versions:
        project.teacher(version)
    layout = Layout(project.data_path)
    with open_instance(project) as instance:
        defs = runs.load_definitions(project)
        close_dead_runs(instance, layout)
        outcome = runs.run_job(defs, instance, layout, "compare")
    if not outcome.success:
        printing.print_failures(outcome)
        raise typer.Exit(1)
    print_candidates(
        [c for c in read_candidates(layout.table(NAME)) if not versions or c.version in versions]
    )


def print_candidates(found: Sequence[Candidate]) -> None:
    """The table, and why some were not asked."""
    from rich.console import Console
    from rich.table import Table

    from stillhouse.selection.candidates import MOST_PAIRS
    from stillhouse.selection.shown import HEADER, reasons_of, rows_of
    from stillhouse.wording import plain

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in HEADER:
        table.add_column(column, overflow="fold")  # a narrow terminal hides nothing
    for row in rows_of(found):
        table.add_row(*map(plain, row))
    console = Console(highlight=False, markup=False)
    console.print(table)
    for version, reason in reasons_of(found):
        console.print(f"{plain(version)} was not asked: {plain(reason)}")
    console.print(
        f"Licence first, then score (to a hundredth), size, languages; on at most {MOST_PAIRS} "
        "validation pairs a task, as the teachers came. Adapted, each does better."
    )
