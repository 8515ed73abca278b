from __future__ import annotations

import json
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.config.corpus import RecordFields
from stillhouse.corpus.parse.records import BadRecord, Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError

FIELDS = RecordFields(id="ticket_id", text="body", label="queue", created="created_at")
ROWS: list[dict[str, Any]] = [
    {"ticket_id": "T-1", "body": "My laptop is slow.", "queue": "it", "created_at": "2024-05-01"},
    {"ticket_id": "T-2", "body": "Wo ist mein Geld?", "queue": "", "created_at": ""},
    {
        "ticket_id": "T-3",
        "body": "Two\nlines, one comma",
        "queue": "hr",
        "created_at": "2024-05-01T12:00:00+02:00",
    },
]
EXPECTED = [
    ("T-1", "My laptop is slow.", "it", "2024-05-01T00:00:00+00:00"),
    ("T-2", "Wo ist mein Geld?", None, None),
    ("T-3", "Two\nlines, one comma", "hr", "2024-05-01T10:00:00+00:00"),
]


def jsonl(path: Path, *lines: Any) -> Path:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text(text + "\n", "utf-8")
    return path


def tuples(records: list[Record | BadRecord]) -> list[tuple[Any, ...]]:
    assert all(isinstance(record, Record) for record in records), records
    return [(r.record_id, r.text, r.label, r.created_at) for r in records]  # type: ignore[union-attr]


