from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.storage.tables import incremental_table, read_table, table_digest

SCHEMA = pa.schema([("id", pa.string()), ("version", pa.string()), ("text", pa.string())])


class Step:
    """A step that upper-cases; records what it was asked for and can fail at an input."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = []

    def run(self, ids: Sequence[str], version: str = "1", fail_at: str | None = None) -> Any:
        def compute(missing: Sequence[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
            for row in missing:
                if row["id"] == fail_at:
                    raise RuntimeError("killed")
                self.seen.append(row["id"])
                yield [{"id": row["id"], "version": version, "text": row["id"].upper()}]

        return incremental_table(
            self.folder / "data.parquet",
            self.folder / "staging",
            SCHEMA,
            key="id",
            version=version,
            inputs=[{"id": i} for i in ids],
            compute=compute,
            batch_size=2,
            description="Testing",
        )


def test_only_what_is_new_is_computed_and_what_is_gone_is_dropped(tmp_path: Path) -> None:
    step = Step(tmp_path)
    step.run(["a", "b", "c"])
    step.seen.clear()
    found = step.run(["b", "c", "d"])
    assert step.seen == ["d"]
    assert (found.computed, found.reused, found.dropped) == (1, 2, 1)
    assert sorted(read_table(tmp_path / "data.parquet")["text"].to_pylist()) == ["B", "C", "D"]


def test_a_run_with_nothing_new_leaves_the_file_alone(tmp_path: Path) -> None:
    step = Step(tmp_path)
    step.run(["a", "b"])
    before = (tmp_path / "data.parquet").stat().st_mtime_ns
    assert step.run(["a", "b"]).computed == 0
    assert (tmp_path / "data.parquet").stat().st_mtime_ns == before


def test_other_settings_compute_everything_again(tmp_path: Path) -> None:
    step = Step(tmp_path)
    step.run(["a", "b"])
    assert step.run(["a", "b"], version="2").computed == 2
    assert read_table(tmp_path / "data.parquet")["version"].to_pylist() == ["2", "2"]


def test_a_broken_run_goes_on_where_it_was(tmp_path: Path) -> None:
    step = Step(tmp_path)
    with pytest.raises(RuntimeError):
        step.run(["a", "b", "c", "d", "e"], fail_at="d")
    assert not (tmp_path / "data.parquet").exists()
    step.seen.clear()
    step.run(["a", "b", "c", "d", "e"])
    assert step.seen == ["c", "d", "e"]  # the batch a, b was finished
    texts = read_table(tmp_path / "data.parquet")["text"].to_pylist()
    assert sorted(texts) == ["A", "B", "C", "D", "E"]
    assert not (tmp_path / "staging").exists()


def test_the_digest_ignores_order_and_sees_content() -> None:
    rows = [{"id": "a", "text": None}, {"id": "b", "text": "x"}]
    table = pa.Table.from_pylist(rows)
    assert table_digest(table, ["id", "text"]) == table_digest(
        pa.Table.from_pylist(rows[::-1]), ["id", "text"]
    )
    other = pa.Table.from_pylist([{"id": "a", "text": ""}, {"id": "b", "text": "x"}])
    assert table_digest(table, ["id", "text"]) != table_digest(other, ["id", "text"])
