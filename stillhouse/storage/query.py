"""SQL over Parquet files: what is asked of a table without turning it into Python objects."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY_LIMIT = "2GB"


@contextmanager
def connected(
    tables: Mapping[str, Path | pa.Table],
    *,
    memory_limit: str = MEMORY_LIMIT,
    spill: Path | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection of its own, that sees `tables` (Parquet files, Arrow tables) by name.

    Never fetches an extension; rows come in the order of the files. What exceeds the memory limit
    goes to a private folder in `spill` (default: the system's folder for temporary files), not to
    the working folder, and is gone with the connection. Connections that name neither have one
    limit together.
    """
    if spill is None and memory_limit == MEMORY_LIMIT:
        with _apart(_shared(os.getpid())) as db:
            _show(db, tables)
            yield db
        return
    with (
        tempfile.TemporaryDirectory(prefix="spill-", dir=spill) as folder,
        _open(memory_limit, folder) as db,
    ):
        _show(db, tables)
        yield db


def _open(memory_limit: str, folder: str) -> duckdb.DuckDBPyConnection:
    import duckdb

    settings: dict[str, Any] = {
        "autoinstall_known_extensions": False,
        "memory_limit": memory_limit,
        "temp_directory": folder,
    }
    return duckdb.connect(config=settings)


@cache
def _shared(process: int) -> duckdb.DuckDBPyConnection:
    """DuckDB itself, opened once in a process, whose threads a fork would not have: opening it
    takes longer than most of what is asked of it."""
    from multiprocessing.util import Finalize

    folder = tempfile.mkdtemp(prefix=f"spill-{process}-")
    # Not atexit, which workers of multiprocessing pass by; and only in the process that made it.
    Finalize(None, shutil.rmtree, (folder,), {"ignore_errors": True}, exitpriority=0)
    return _open(MEMORY_LIMIT, folder)


_names = itertools.count()


@contextmanager
def _apart(shared: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection with a database of its own in memory: what one makes, no other sees."""
    import duckdb

    name = f"apart_{next(_names)}"
    with shared.cursor() as db:
        db.execute(f"ATTACH ':memory:' AS {name}")
        try:
            db.execute(f"USE {name}")
            yield db
        except (duckdb.FatalException, duckdb.InternalException):
            _shared.cache_clear()  # what had such an error answers nothing more
            raise
        finally:
            db.close()  # whatever of a result was not read holds the database
            with shared.cursor() as other:
                other.execute(f"DETACH {name}")


def beside(db: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """A cursor that sees the files and tables of a connection of `connected`, to read a result from
    while the connection writes."""
    (name,) = db.sql("SELECT current_database()").fetchall()[0]
    cursor = db.cursor()
    cursor.execute(f"USE {name}")
    return cursor


def _show(db: duckdb.DuckDBPyConnection, tables: Mapping[str, Path | pa.Table]) -> None:
    for name, table in tables.items():
        if isinstance(table, Path):
            db.read_parquet(str(table)).create_view(name)
        else:
            db.register(name, table)


def query(sql: str, **tables: Path | pa.Table) -> pa.Table:
    """The result of one query as an Arrow table; for results that are known to be small."""
    with connected(tables) as db:
        return db.sql(sql).to_arrow_table()


def one_row(sql: str, **tables: Path | pa.Table) -> dict[str, Any]:
    """The result of a query of one row, by column."""
    row: dict[str, Any] = query(sql, **tables).to_pylist()[0]
    return row


def counts(sql: str, **tables: Path | pa.Table) -> dict[str, int]:
    """The result of a query of two columns, a name and a number, in its order."""
    with connected(tables) as db:
        return {str(name): int(number) for name, number in db.sql(sql).fetchall()}


def rows_in_batches(
    sql: str, *, batch_rows: int = 1024, **tables: Path | pa.Table
) -> Iterator[list[dict[str, Any]]]:
    """The rows of a query, some at a time, in bounded memory."""
    with connected(tables) as db:
        for batch in db.sql(sql).to_arrow_reader(batch_rows):
            if batch.num_rows:
                yield batch.to_pylist()