def write_as(kind: str, path: Path) -> Path:
    if kind == "parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(ROWS), path)
        return path
    if kind == "jsonl":
        return jsonl(path, *ROWS)
    import csv

    delimiter = {"csv": ",", "tsv": "\t", "semicolon": ";"}[kind]
    encoding = "utf-8-sig" if kind == "semicolon" else "utf-8"  # as spreadsheets export
    with path.open("w", encoding=encoding, newline="") as stream:
        writer = csv.DictWriter(stream, list(ROWS[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(ROWS)
    return path


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("jsonl", "jsonl"),
        ("csv", "csv"),
        ("semicolon", "csv"),
        ("tsv", "tsv"),
        ("parquet", "parquet"),
    ],
)
def test_every_kind_gives_the_same_records(tmp_path: Path, kind: str, suffix: str) -> None:
    path = write_as(kind, tmp_path / f"tickets.{suffix}")
    assert tuples(list(read_records(path, FIELDS))) == EXPECTED


def test_bad_lines_say_why_and_the_rest_goes_on(tmp_path: Path) -> None:
    good = {"ticket_id": "T-1", "body": "fine"}
    path = jsonl(
        tmp_path / "tickets.jsonl",
        {**good, "queue": "it", "created_at": None},
        '{"ticket_id": "T-2", "body": ',
        "[1, 2]",
        {"ticket_id": "T-3", "body": "   "},
        {"body": "no id"},
        {"ticket_id": "T-4", "body": {"nested": 1}},
        {"ticket_id": "T-5", "body": "when?", "created_at": "last Tuesday"},
        good,
        {"ticket_id": "T-9", "body": "last"},
    )
    results = list(read_records(path, FIELDS))
    good_ids = [r.record_id for r in results if isinstance(r, Record)]
    bad = {r.line: r.reason for r in results if isinstance(r, BadRecord)}
    assert good_ids == ["T-1", "T-9"]
    assert list(bad) == [2, 3, 4, 5, 6, 7, 8]
    for line, part in [
        (2, "not JSON"),
        (3, "list"),
        (4, "text (body) is empty"),
        (5, "id (ticket_id) is empty"),
        (6, "dict"),
        (7, "last Tuesday"),
        (8, "'T-1' already stands in line 1"),
    ]:
        assert part in bad[line]


def test_csv_rows_of_the_wrong_width_and_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(
        b"ticket_id,body,queue,created_at\nT-1,one,it,\nT-2,too,few\nT-3,caf\xe9,it,\nT-4,ok,it,\n"
    )
    results = list(read_records(path, FIELDS))
    assert [getattr(r, "record_id", None) for r in results] == ["T-1", None, None, "T-4"]
    assert results[1] == BadRecord(3, "3 cells where the header has 4")
    assert isinstance(results[2], BadRecord)
    assert "Unicode" in results[2].reason


def test_missing_column_names_file_field_and_columns(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "tickets.jsonl", {"id": 1, "text": "hello"})
    with pytest.raises(UserError) as caught:
        list(read_records(path, RecordFields(text="body", id="id")))
    for part in ("tickets.jsonl", "fields.text", "'body'", "id, text"):
        assert part in str(caught.value)


def test_optional_column_may_be_missing_from_some_lines_not_from_all(tmp_path: Path) -> None:
    lines = [{"body": "a"}, {"body": "b", "queue": "it"}]
    fields = RecordFields(text="body", label="queue")
    path = jsonl(tmp_path / "a.jsonl", *lines)
    labels = [r.label for r in read_records(path, fields) if isinstance(r, Record)]
    assert labels == [None, "it"]
    with pytest.raises(UserError, match="queue"):
        list(read_records(jsonl(tmp_path / "b.jsonl", lines[0]), fields))


def test_texts_join_and_dots_reach_into_objects(tmp_path: Path) -> None:
    path = jsonl(
        tmp_path / "jira.jsonl", {"key": 7, "fields": {"summary": "Slow", "description": None}}
    )
    fields = RecordFields(id="key", text=["fields.summary", "fields.description", "key"])
    assert [r.text for r in read_records(path, fields) if isinstance(r, Record)] == ["Slow\n\n7"]


def test_ids_from_texts_are_stable_and_unique(tmp_path: Path) -> None:
    fields = RecordFields(text="body")
    one = list(read_records(jsonl(tmp_path / "1.jsonl", {"body": "a"}, {"body": "b"}), fields))
    two = list(
        read_records(
            jsonl(tmp_path / "2.jsonl", {"body": "b"}, {"body": "a"}, {"body": "a"}), fields
        )
    )
    first, second = ([r.record_id for r in rs if isinstance(r, Record)] for rs in (one, two))
    assert set(first) < set(second)
    assert len(set(second)) == 3


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_empty_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"empty.{suffix}"
    path.write_bytes(b"")
    with pytest.raises(Unparsable) as caught:
        list(read_records(path, FIELDS))
    assert caught.value.category == "empty"


def test_whole_files_that_cannot_be_read(tmp_path: Path) -> None:
    parquet = write_as("parquet", tmp_path / "t.parquet")
    parquet.write_bytes(parquet.read_bytes()[:200])
    (tmp_path / "t.xml").write_text("<a/>")
    for name, category in [
        ("t.parquet", "corrupt"),
        ("t.xml", "unsupported"),
        ("missing.csv", "unreadable"),
    ]:
        with pytest.raises(Unparsable) as caught:
            list(read_records(tmp_path / name, FIELDS))
        assert caught.value.category == category


def test_a_file_of_bad_lines_only_is_no_error_of_the_columns(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "log.jsonl", "not json", "nor this")
    assert [type(r) for r in read_records(path, FIELDS)] == [BadRecord, BadRecord]


@given(st.integers(0, 3 * 10**9))
def test_every_way_to_write_a_time_means_the_same(
    tmp_path_factory: pytest.TempPathFactory, seconds: int
) -> None:
    moment = datetime.fromtimestamp(seconds, tz=UTC)
    ways: list[Any] = [moment.isoformat(), format_datetime(moment)]
    if seconds >= 10**9:
        ways += [seconds, str(seconds), seconds * 1000]
    path = tmp_path_factory.mktemp("times") / "t.jsonl"
    jsonl(path, *({"body": str(n), "at": way} for n, way in enumerate(ways)))
    records = list(read_records(path, RecordFields(text="body", created="at")))
    assert {r.created_at for r in records if isinstance(r, Record)} == {moment.isoformat()}
    assert len(records) == len(ways)
