"""A sample of a teacher's answers for people to review, and what they decided put in force.

The sample is drawn by how sure the teacher was, beside all else (see dataset/review/). An answer is
known by the pair that was asked and by what was answered: another teacher that says the same is
reviewed already.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

from pathlib import Path

from stillhouse.config.project import Project
from stillhouse.dataset.review.applied import OVERRIDES
from stillhouse.dataset.review.sample import HAS_ANSWER, PAGE, Population, classes_of, review
from stillhouse.dataset.review.strata import ANSWER
from stillhouse.facts import ReviewFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected, one_row
from stillhouse.storage.tables import BATCH_ROWS, table_writer
from stillhouse.teacher.answers import TABLE, answers_schema

# The answers that are kept, under ids of what was asked and answered; as the teacher gave them.
AS_ANSWERED = "as_answered.parquet"
ID = "md5(pair_id || chr(31) || response)"
REJECTED = "rejected in review"


def answers_of(folder: Path, dataset: Path) -> Population:
    """The population of a teacher's answers; corrected ones have a class that can be learned."""
    classes = classes_of(dataset, "split = 'train'")
    return Population(folder / AS_ANSWERED, HAS_ANSWER, classes, ANSWER, "confidence")


def review_answers(project: Project, layout: Layout, folder: Path, dataset: Path) -> ReviewFacts:
    """Draw a sample of the answers in `folder`, write its page there, and change its table
    `answers` as reviews say: rejected answers are not kept, corrected ones have a new answer and
    id; `reviewed` says which."""
    _write(folder / AS_ANSWERED, folder, f"SELECT * REPLACE ({ID} AS pair_id) FROM a WHERE kept")
    if not one_row("SELECT count(*) AS n FROM a", a=folder / AS_ANSWERED)["n"]:
        (folder / PAGE).unlink(missing_ok=True)
        return ReviewFacts()
    _, found = review(project, layout, answers_of(folder, dataset), folder)
    corrects = "coalesce(o.verdict = 'correct', false)"
    _write(
        folder / TABLE,
        folder,
        f"""SELECT a.* REPLACE (
                CASE WHEN {corrects} THEN o.new_id ELSE a.pair_id END AS pair_id,
                CASE WHEN {corrects} THEN o.response ELSE a.response END AS response,
                CASE WHEN {corrects} THEN o.label ELSE a.label END AS label,
                kept AND o.verdict IS DISTINCT FROM 'reject' AS kept,
                CASE WHEN o.verdict = 'reject' THEN '{REJECTED}' ELSE refused END AS refused,
                CASE o.verdict WHEN 'accept' THEN 'accepted' WHEN 'correct' THEN 'corrected'
                    WHEN 'reject' THEN 'rejected' END AS reviewed)
            FROM a LEFT JOIN o ON a.kept AND o.pair_id = md5(a.pair_id || chr(31) || a.response)
            ORDER BY task, pair_id""",
    )
    return found


def _write(path: Path, folder: Path, sql: str) -> None:
    tables = {"a": folder / TABLE, "o": folder / OVERRIDES}
    present = {name: table for name, table in tables.items() if table.exists()}
    with connected(present) as db, table_writer(path, answers_schema()) as write:
        for batch in db.sql(sql).to_arrow_reader(BATCH_ROWS):
            write(batch)
