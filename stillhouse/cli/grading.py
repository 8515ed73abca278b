"""`stillhouse review --outputs`: what people are to grade, and what they said so far."""

from __future__ import annotations

import typer

from stillhouse.cli.printing import shown
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.metrics.spans import Estimate
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain

SEED = 7


def grade_outputs(project: Project, student: str, version: str, texts: int) -> None:
    """Write the page with outputs of the quantized student and of its teacher, and print what was
    said of them. Raises `UserError` where the student was not measured yet."""
    from stillhouse.dataset.review.filled_in import read_reviews
    from stillhouse.dataset.review.page import render_page
    from stillhouse.dataset.review.sample import classes_of
    from stillhouse.evaluate.graded import OUTPUT, PAGE, SPLIT, TEACHER, graded, outputs
    from stillhouse.storage.files import write_text
    from stillhouse.storage.snapshots import current_snapshot

    layout = Layout(project.data_path)
    tasks = [project.task(name) for name in project.student(student).tasks]
    stores = {
        "student_quantized": layout.student_predictions(student, version),
        TEACHER: layout.teacher_predictions(version),
    }
    snapshot = current_snapshot(layout)
    if snapshot is None:
        raise UserError("dataset_splits was not made yet", remedy="`stillhouse run` makes it.")
    found = outputs(
        snapshot.path,
        tasks,
        {model: folder / f"{model}.{SPLIT}.parquet" for model, folder in stores.items()},
        texts,
        SEED,
    )
    page = layout.student(student, version) / PAGE
    where = (project.data_dir / layout.reviews.relative_to(layout.root)).as_posix()
    rows = [one.shown() for one in found]
    classes = classes_of(snapshot.path)
    write_text(page, render_page(project.name, OUTPUT, rows, tasks, classes, where))
    typer.secho(f"Open {shown(page)} in a browser to grade {len(found)} outputs.", bold=True)
    typer.echo(f"They don't tell whose they are. Put the saved CSVs into {shown(layout.reviews)}.")
    for one in graded(found, read_reviews(layout.reviews)[0]):
        typer.echo(f"\n{plain(one.task)}: {one.judged} outputs judged, by {one.reviewers} people")
        for model, share in one.accepted.items():
            typer.echo(f"  accepted of {model}: {_said(share)}")
        liked = one.preferred
        typer.echo(
            f"  only the student's accepted: {liked.wins}, only the teacher's: {liked.losses}, "
            f"both or neither: {liked.ties}"
            + (f"; preferred {_said(liked.rate)}, p = {liked.p_value:.2g}" if liked.rate else "")
        )
        typer.echo(f"  people agree (alpha, {one.read_twice} read twice): {_said(one.alpha)}")
        typer.echo(f"  they agree with the automatic metric (kappa): {_said(one.kappa)}")


def _said(found: Estimate | None) -> str:
    if found is None:
        return "can't be told yet"
    return f"{found.value:.3f} ({found.low:.2f} to {found.high:.2f})"
