"""The newest go to test, those before them to validation, the rest is learned from.

What a family says is as new as the newest of its pairs: else something newer than the cut would be
learned from.
"""

# Queries are composed of numbers of our own; dates go in as parameters.
# ruff: noqa: S608

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.config.dataset import Splits
from stillhouse.errors import UserError

if TYPE_CHECKING:
    import duckdb


def order_by_time(db: duckdb.DuckDBPyConnection, splits: Splits) -> int:
    """Replace `position` in known(family, gold, time, position, ...) by one from 0, the newest, to
    1, the oldest and whatever has no time. Below `test` lies what goes to test, from there up to
    `test + validation` what goes to validation, wherever dates cut.

    Shares are those of families that have a time. Families without a gold answer, which are only
    ever learned from, take no place from the others. Returns how many of the others have no time.

    Raises:
        UserError: none has.
    """
    dated, undated = db.sql(
        "SELECT count(time), count(*) - count(time) FROM known WHERE gold"
    ).fetchall()[0]
    if not dated:
        raise UserError(
            "splits.by: time: no document with an answer has a time",
            remedy="name the column with it in `fields.created` of a source of records, or deal "
            "`by: random`.",
        )
    parts = _parts(splits)
    low, width = (
        "CASE " + " ".join(f"WHEN {when} THEN {number}" for when, number in numbered) + " END"
        for numbered in (
            [(when, first) for when, first, _ in parts],
            [(when, last - first) for when, first, last in parts],
        )
    )
    dates = {"test_from": splits.test_from, "validation_from": splits.validation_from}
    db.execute(
        f"""UPDATE known SET position = coalesce(placed.position, 1.0) FROM (
            SELECT k.family, low + width * (row_number() OVER (
                PARTITION BY low ORDER BY time DESC, position) - 0.5)
                / count(*) OVER (PARTITION BY low) AS position
            FROM known k LEFT JOIN (
                SELECT family, {low} AS low, {width} AS width FROM known
            ) USING (family)
            WHERE gold AND time IS NOT NULL
        ) AS placed WHERE placed.family = known.family""",
        {name: date for name, date in dates.items() if date is not None},
    )
    db.execute("UPDATE known SET position = 1.0 WHERE NOT gold OR time IS NULL")
    return int(undated)


def _parts(splits: Splits) -> list[tuple[str, float, float]]:
    """SQL for what belongs to each part, and between which positions it lies."""
    test, both = splits.test, splits.test + splits.validation
    if splits.test_from is None:
        return [("true", 0.0, 1.0)]
    newest = ("time >= $test_from", 0.0, test)
    if splits.validation_from is None:  # a share of what is left
        return [newest, ("true", test, 1.0)]
    return [newest, ("time >= $validation_from", test, both), ("true", both, 1.0)]
