"""What people are shown of a dataset before anything is trained on it, and what they decided.

The sample is drawn from pairs as they came, before any review counts: a rejected pair stays in it,
else the rate of rejections would mend itself.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.project import Project
from stillhouse.dataset.pairs import pair_id
from stillhouse.dataset.review.applied import OVERRIDES, overrides_schema
from stillhouse.dataset.review.filled_in import (
    ACCEPT,
    CORRECT,
    REJECT,
    Problem,
    Reviewed,
    Settled,
    read_reviews,
    settle,
)
from stillhouse.dataset.review.masked import CorrectionMasker
from stillhouse.dataset.review.page import render_page
from stillhouse.dataset.review.strata import GOLD, STRATA, draw
from stillhouse.facts import ReviewFacts, ReviewSampleFacts
from stillhouse.metrics.agreement import weighted_share
from stillhouse.storage.files import write_text
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import query
from stillhouse.storage.tables import table_digest, write_table
from stillhouse.tasks.kinds import kind_of

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("stillhouse")

HAS_ANSWER = "response IS NOT NULL"
PAGE = "review.html"
MOST_TOLD = 8  # rows of reviews that are of no use


@dataclass(frozen=True)
class Population:
    """What a sample is drawn from: the table `pairs` where the SQL `where` holds, under ids that
    begin with `kind`; `classes` are those of each task that has some, `confidence` the column that
    says how sure the answers are, or NULL."""

    pairs: Path
    where: str
    classes: dict[str, list[str]]
    kind: str = GOLD
    confidence: str = "NULL"


def draw_review_sample(project: Project, layout: Layout) -> ReviewSampleFacts:
    """Draw the gold pairs to be read; write `review_sample`, its page, and the overrides of all
    reviews that lie in the review folder."""
    population = gold_pairs(layout)
    folder = layout.table("review_sample").parent
    sample, found = review(project, layout, population, folder)
    write_table(layout.table("review_sample"), sample)
    return ReviewSampleFacts(
        digest=table_digest(sample, sample.column_names),
        pairs=sample.num_rows,
        strata=_strata(sample),
        **vars(found),
    )


def review(
    project: Project, layout: Layout, population: Population, folder: Path
) -> tuple[pa.Table, ReviewFacts]:
    """A sample of the population and what reviews say of it; writes into `folder` the page
    and the overrides."""
    sample = draw(
        population.pairs,
        project.review.pairs,
        where=population.where,
        confidence=population.confidence,
    )
    rows = sample.to_pylist()
    where = (project.data_dir / layout.reviews.relative_to(layout.root)).as_posix()
    page = render_page(
        project.name, population.kind, rows, project.tasks, population.classes, where
    )
    write_text(folder / PAGE, page)
    settled, problems = settled_reviews(project, layout, population)
    for problem in problems[:MOST_TOLD]:
        logger.warning("Reviews: %s", problem)
    if len(problems) > MOST_TOLD:
        logger.warning("Reviews: and %d more rows are of no use", len(problems) - MOST_TOLD)
    overrides = _overrides(settled, population)
    write_table(folder / OVERRIDES, overrides)
    return sample, _facts(settled, len(problems), overrides, rows)


def settled_reviews(
    project: Project, layout: Layout, population: Population
) -> tuple[Settled, list[Problem]]:
    """What reviewers decided of a population's pairs, and all that can't be used of their files."""
    rows, unread = read_reviews(layout.reviews)
    ids = {row.pair_id.rpartition("-")[2] for row in rows}
    tasks = {task.name: task for task in project.tasks}
    known = {
        row["pair_id"]: Reviewed(row["task"], row["input"], row["response"])
        for row in _these(population, ids, "task, input, response")
        if row["task"] in tasks
    }

    masker = CorrectionMasker(project, layout)

    def corrected(pair: Reviewed, said: str) -> tuple[str, str | None]:
        task, classes = tasks[pair.task], population.classes.get(pair.task, ())
        response, label = kind_of(task).corrected(task, said, classes)
        if label is not None:  # one of a list, not words of the reviewer's own
            return response, label
        return kind_of(task).corrected(task, masker.mask(said, pair.input), classes)

    settled = settle(rows, known, population.kind, corrected)
    return settled, [*unread, *settled.problems]


def gold_pairs(layout: Layout) -> Population:
    pairs = layout.table("instruction_pairs")
    return Population(pairs, HAS_ANSWER, classes_of(pairs))


def classes_of(pairs: Path, where: str = "true") -> dict[str, list[str]]:
    """The labels of each task whose answers have some, sorted; of pairs where the SQL holds."""
    found: dict[str, list[str]] = {}
    sql = f"""SELECT DISTINCT task, label FROM p
              WHERE label IS NOT NULL AND {where} ORDER BY task, label"""
    for row in query(sql, p=pairs).to_pylist():
        found.setdefault(row["task"], []).append(row["label"])
    return found


def _these(population: Population, ids: Iterable[str], columns: str) -> list[dict[str, Any]]:
    import pyarrow as pa

    wanted = pa.table({"pair_id": pa.array(sorted(ids), pa.string())})
    sql = f"""SELECT pair_id, {columns} FROM p JOIN wanted USING (pair_id)
              WHERE {population.where} ORDER BY pair_id"""
    return query(sql, p=population.pairs, wanted=wanted).to_pylist() if wanted.num_rows else []


def _overrides(settled: Settled, population: Population) -> pa.Table:
    import pyarrow as pa

    corrected = [p for p, found in settled.decisions.items() if found.verdict == CORRECT]
    said = {
        row["pair_id"]: (row["task"], row["instruction"], row["input"])
        for row in _these(population, corrected, "task, instruction, input")
    }
    rows = [
        {
            "pair_id": pair,
            "verdict": found.verdict,
            "response": found.response,
            "label": found.label,
            "new_id": pair_id(*said[pair], found.response) if pair in said else pair,
        }
        for pair, found in settled.decisions.items()
    ]
    return pa.Table.from_pylist(rows, schema=overrides_schema())


def _facts(
    settled: Settled, unusable: int, overrides: pa.Table, sample: list[dict[str, Any]]
) -> ReviewFacts:
    """A pair of the sample that was decided stands for others of its stratum: for more of them,
    where fewer were read."""
    decided = [row for row in sample if row["pair_id"] in settled.decisions]
    drawn, read = (Counter(map(_stratum, rows)) for rows in (sample, decided))
    verdicts = [settled.decisions[row["pair_id"]].verdict for row in decided]
    rate = weighted_share(
        [verdict != ACCEPT for verdict in verdicts],
        [r["stands_for"] * drawn[_stratum(r)] / read[_stratum(r)] for r in decided],
    )
    kappa, counts = settled.kappa, Counter(verdicts)
    return ReviewFacts(
        overrides=table_digest(overrides, overrides.column_names),
        decided=len(settled.decisions),
        read=len(decided),
        accepted=counts[ACCEPT],
        rejected=counts[REJECT],
        corrected=counts[CORRECT],
        unread_strata=len(drawn.keys() - read.keys()),
        reject_rate=rate.value if rate else None,
        reject_rate_low=rate.low if rate else None,
        reject_rate_high=rate.high if rate else None,
        reviewers=settled.reviewers,
        contested=sum(found.contested for found in settled.decisions.values()),
        read_twice=settled.read_twice,
        kappa=kappa.value if kappa else None,
        kappa_low=kappa.low if kappa else None,
        kappa_high=kappa.high if kappa else None,
        unusable=unusable,
        unknown=settled.unknown,
    )


def _strata(sample: pa.Table) -> int:
    return len({_stratum(row) for row in sample.to_pylist()})


def _stratum(row: Mapping[str, Any]) -> tuple[str | None, ...]:
    return tuple(row[name] for name in STRATA)
