"""Parquet tables: atomic writing, reading, and tables that grow by what is new.

No function here turns a table into Python objects: rows pass through in batches.
"""

# Queries are composed of names of our own; values go in as parameters.
# ruff: noqa: S608

from __future__ import annotations

import itertools
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.progress import track
from stillhouse.storage.files import atomic_file, digest, sync
from stillhouse.storage.query import connected

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

BATCH_ROWS = 1024
# Rows of a group are buffered until it is written: this bounds what a writer holds.
GROUP_BYTES = 32 << 20


def write_table(path: Path, table: pa.Table) -> None:
    """Write `table` as Parquet (zstd), whole or not at all."""
    with table_writer(path, table.schema) as write:
        write(table)


@contextmanager
def table_writer(path: Path, schema: pa.Schema) -> Iterator[Callable[[Any], None]]:
    """Yield a function that adds rows (dicts, an Arrow table or batch) to a Parquet file.

    The file appears, whole, when the block ends well.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_file(path) as temporary:
        waiting: list[pa.Table] = []
        held = 0  # bytes

        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:

            def flush() -> None:
                nonlocal held
                if waiting:
                    writer.write_table(pa.concat_tables(waiting))
                    waiting.clear()
                    held = 0

            def write(rows: Any) -> None:
                nonlocal held
                if isinstance(rows, pa.RecordBatch):
                    rows = pa.Table.from_batches([rows])
                elif not isinstance(rows, pa.Table):
                    rows = pa.Table.from_pylist(list(rows), schema=schema)
                waiting.append(rows.cast(schema))
                held += waiting[-1].nbytes
                if held > GROUP_BYTES:
                    flush()

            yield write
            flush()


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a whole Parquet file as Arrow; raises `FileNotFoundError`."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read(columns=columns)


def read_batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of a Parquet file in batches; raises `FileNotFoundError`."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS, columns=columns)


def keep_rows(path: Path, where: str, **tables: Path | pa.Table) -> int:
    """Write a Parquet file anew without the rows for which `where` doesn't hold, if there are any;
    returns how many went.

    `where` is SQL of our own, over the file's columns and `tables`.
    """
    import pyarrow.parquet as pq

    with connected({"t": path, **tables}) as db:
        kept = f"SELECT * FROM t WHERE {where}"
        (gone,) = db.sql(f"SELECT (SELECT count(*) FROM t) - count(*) FROM ({kept})").fetchall()[0]
        if gone:
            with table_writer(path, pq.read_schema(path)) as write:
                for batch in db.sql(kept).to_arrow_reader(BATCH_ROWS):
                    write(batch)
    return int(gone)


def row_count(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)


def table_digest(table: Path | pa.Table, columns: Sequence[str], where: str = "true") -> str:
    """Digest of the rows' content in `columns`, whatever the order of the rows.

    Column values are hashed by DuckDB and the sorted row hashes are hashed again, so the cost is
    one pass and memory for 32 bytes a row. `where` is SQL of our own.
    """
    row = "md5(concat_ws(chr(31), " + ", ".join(f"coalesce({c}::VARCHAR, chr(0))" for c in columns)
    with connected({"t": table}) as db:
        found = db.sql(
            f"SELECT md5(string_agg(h, '' ORDER BY h)) FROM (SELECT {row})) h FROM t WHERE {where})"
        )
        return digest(found.fetchall()[0][0], list(columns))


@dataclass(frozen=True)
class Increment:
    """What an incremental step did: counts of its *inputs*."""

    computed: int
    reused: int
    dropped: int


@dataclass(frozen=True)
class Inputs:
    """Rows of a Parquet file that a table is made from; `where` and `order` are SQL of our own."""

    path: Path
    columns: Sequence[str]
    where: str = "true"
    order: str | None = None


@dataclass(frozen=True)
class Finished:
    """All rows of so many inputs: in memory, or a Parquet file of the table's schema (it is
    moved). An input without rows could not be told from one not yet seen: it has at least one."""

    inputs: int
    rows: list[Row] | Path


def update_table(
    path: Path,
    staging: Path,
    schema: pa.Schema,
    *,
    key: str,
    version: str,
    inputs: Inputs,
    compute: Callable[[Iterator[Row]], Iterable[Finished]],
    description: str,
    batch_rows: int = 500,
) -> Increment:
    """Bring the table at `path` up to date with `inputs`, computing only what it lacks.

    Each input has a `key`; its output rows carry the same key and the `version` of the step's
    settings (columns `key` and "version" of `schema`). Rows of other versions, and of inputs that
    are no longer there, are dropped. `compute` takes the missing inputs as they come and yields
    what is finished, in any order.

    About every `batch_rows` rows, what is finished goes to a file in `staging`; a killed run finds
    it there and goes on. The table itself is replaced once, at the end, and only when it changes.
    One writer at a time: the caller holds the table's lock.
    """
    parts = sorted(staging.glob("*.parquet")) if staging.exists() else []
    usable = [f for f in (path, *parts) if f.exists() and _fits(f, schema)]
    with connected({"inputs": inputs.path}) as db:
        db.execute(f"CREATE TABLE wanted AS SELECT DISTINCT {key} FROM inputs WHERE {inputs.where}")
        db.execute(f"CREATE TABLE finished ({key} VARCHAR)")
        if usable:
            db.execute(
                f"INSERT INTO finished SELECT DISTINCT {key} FROM read_parquet(?) "
                "WHERE version = ?",
                [[str(f) for f in usable], version],
            )
        found = db.sql(
            f"""SELECT count(*) FILTER (f.{key} IS NULL), count(*) FILTER (w.{key} IS NULL),
                       count(*) FILTER (f.{key} = w.{key})
                FROM wanted w FULL JOIN finished f ON w.{key} = f.{key}"""
        )
        missing, dropped, reused = found.fetchall()[0]
        if missing:
            order = f"ORDER BY {inputs.order}" if inputs.order else ""
            reader = db.sql(
                f"""SELECT {", ".join(inputs.columns)} FROM inputs WHERE {inputs.where}
                    AND {key} NOT IN (SELECT {key} FROM finished) {order}"""
            ).to_arrow_reader(BATCH_ROWS)
            rows = (row for batch in reader for row in batch.to_pylist())
            ticks = _stage(compute(rows), staging, schema, batch_rows)
            for _ in track(ticks, description, unit="inputs", total=missing):
                pass
        wanted = db.sql(f"SELECT {key} FROM wanted").to_arrow_table()
    if missing or parts or dropped or not path.exists() or _outdated(path, schema, version):
        _rewrite(path, staging, schema, key, version, wanted)
    shutil.rmtree(staging, ignore_errors=True)
    return Increment(computed=missing, reused=reused, dropped=dropped)


def _stage(
    results: Iterable[Finished], staging: Path, schema: pa.Schema, batch_rows: int
) -> Iterator[None]:
    """Put what is finished into files in `staging`; yields once an input."""
    waiting: list[Row] = []

    def flush() -> None:
        if waiting:
            with table_writer(staging / f"{secrets.token_hex(8)}.parquet", schema) as write:
                write(waiting)
            waiting.clear()

    for result in results:
        if isinstance(result.rows, Path):
            staging.mkdir(parents=True, exist_ok=True)
            result.rows.replace(staging / f"{secrets.token_hex(8)}.parquet")
        else:
            waiting += result.rows
            if len(waiting) >= batch_rows:
                flush()
        yield from itertools.repeat(None, result.inputs)
    flush()


def _rewrite(
    path: Path, staging: Path, schema: pa.Schema, key: str, version: str, wanted: pa.Table
) -> None:
    """The table anew: its rows that still count, then those of `staging`.

    A run killed between the table and the removal of its parts left rows in both. A part that is
    all of the new table becomes it: a table of one large file is not copied once more.
    """
    files = [f for f in (path, *sorted(staging.glob("*.parquet"))) if f.exists()]
    usable = [f for f in files if _fits(f, schema)]
    with connected({"wanted": wanted}) as db:
        counting = f"version = $version AND {key} IN (SELECT {key} FROM wanted)"
        contents = {
            file: db.execute(
                f"SELECT count(*) FILTER ({counting}), count(*) FROM read_parquet($file)",
                {"file": str(file), "version": version},
            ).fetchall()[0]
            for file in usable
        }
        giving = [file for file in usable if contents[file][0]]
        if giving and giving[0] != path and len(giving) == 1 and len(set(contents[giving[0]])) == 1:
            path.parent.mkdir(parents=True, exist_ok=True)
            giving[0].replace(path)
            sync(path.parent)
            return
        with table_writer(path, schema) as write:
            db.execute(f"CREATE TABLE known ({key} VARCHAR)")
            for file in giving:
                rows = db.sql(
                    f"""SELECT * FROM read_parquet($file) WHERE {counting}
                        AND {key} NOT IN (SELECT {key} FROM known)""",
                    params={"file": str(file), "version": version},
                )
                for batch in rows.to_arrow_reader(BATCH_ROWS):
                    write(batch)
                if file == path:
                    db.execute(
                        f"INSERT INTO known SELECT DISTINCT {key} FROM read_parquet(?) "
                        "WHERE version = ?",
                        [str(file), version],
                    )


def _fits(file: Path, schema: pa.Schema) -> bool:
    """Whether the file has the table's columns; one of an older release has nothing to reuse."""
    import pyarrow.parquet as pq

    return bool(pq.read_schema(file).names == schema.names)


def _outdated(path: Path, schema: pa.Schema, version: str) -> bool:
    if not _fits(path, schema):
        return True
    with connected({"t": path}) as db:
        others = db.execute("SELECT count(*) FROM t WHERE version <> ?", [version]).fetchall()
    return bool(others[0][0])
