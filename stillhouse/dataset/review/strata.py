"""Which pairs a person is shown: some of every stratum, and always the same ones.

A stratum is what pairs have alike: task, source, label, confidentiality, and for what a teacher
answered how sure it was. Of each the lowest hashes of the pairs' ids are drawn, so that a pair
stays in the sample until others with lower ones arrive, and a smaller sample is a part of a larger:
nobody is shown everything anew.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.storage.query import connected

if TYPE_CHECKING:
    import pyarrow as pa

# Of each stratum at least, as far as it has them: of one pair alone nothing says how they differ.
LEAST = 2
STRATA = ("task", "source", "label", "confidentiality", "confidence")

GOLD, ANSWER = "pair", "answer"
"""What ids of gold pairs, and of a teacher's answers, begin with where people see them: a
spreadsheet would take one of digits alone for a number."""

# Steps by which a teacher's confidence is read.
BANDS = ((0.5, "below 0.5"), (0.7, "0.5 to 0.7"), (0.9, "0.7 to 0.9"))
SUREST = "0.9 and above"


def band(column: str) -> str:
    """SQL for the band of a confidence 0..1; null of null."""
    steps = " ".join(f"WHEN {column} < {bound} THEN '{name}'" for bound, name in BANDS)
    return f"CASE WHEN {column} IS NULL THEN NULL {steps} ELSE '{SUREST}' END"


def draw(pairs: Path, per_task: int, *, where: str, confidence: str = "NULL") -> pa.Table:
    """A sample of the table `pairs` where the SQL `where` holds: of each task about `per_task`,
    shared out among its strata by their size.

    Columns: pair_id, those of `STRATA` (`confidence` is a band), instruction, input, `answer` (the
    response, where no label says it), and `stands_for`: how many pairs of its stratum there are for
    each of it that was drawn. In each task by hash, so that who stops half way has read a sample.
    """
    strata = ", ".join(STRATA)
    with connected({"pairs": pairs}) as db:
        return db.sql(
            f"""WITH population AS (
                SELECT pair_id, task, source, label, confidentiality, {band(confidence)}
                           AS confidence, instruction, input,
                       CASE WHEN label IS NULL THEN response END AS answer
                FROM pairs WHERE {where}
            ), ranked AS (
                SELECT *, count(*) OVER (PARTITION BY {strata}) AS size,
                       count(*) OVER (PARTITION BY task) AS total,
                       row_number() OVER (PARTITION BY {strata} ORDER BY md5(pair_id)) AS place
                FROM population
            ), drawn AS (
                SELECT *, least(size, greatest({LEAST}, round($share * size / total))) AS wanted
                FROM ranked
            )
            SELECT pair_id, {strata}, instruction, input, answer, size / wanted AS stands_for
            FROM drawn WHERE place <= wanted ORDER BY task, md5(pair_id)""",
            params={"share": per_task},
        ).to_arrow_table()
