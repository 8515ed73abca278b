"""Feedback beside the table of requests, and in it: what was said last of an answer counts."""

# Queries are composed of names of our own, and of paths that are quoted.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.storage.tables import BATCH_ROWS, table_writer

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

FEEDBACK, NEW_FEEDBACK = "feedback.parquet", ".feedback.parquet"
# Its request may be logged a little later; what nothing was asked for in so long, is of none.
WAITS = timedelta(days=1)
SAYS = ("score", "gold", "metric")


def feedback_schema() -> pa.Schema:
    """One row a line of feedback; `gold` is masked, `pseudonyms` stand in it."""
    import pyarrow as pa

    return pa.schema(
        [
            ("answer_id", pa.string()),
            ("time", pa.timestamp("us", tz="UTC")),
            ("score", pa.float64()),
            ("gold", pa.string()),
            ("metric", pa.float64()),
            ("pseudonyms", pa.list_(pa.string())),
        ]
    )


def judge(db: duckdb.DuckDBPyConnection, table: Path, parts: Sequence[Path], now: datetime) -> None:
    """Write `table`, the feedback of these parts that is of a request in the view `rows` or may
    still find one; `judged` reads the last of it."""
    db.register("nothing_said", feedback_schema().empty_table())
    said = " UNION ALL ".join(
        ["FROM nothing_said", *(f"FROM read_parquet('{_quoted(part)}')" for part in parts)]
    )
    db.execute("CREATE TABLE waits AS SELECT ?::TIMESTAMPTZ AS since", [now - WAITS])
    db.execute(
        f"""CREATE TABLE said AS SELECT DISTINCT * FROM ({said})
            WHERE answer_id IN (SELECT answer_id FROM rows) OR time >= (FROM waits)"""
    )
    with table_writer(table, feedback_schema()) as write:
        sql = "FROM said ORDER BY answer_id, time, score, gold, metric"
        for batch in db.sql(sql).to_arrow_reader(BATCH_ROWS):
            write(batch)


def judged(rows: str) -> str:
    """A query for these rows with what was said of them last."""
    last = ", ".join(f"arg_max({n}, time) FILTER ({n} IS NOT NULL) AS {n}" for n in SAYS)
    new = ", ".join(f"coalesce(last.{n}, row.{n}) AS {n}" for n in SAYS)
    named = "list_sort(list_distinct(list_concat(row.pseudonyms, coalesce(last.named, []))))"
    return f"""WITH last AS (
                   SELECT answer_id, {last}, flatten(list(pseudonyms)) AS named
                   FROM said GROUP BY answer_id)
               SELECT row.* REPLACE ({new}, {named} AS pseudonyms)
               FROM ({rows}) AS row LEFT JOIN last USING (answer_id)"""


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
