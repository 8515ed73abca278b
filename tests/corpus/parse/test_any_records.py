"""Whatever stands in a file of records: records, bad ones, or why the whole file gives none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stillhouse.config.corpus import RecordFields
from stillhouse.config.dataset import Column
from stillhouse.corpus.parse import data, record_rows
from stillhouse.corpus.parse.parts import Holder, Member
from stillhouse.corpus.parse.record_rows import RECORD_SUFFIXES, BadRecord
from stillhouse.corpus.parse.records import Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable
from tests.corpus.parse.test_sheets import old_workbook, workbook

FIELDS = RecordFields(id="id", text="body", label="queue", created="at")
COLUMNS = [Column(name="answer", role="answer", keys=("a",))]
SECRET = "Zebulon"
ROWS = [
    {"id": n, "body": f"{SECRET} {n}", "queue": "it", "at": "2024-05-01", "answer": '{"a": 1}'}
    for n in range(3)
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path_factory.mktemp("good")
    cells = [list(ROWS[0]), *(list(row.values()) for row in ROWS)]
    lines = "".join(f"{json.dumps(row)}\n" for row in ROWS)
    tables = {
        mark: "".join(f"{mark.join(map(str, row))}\n" for row in cells).replace('{"a": 1}', "x")
        for mark in ",\t"
    }
    pq.write_table(pa.Table.from_pylist(ROWS), folder / "t.parquet")
    new = workbook(folder / "t.xlsx", S=cells).read_bytes()
    old = old_workbook([list(map(str, row)) for row in cells])
    found = {".jsonl": lines.encode(), ".ndjson": lines.encode("utf-16")}
    found |= {".csv": tables[","].encode(), ".tsv": tables["\t"].encode("utf-16-le")}
    return found | {".parquet": (folder / "t.parquet").read_bytes(), ".xlsx": new, ".xlsm": new,
                    ".xls": old}  # fmt: skip


def read(path: Path, content: bytes) -> list[Record | BadRecord] | Unparsable:
    path.write_bytes(content)
    try:
        found = list(read_records(path, FIELDS, COLUMNS))
    except Unparsable as error:
        assert error.remedy.endswith(".")
        assert SECRET not in error.reason + error.remedy
        return error
    assert all(SECRET not in row.reason for row in found if isinstance(row, BadRecord))
    assert all(isinstance(row, Record | BadRecord) for row in found)
    return found  # type: ignore[return-value]


PIECES = st.one_of(
    st.binary(max_size=6),
    st.sampled_from([b"\0", b'"', b"\n", b"\r", b"\xff\xfe", b"{", b"[", b",", b"\\u", b"1e999"]),
)


def test_what_it_starts_from_is_right(tmp_path: Path, good: dict[str, bytes]) -> None:
    assert good.keys() == set(RECORD_SUFFIXES)
    for suffix, content in good.items():
        (tmp_path / f"t{suffix}").write_bytes(content)
        found = list(read_records(tmp_path / f"t{suffix}", FIELDS))
        assert [type(row) for row in found] == [Record] * 3, suffix


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from(RECORD_SUFFIXES),
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 9), PIECES), min_size=1, max_size=4),
)
def test_any_change_of_a_good_file(
    tmp_path_factory: pytest.TempPathFactory,
    good: dict[str, bytes],
    suffix: str,
    changes: list[tuple[float, int, bytes]],
) -> None:
    content = good[suffix]
    for place, gone, put in changes:
        at = int(place * len(content))
        content = content[:at] + put + content[at + gone :]
    read(tmp_path_factory.getbasetemp() / f"changed{suffix}", content)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(RECORD_SUFFIXES), st.lists(PIECES, max_size=20).map(b"".join))
@example(".csv", b"body\n\0\n")
@example(".csv", b'"' + b"x" * 17_000_000)
@example(".jsonl", b"\xff\xfe\0")
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes) -> None:
    read(tmp_path_factory.getbasetemp() / f"any{suffix}", content)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from(["body", "id", "more", "at", "answer", "a"]), inner)
        ),
        max_leaves=8,
    )
)
@example({"body": False, "id": 0})
def test_any_json(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.getbasetemp() / "value.jsonl"
    next_one = ROWS[0] | {"id": "of its own"}  # longer than any that is drawn
    found = read(path, json.dumps(value).encode() + b"\n" + json.dumps(next_one).encode())
    assert isinstance(found, list)
    assert isinstance(found[-1], Record)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_without_end_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    monkeypatch.setattr(record_rows, "MAX_LINE_CHARACTERS", 1000)
    monkeypatch.setattr(data, "MAX_PART_BYTES", 1000)
    good: Callable[[int], str] = lambda n: json.dumps({**ROWS[0], "id": n})  # noqa: E731
    for length in (990, 1001, 1002, 5000):
        content = "\n".join([good(1), f'{{"id": 2, "body": "{"x" * length}"}}', good(3)])
        path = tmp_path / "t.jsonl"
        found = read(path, content.encode(encoding))
        assert isinstance(found, list)
        assert [type(row) for row in found] == [Record, BadRecord, Record]
        assert [row.line for row in found] == [1, 2, 3]
        with path.open("rb") as stream:
            parts = list(data.jsonl_parts(Holder("t.jsonl", stream, path.stat().st_size)))
        assert [type(part) for part in parts] == [Member, Unparsable, Member]
