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
from stillhouse.corpus.parse.record_rows import BadRecord
from stillhouse.corpus.parse.records import Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable

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
        (7, "time (created_at)"),
        (8, "id (ticket_id) already stands"),
    ]:
        assert part in bad[line]


def test_reasons_hold_nothing_of_what_stands_in_the_file(tmp_path: Path) -> None:
    secret = "Zebulon"
    good = {"ticket_id": secret, "body": secret, "queue": secret, "created_at": None}
    lines = [
        good,
        good,
        {**good, "ticket_id": "2", "created_at": secret},
        {**good, "ticket_id": "3", "body": {secret: secret}},
        {**good, "ticket_id": "4", "created_at": f"2024-13-45T{secret}"},
        f'{{"ticket_id": {secret}',
        f'{{"ticket_id": "\\{secret}"',
        f'["{secret}"]',
        f'"{secret}"',
    ]
    path = jsonl(tmp_path / f"{secret}.jsonl", *lines)
    bad = [r for r in read_records(path, FIELDS) if isinstance(r, BadRecord)]
    assert [r.line for r in bad] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert not [r for r in bad if secret in r.reason]
    table = tmp_path / "t.csv"  # without a header line, the columns are somebody's data
    table.write_text(f"{secret},{secret} 2\nx,y\n")
    with pytest.raises(Unparsable) as caught:
        list(read_records(table, FIELDS))
    assert caught.value.category == "columns"
    assert secret not in caught.value.reason + caught.value.remedy


@pytest.mark.parametrize(
    ("bad", "good"),
    [
        ('{"ticket_id": 2, "body": "x", "queue": ' + "9" * 5000 + "}", 2),
        ('{"ticket_id": 2, "body": ' + "[" * 100_000 + "}", 2),
        ('{"ticket_id": 2, "body": "x", "created_at": 99999999999999}', 3),
        ('{"ticket_id": 2, "body": "x", "created_at": "0001-01-01T00:00:00+14:00"}', 2),
        ('{"ticket_id": 2, "body": "x", "created_at": 1e999}', 2),
        ('{"ticket_id": 2, "body": "\\ud800"}', 2),
    ],
)
def test_odd_values_cost_their_record_alone(tmp_path: Path, bad: str, good: int) -> None:
    usual = {"ticket_id": 1, "body": "a", "queue": "q", "created_at": None}
    path = jsonl(tmp_path / "t.jsonl", usual, bad, {**usual, "ticket_id": 3})
    found = list(read_records(path, FIELDS))
    assert len(found) == 3
    assert sum(isinstance(r, Record) for r in found) == good


def test_a_time_that_python_cannot_hold_costs_its_row_alone(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    times = pa.array([0, 2**60, 0], pa.int64()).cast(pa.timestamp("ms"))
    table = pa.table({"body": ["a", "b", "c"], "at": times, "other": times})
    pq.write_table(table, tmp_path / "t.parquet")
    fields = RecordFields(text="body", created="at")
    found = list(read_records(tmp_path / "t.parquet", fields))
    assert [type(r) for r in found] == [Record, BadRecord, Record]
    # In a column that nothing asks for, it costs nothing.
    unmapped = list(read_records(tmp_path / "t.parquet", RecordFields(text="body")))
    assert [type(r) for r in unmapped] == [Record] * 3


def test_null_characters_go(tmp_path: Path) -> None:
    values = {"ticket_id": "T\0-1", "body": "a\0b", "queue": "i\0t", "created_at": None}
    (record,) = read_records(jsonl(tmp_path / "t.jsonl", values), FIELDS)
    assert isinstance(record, Record)
    assert (record.record_id, record.text, record.label) == ("T-1", "ab", "it")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_records_in_utf16(tmp_path: Path, encoding: str, kind: str) -> None:
    path = write_as(kind, tmp_path / f"t.{kind}")
    path.write_bytes(path.read_text("utf-8").encode(encoding))
    assert tuples(list(read_records(path, FIELDS))) == EXPECTED


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


def test_a_missing_column_names_the_field_and_what_comes_close(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "tickets.jsonl", {"id": 1, "Body": "hello"})
    with pytest.raises(Unparsable) as caught:
        list(read_records(path, RecordFields(text="body", id="id")))
    assert caught.value.category == "columns"
    assert "fields.text" in caught.value.reason
    assert "'body'; did you mean 'Body'?" in caught.value.reason
    assert "fields.text" in caught.value.remedy


def test_optional_column_may_be_missing_from_some_lines_not_from_all(tmp_path: Path) -> None:
    lines = [{"body": "a"}, {"body": "b", "queue": "it"}]
    fields = RecordFields(text="body", label="queue")
    path = jsonl(tmp_path / "a.jsonl", *lines)
    labels = [r.label for r in read_records(path, fields) if isinstance(r, Record)]
    assert labels == [None, "it"]
    with pytest.raises(Unparsable, match="queue"):
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
