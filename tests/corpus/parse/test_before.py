"""A record file that changed gives what it gives when it is read anew, and is read where it did."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillhouse.config.corpus import Ocr, RecordFields
from stillhouse.corpus.parse import before, records
from stillhouse.corpus.parse.rows import document_schema, read_file
from stillhouse.storage.tables import read_table, table_writer

Lines = list[dict[str, Any] | str]


def as_jsonl(path: Path, lines: Lines) -> None:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts), encoding="utf-8")  # the last line without an end


def as_csv(path: Path, lines: Lines) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "body", "queue"])
    for line in lines:
        cells = [line] if isinstance(line, str) else [line.get(n) for n in ("id", "body", "queue")]
        writer.writerow(cells)
    path.write_text(text.getvalue(), encoding="utf-8")


def as_parquet(path: Path, lines: Lines) -> None:
    rows = [line for line in lines if isinstance(line, dict)]
    schema = pa.schema([("id", pa.int64()), ("body", pa.string()), ("queue", pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)


WRITERS = {".jsonl": as_jsonl, ".csv": as_csv, ".parquet": as_parquet}


class File:
    """A record file and the table of what it gave, brought up to date as the graph does it."""

    def __init__(self, folder: Path, suffix: str, fields: RecordFields) -> None:
        self.path = folder / f"t{suffix}"
        self.write: Callable[[Path, Lines], None] = WRITERS[suffix]
        self.table, self.fields, self.states = folder / "table.parquet", fields, 0

    def read(self, *, anew: bool = False) -> list[dict[str, Any]]:
        """All its rows, as far as they say nothing of which state of the file gave them."""
        known = None if anew or not self.table.exists() else f"state {self.states}"
        self.states += not anew
        job = {
            "input_id": f"state {self.states}",
            "file_id": f"file {self.states}",
            "source": "tickets",
            "kind": "records",
            "path": self.path.name,
            "file": str(self.path),
            "part": str(self.path.with_suffix(".part")),
            "table": str(self.table),
            "before": known,
            "columns": [],
            "strip_quotes": True,
            "passwords": [],
            "nlp_model": "",
            "fields": self.fields.model_dump(),
            "ocr": Ocr().model_dump(),
        }
        found = read_file(job)
        rows: Any = read_table(found).to_pylist() if isinstance(found, Path) else found
        rows = pa.Table.from_pylist(rows, schema=document_schema())
        if not anew:
            with table_writer(self.table, rows.schema) as write:
                write(other_files_row())
                write(rows)
        assert set(rows["input_id"].to_pylist()) == {f"state {self.states}"}
        assert set(rows["file_id"].to_pylist()) == {f"file {self.states}"}
        return rows.sort_by("position").to_pylist()


def other_files_row() -> list[dict[str, Any]]:
    """It lies in the same table, and is none of the file's business."""
    return [{"input_id": "other", "status": "parsed", "line_digest": "0", "position": 1}]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(before, "BLOCK", 16)


@pytest.fixture
def taken_apart(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lines that were read anew."""
    lines: list[int] = []
    real = records._record

    def counted(line: int, *others: Any) -> Any:
        lines.append(line)
        return real(line, *others)

    monkeypatch.setattr(records, "_record", counted)
    return lines


def tickets(numbers: Iterable[int]) -> Lines:
    return [{"id": n, "body": f"Ticket {n}, of two\nlines.", "queue": "q"} for n in numbers]


BY_ID = RecordFields(text="body", id="id", label="queue")
BY_TEXT = RecordFields(text="body", label="queue")


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("fields", [BY_ID, BY_TEXT], ids=["own ids", "no ids"])
def test_a_file_that_gains_a_line_has_one_line_read(
    tmp_path: Path, taken_apart: list[int], suffix: str, fields: RecordFields
) -> None:
    file = File(tmp_path, suffix, fields)
    lines = tickets(range(150))
    file.write(file.path, lines)
    file.read()
    assert len(taken_apart) == len(lines)
    taken_apart.clear()
    file.write(file.path, [*lines, *tickets([-1])])
    rows = file.read()
    assert len(taken_apart) == 1
    assert len(rows) == len(lines) + 1
    assert rows[-1]["text"] == "Ticket -1, of two\nlines."


@pytest.mark.parametrize("at", [0, 77])
def test_lines_that_came_changed_or_went_are_those_that_are_read(
    tmp_path: Path, taken_apart: list[int], at: int
) -> None:
    file = File(tmp_path, ".jsonl", BY_ID)
    lines = tickets(range(300))
    file.write(file.path, lines)
    file.read()
    taken_apart.clear()
    changed = {"id": 200, "body": "Said anew.", "queue": "q"}
    file.write(file.path, [*lines[:at], *tickets([-1]), *lines[at:150], *lines[160:200], changed])
    rows = file.read()
    assert taken_apart == [at + 1, 192]
    assert [row["position"] for row in rows] == list(range(1, 193))
    assert rows == file.read(anew=True)


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
@pytest.mark.parametrize("fields", [BY_ID, BY_TEXT], ids=["own ids", "no ids"])
def test_whatever_is_edited_gives_what_reading_it_anew_gives(
    tmp_path: Path, suffix: str, fields: RecordFields
) -> None:
    """Repeated ids, repeated texts and bad lines among them, which other lines decide about."""
    chance = random.Random(7)
    file = File(tmp_path, suffix, fields)

    def line() -> dict[str, Any] | str:
        kind = chance.random()
        if kind < 0.1:
            return "no record" if suffix != ".jsonl" else '{"id": 1'
        if kind < 0.2:
            return {"id": chance.randrange(5), "body": "", "queue": "q"}
        said = chance.choice(["a", "b\nc", 'd "e"']) if kind < 0.5 else str(chance.random())
        return {"id": chance.randrange(40), "body": said, "queue": chance.choice("xy")}

    lines: Lines = [{"id": 1, "body": "first", "queue": "x"}, *(line() for _ in range(30))]
    for _ in range(10):
        file.write(file.path, lines)
        rows = file.read()
        assert rows == file.read(anew=True)
        for _ in range(chance.randrange(4)):
            at = chance.randrange(1, len(lines) + 1)
            match chance.choice(["add", "append", "remove", "change", "move", "repeat"]):
                case "add":
                    lines.insert(at, line())
                case "append":
                    lines.append(line())
                case "remove" if len(lines) > 5:
                    lines.pop(at - 1)
                case "change":
                    lines[at - 1] = line()
                case "move":
                    lines.append(lines.pop(at - 1))
                case _:
                    lines.insert(at, lines[at - 1])


def test_columns_that_went_with_the_first_lines_are_missed_as_ever(tmp_path: Path) -> None:
    file = File(tmp_path, ".jsonl", BY_ID)
    bare: Lines = [{"id": n, "body": f"Ticket {n}."} for n in range(1, 200)]
    file.write(file.path, [{"id": 0, "body": "With all.", "queue": "q"}, *bare])
    assert {row["status"] for row in file.read()} == {"parsed"}
    file.write(file.path, bare)
    (row,) = file.read()
    assert (row["status"], row["category"]) == ("quarantined", "columns")
