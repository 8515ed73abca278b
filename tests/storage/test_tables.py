from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.storage.tables import (
    Finished,
    Increment,
    Inputs,
    read_table,
    table_digest,
    update_table,
    write_table,
)

SCHEMA = pa.schema([("id", pa.string()), ("version", pa.string()), ("text", pa.string())])


class Step:
    """A step that upper-cases; records what it was asked for and can fail at an input."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen: list[str] = []

    @property
    def table(self) -> Path:
        return self.folder / "data.parquet"

    @property
    def staging(self) -> Path:
        return self.folder / "staging"

    def run(
        self,
        ids: Sequence[str],
        version: str = "1",
        fail_at: str | None = None,
        as_files: bool = False,
    ) -> Increment:
        write_table(self.folder / "inputs.parquet", pa.table({"id": pa.array(ids, pa.string())}))

        def compute(missing: Iterator[dict[str, Any]]) -> Iterator[Finished]:
            for row in missing:
                if row["id"] == fail_at:
                    raise RuntimeError("killed")
                self.seen.append(row["id"])
                rows = [{"id": row["id"], "version": version, "text": row["id"].upper()}]
                if as_files:
                    part = self.folder / "part.parquet"
                    write_table(part, pa.Table.from_pylist(rows, schema=SCHEMA))
                    yield Finished(1, part)
                else:
                    yield Finished(1, rows)

        return update_table(
            self.table,
            self.staging,
            SCHEMA,
            key="id",
            version=version,
            inputs=Inputs(self.folder / "inputs.parquet", ["id"], order="id"),
            compute=compute,
            batch_rows=2,
            description="Testing",
        )

    def texts(self) -> list[str]:
        return sorted(read_table(self.table)["text"].to_pylist())


@pytest.mark.parametrize("as_files", [False, True])
def test_only_what_is_new_is_computed_and_what_is_gone_is_dropped(
    tmp_path: Path, as_files: bool
) -> None:
    step = Step(tmp_path)
    step.run(["a", "b", "c"], as_files=as_files)
    step.seen.clear()
    found = step.run(["b", "c", "d"], as_files=as_files)
    assert step.seen == ["d"]
    assert (found.computed, found.reused, found.dropped) == (1, 2, 1)
    assert step.texts() == ["B", "C", "D"]


def test_a_run_with_nothing_new_leaves_the_file_alone(tmp_path: Path) -> None:
    step = Step(tmp_path)
    step.run(["a", "b"])
    before = step.table.stat().st_mtime_ns
    assert step.run(["a", "b"]).computed == 0
    assert step.table.stat().st_mtime_ns == before


def test_no_input_at_all_gives_an_empty_table(tmp_path: Path) -> None:
    step = Step(tmp_path)
    step.run(["a"])
    assert step.run([]).dropped == 1
    assert step.texts() == []


def test_other_settings_compute_everything_again(tmp_path: Path) -> None:
    step = Step(tmp_path)
    step.run(["a", "b"])
    assert step.run(["a", "b"], version="2").computed == 2
    assert read_table(step.table)["version"].to_pylist() == ["2", "2"]


def test_a_broken_run_goes_on_where_it_was(tmp_path: Path) -> None:
    step = Step(tmp_path)
    with pytest.raises(RuntimeError):
        step.run(["a", "b", "c", "d", "e"], fail_at="d")
    assert not step.table.exists()
    step.seen.clear()
    step.run(["a", "b", "c", "d", "e"])
    assert step.seen == ["c", "d", "e"]  # the batch a, b was finished
    assert step.texts() == ["A", "B", "C", "D", "E"]
    assert not step.staging.exists()


def test_a_kill_between_the_table_and_the_removal_of_its_parts_doubles_nothing(
    tmp_path: Path,
) -> None:
    step = Step(tmp_path)
    with pytest.raises(RuntimeError):
        step.run(["a", "b", "c"], fail_at="c")
    shutil.copytree(step.staging, tmp_path / "kept")
    step.run(["a", "b", "c"])
    shutil.copytree(tmp_path / "kept", step.staging)
    step.run(["a", "b", "c"])
    assert step.texts() == ["A", "B", "C"]
    assert not step.staging.exists()


def test_the_digest_ignores_order_and_sees_content() -> None:
    rows = [{"id": "a", "text": None}, {"id": "b", "text": "x"}]
    table = pa.Table.from_pylist(rows)
    assert table_digest(table, ["id", "text"]) == table_digest(
        pa.Table.from_pylist(rows[::-1]), ["id", "text"]
    )
    other = pa.Table.from_pylist([{"id": "a", "text": ""}, {"id": "b", "text": "x"}])
    assert table_digest(table, ["id", "text"]) != table_digest(other, ["id", "text"])
