"""What a person should read: the sample of pairs, and texts in which to mark personal data."""

from __future__ import annotations

import typer

from stillhouse.cli.printing import shown
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain


def print_sample(project: Project) -> None:
    """The pairs of `review_sample`, masked as everything that is learned from; where the page is to
    review them on, and what was reviewed already."""
    from stillhouse.dataset.review.sample import HAS_ANSWER, PAGE, Population, settled_reviews
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
    population = Population(layout.table("instruction_pairs"), HAS_ANSWER)
    settled, problems = settled_reviews(project, layout, population)
    typer.secho(f"\nOpen {shown(table.with_name(PAGE))} in a browser to review them.", bold=True)
    typer.echo(
        f"Save, and put the CSV into {shown(layout.reviews)}: the next run reads it.\n"
        f"Decided so far: {len(settled.decisions)} pairs, by {settled.reviewers} reviewers"
        + (f"; kappa {settled.kappa.value:.2f}" if settled.kappa else "")
        + (f"; {settled.unknown} rows are of no pair of today" if settled.unknown else "")
    )
    for problem in problems:
        typer.secho(plain(str(problem)), fg=typer.colors.YELLOW)


def write_to_mark(project: Project, count: int) -> None:
    """Write texts to mark, and say what to do with them."""
    from stillhouse.corpus.pii_marking import write_texts_to_mark

    path, written = write_texts_to_mark(Layout(project.data_path), count)
    typer.echo(f"Wrote {written} texts to {shown(path)}")
    typer.secho("They are NOT masked; only you may read the file (mode 0600).", bold=True)
    typer.echo(
        'In each line, add to "spans" what was missed, as {"kind": "PERSON", "value": "..."},\n'
        'take out what is not personal, and set "marked" to true. Then name the file:\n'
        "  privacy: {pii_gold: ...}\n"
        "and the next run measures on it how much of it is masked."
    )
