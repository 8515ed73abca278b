"""Parquet tables: atomic writing, reading, and tables that grow by what is new."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.progress import track
from stillhouse.storage.files import atomic_file, digest

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


def write_table(path: Path, table: pa.Table) -> None:
    """Write `table` as Parquet (zstd), whole or not at all."""
    import pyarrow.parquet as pq

    with atomic_file(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file; raises `FileNotFoundError`."""
    import pyarrow.parquet as pq

    return pq.ParquetFile(path).read(columns=columns)


def table_digest(table: pa.Table, columns: Sequence[str]) -> str:
    """Digest of the rows' content in `columns`, whatever the order of the rows.

    Column values are hashed by DuckDB and the sorted row hashes are hashed again, so the cost is
    one pass and memory for 16 bytes a row.
    """
    import duckdb

    row = "md5(concat_ws(chr(31), " + ", ".join(f"coalesce({c}::VARCHAR, chr(0))" for c in columns)
    with duckdb.connect() as db:
        db.register("t", table)
        found = db.sql(f"SELECT md5(string_agg(h, '' ORDER BY h)) FROM (SELECT {row})) h FROM t)")  # noqa: S608 - our own column names
        return digest(found.fetchall()[0][0], list(columns))


@dataclass(frozen=True)
class Increment:
    """What an incremental step did: counts of its *inputs*."""

    table: pa.Table
    computed: int
    reused: int
    dropped: int


def incremental_table(
    path: Path,
    staging: Path,
    schema: pa.Schema,
    *,
    key: str,
    version: str,
    inputs: Sequence[Row],
    compute: Callable[[Sequence[Row]], Iterator[list[Row]]],
    batch_size: int,
    description: str,
) -> Increment:
    """Bring the table at `path` up to date with `inputs`, computing only what it lacks.

    Each input has a `key`; its output rows carry the same key and the `version` of the step's
    settings (columns `key` and "version" of `schema`). Rows of other versions, and of inputs that
    are no longer there, are dropped. `compute` yields one list of rows per input, in order, at
    least one row each: an input without rows could not be told from one not yet seen.

    Every `batch_size` inputs, finished rows go to a file in `staging`; a killed run finds them
    there and goes on. The table itself is replaced once, at the end.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array([row[key] for row in inputs], pa.string())
    known = [_rows_of_version(path, schema, version)]
    parts = sorted(staging.glob("*.parquet")) if staging.exists() else []
    known += [_rows_of_version(part, schema, version) for part in parts]
    have = pa.concat_tables(known)
    kept = have.filter(pc.is_in(have[key], value_set=wanted))
    finished = set(kept[key].to_pylist())
    missing = [row for row in inputs if row[key] not in finished]

    results = compute(missing)
    fresh: list[pa.Table] = []
    rows: list[Row] = []
    for count, produced in enumerate(
        track(results, description, unit="inputs", total=len(missing)), 1
    ):
        rows.extend(produced)
        if count % batch_size == 0 or count == len(missing):
            part = pa.Table.from_pylist(rows, schema=schema)
            if count < len(missing):
                write_table(staging / f"{digest(version, missing[count - 1][key])}.parquet", part)
            fresh.append(part)
            rows = []
    table = pa.concat_tables([kept, *fresh])
    gone = len(set(have[key].to_pylist()) - set(wanted.to_pylist()))
    if fresh or parts or gone or not path.exists() or table.num_rows != known[0].num_rows:
        write_table(path, table)
    shutil.rmtree(staging, ignore_errors=True)
    return Increment(table, computed=len(missing), reused=len(finished), dropped=gone)


def _rows_of_version(path: Path, schema: pa.Schema, version: str) -> pa.Table:
    import pyarrow.compute as pc

    if not path.exists():
        return schema.empty_table()
    table = read_table(path)
    if table.schema.names != schema.names:  # written by an older release: nothing to reuse
        return schema.empty_table()
    table = table.cast(schema)
    return table.filter(pc.equal(table["version"], version))
