"""What a person should read: the sample of pairs, and texts in which to mark personal data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from stillhouse.cli.printing import shown
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain

if TYPE_CHECKING:
    from stillhouse.dataset.review.filled_in import Problem
    from stillhouse.dataset.review.sample import Population


def print_sample(project: Project) -> None:
    """The pairs of `review_sample`, masked as everything that is learned from; where the page is to
    review them on, and what was reviewed already."""
    from stillhouse.dataset.review.sample import PAGE, gold_pairs
    from stillhouse.storage.tables import read_table

    layout = Layout(project.data_path)
    table = layout.table("review_sample")
    if not table.exists():
        raise UserError(
            "review_sample was not made yet",
            remedy="run `stillhouse run --until review_sample` first.",
        )
    for row in read_table(table).to_pylist():
        answer = row["label"] if row["label"] is not None else row["answer"]
        typer.secho(
            f"\n{plain(row['task'])}, {plain(row['source'])}: {plain(str(answer))}", bold=True
        )
        typer.echo(plain(row["input"]))
    problems = _print_reviewed(project, table.with_name(PAGE), "them", gold_pairs(layout))
    problems |= _print_answers(project)
    typer.echo(f"Save, and put the CSVs into {shown(layout.reviews)}: the next run reads them.")
    for problem in problems:
        typer.secho(plain(str(problem)), fg=typer.colors.YELLOW)


def _print_answers(project: Project) -> dict[Problem, None]:
    """The same of what each teacher answered."""
    from stillhouse.dataset.review.sample import PAGE
    from stillhouse.storage.snapshots import current_snapshot
    from stillhouse.teacher.reviewed import answers_of

    layout = Layout(project.data_path)
    snapshot = current_snapshot(layout)
    problems: dict[Problem, None] = {}
    if snapshot is None:
        return problems
    for teacher in project.teachers:
        folder = layout.teacher_answers(teacher.version)
        if (folder / PAGE).exists():
            what, population = f"answers of {teacher.version}", answers_of(folder, snapshot.path)
            problems |= _print_reviewed(project, folder / PAGE, what, population)
    return problems


def _print_reviewed(
    project: Project, page: Path, what: str, population: Population
) -> dict[Problem, None]:
    """Where the page is, and what has been decided; returns what is wrong with reviews, in order
    and once."""
    from stillhouse.dataset.review.sample import settled_reviews

    settled, problems = settled_reviews(project, Layout(project.data_path), population)
    typer.secho(f"\nOpen {shown(page)} in a browser to review {what}.", bold=True)
    typer.echo(
        f"Decided so far: {len(settled.decisions)}, by {settled.reviewers} reviewers"
        + (f"; kappa {settled.kappa.value:.2f}" if settled.kappa else "")
        + (f"; {settled.unknown} rows are of no pair of today" if settled.unknown else "")
    )
    return dict.fromkeys(problems)


def write_to_mark(project: Project, count: int) -> None:
    """Write texts to mark, and say what to do with them."""
    from stillhouse.corpus.pii_marking import write_texts_to_mark

    path, written = write_texts_to_mark(
        Layout(project.data_path), count, project.privacy.train_up_to
    )
    typer.echo(f"Wrote {written} texts to {shown(path)}")
    typer.secho("They are NOT masked; only you may read the file (mode 0600).", bold=True)
    typer.echo(
        'In each line, add to "spans" what was missed, as {"kind": "PERSON", "value": "..."},\n'
        'take out what is not personal, and set "marked" to true. Then name the file:\n'
        "  privacy: {pii_gold: ...}\n"
        "and the next run measures on it how much of it is masked."
    )
