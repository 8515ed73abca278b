"""What reviewers decided, put in force: pairs as they count from here on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.storage.layout import Layout

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

OVERRIDES = "overrides.parquet"


def overrides_schema() -> pa.Schema:
    """One row a pair that reviewers decided of: its id, the verdict, and of a correction the new
    response, label and id (that of what the pair says then)."""
    import pyarrow as pa

    names = ("pair_id", "verdict", "response", "label", "new_id")
    return pa.schema([(name, pa.string()) for name in names])


def overrides_of(layout: Layout) -> Path:
    """The overrides of gold pairs."""
    return layout.table("review_sample").with_name(OVERRIDES)


def apply_reviews(db: duckdb.DuckDBPyConnection, overrides: Path) -> None:
    """Create the view `current` of the table `instruction_pairs`: corrected pairs have their new
    answer and id; `reviewed` says accepted, corrected or rejected, else null. `gone` pairs are
    those rejected, and those corrected into a pair that there is already.

    Where a pair goes, a review doesn't change: who deals them out sees those that are gone too.
    """
    if overrides.exists():
        db.read_parquet(str(overrides)).create_view("overrides")
    else:
        db.register("overrides", overrides_schema().empty_table())
    db.execute(
        """CREATE TABLE changes AS
        SELECT *, verdict = 'correct' AND (
                new_id IN (SELECT pair_id FROM instruction_pairs)
                OR row_number() OVER (PARTITION BY verdict, new_id ORDER BY pair_id) > 1
            ) AS twice
        FROM overrides"""
    )
    db.execute(
        """CREATE VIEW current AS
        SELECT p.* REPLACE (
                coalesce(c.new_id, p.pair_id) AS pair_id,
                CASE WHEN c.verdict = 'correct' THEN c.response ELSE p.response END AS response,
                CASE WHEN c.verdict = 'correct' THEN c.label ELSE p.label END AS label),
            CASE c.verdict WHEN 'accept' THEN 'accepted' WHEN 'correct' THEN 'corrected'
                WHEN 'reject' THEN 'rejected' END AS reviewed,
            coalesce(c.verdict = 'reject' OR c.twice, false) AS gone
        FROM instruction_pairs p LEFT JOIN changes c USING (pair_id)"""
    )
