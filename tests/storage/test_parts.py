"""Rows that are kept from run to run."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from stillhouse.storage.parts import FILES, Parts

SCHEMA = pa.schema([("key", pa.int64()), ("said", pa.string())])


def parts(folder: Path, settings: str = "a") -> Parts:
    return Parts(folder, "rows", settings, SCHEMA)


def batch(*keys: int) -> pa.RecordBatch:
    return pa.record_batch({"key": list(keys), "said": [f"row {key}" for key in keys]}, SCHEMA)


def keys(found: Parts) -> list[int]:
    with duckdb.connect() as db:
        found.create_view(db, "kept")
        return [key for (key,) in db.sql("SELECT key FROM kept ORDER BY key").fetchall()]


def test_rows_are_added_and_files_without_a_change_stay(tmp_path: Path) -> None:
    found = parts(tmp_path)
    assert keys(found) == []
    found.add([batch(1, 2), batch(), batch(3)])
    found.add([batch()])
    (first,) = found.files
    found.add([batch(4)])
    with duckdb.connect() as db:
        found.keep(db, "key <> 4", 3)
    assert keys(found) == [1, 2, 3] and found.files == [first]
    with duckdb.connect() as db:
        found.keep(db, "key > 1", 2)
    assert keys(found) == [2, 3] and found.rows == 2


def test_small_files_become_one(tmp_path: Path) -> None:
    found = parts(tmp_path)
    found.add([batch(*range(100, 200))])
    (large,) = found.files
    for key in range(FILES):
        found.add([batch(key)])
    with duckdb.connect() as db:
        found.keep(db, "key <> 3", 100 + FILES - 1)
    assert len(found.files) == 2 and large in found.files
    assert keys(found) == [*(k for k in range(FILES) if k != 3), *range(100, 200)]


def test_of_other_settings_nothing_is_read_nor_kept(tmp_path: Path) -> None:
    parts(tmp_path).add([batch(1)])
    other = parts(tmp_path, "b")
    assert keys(other) == []
    other.add([batch(2)])
    (tmp_path / "rows-b-0.new").write_text("of a run that was killed")
    with duckdb.connect() as db:
        other.keep(db, "true", 1)
    assert [file.name for file in tmp_path.iterdir()] == [other.files[0].name]
    assert pq.read_table(other.files[0])["key"].to_pylist() == [2]
