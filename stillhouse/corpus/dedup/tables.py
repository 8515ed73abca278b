"""Rows in and out of the working database, in batches, over threads."""

# Queries are composed of table names of our own.
# ruff: noqa: S608

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

ROWS = 8192
TEXT_BYTES = 8_000_000

In = TypeVar("In")
Out = TypeVar("Out")


def stream(db: duckdb.DuckDBPyConnection, query: str, rows: int = ROWS) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a query on a connection of its own, while `db` does other work."""
    with closing(db.cursor()) as cursor:
        yield from cursor.sql(query).to_arrow_reader(rows)


def by_bytes(batches: Iterable[pa.RecordBatch], *sizes: str) -> Iterator[pa.RecordBatch]:
    """Cut batches so that the columns `sizes`, in bytes, sum to about `TEXT_BYTES` in each."""
    import numpy as np

    for batch in batches:
        total = np.cumsum(np.sum([batch[column].to_numpy() for column in sizes], axis=0))
        cuts = np.flatnonzero(np.diff(total // TEXT_BYTES)) + 1
        for start, end in zip([0, *cuts], [*cuts, len(batch)], strict=True):
            yield batch.slice(start, end - start)


def fill(
    db: duckdb.DuckDBPyConnection, table: str, parts: Iterable[pa.Table | pa.RecordBatch]
) -> None:
    """Insert rows, by column name, some `ROWS` at a time, in one transaction.

    `parts` may read from the database by `stream`, which sees what was there before.
    """
    import pyarrow as pa

    waiting: list[pa.Table] = []

    def insert() -> None:
        db.register("arriving", pa.concat_tables(waiting))
        db.execute(f"INSERT INTO {table} BY NAME SELECT * FROM arriving")
        db.unregister("arriving")
        waiting.clear()

    db.begin()
    for rows in parts:
        waiting.append(rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows]))
        if sum(map(len, waiting)) >= ROWS:
            insert()
    if waiting:
        insert()
    db.commit()


def count(db: duckdb.DuckDBPyConnection, table: str) -> int:
    ((rows,),) = db.sql(f"SELECT count(*) FROM {table}").fetchall()
    return int(rows)


def matrix(signatures: pa.Array) -> Any:
    """A column of fixed-size lists as its (n, list size) matrix, without a copy."""
    return signatures.flatten().to_numpy().reshape(len(signatures), -1)


def ordered_map(work: Callable[[In], Out], items: Iterable[In], threads: int) -> Iterator[Out]:
    """`map` over threads, in order, with no more than `threads` + 1 items in memory."""
    if threads == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Out]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
