"""Workbooks as records: new ones as openpyxl writes them, old ones record by record."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.corpus import RecordFields
from stillhouse.corpus.parse import sheets
from stillhouse.corpus.parse.record_rows import BadRecord
from stillhouse.corpus.parse.records import Record, read_records
from stillhouse.corpus.parse.sheets import sheet_rows
from stillhouse.corpus.parse.unparsable import Unparsable
from tests.mails import compound_file

FIELDS = RecordFields(id="id", text="body", label="queue", created="at")
HEADER = ["id", "body", "queue", "at"]


def workbook(path: Path, merge: Sequence[str] = (), **sheets: Iterable[Sequence[Any]]) -> Path:
    from openpyxl import Workbook

    book = Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
        for cells in merge:
            sheet.merge_cells(cells)
    book.save(path)
    return path


def edited(path: Path, part: str, old: str, new: str) -> Path:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in parts[part]
    parts[part] = parts[part].replace(old.encode(), new.encode(), 1)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def old_workbook(rows: Iterable[Sequence[str | float | None]], *, sealed: bool = False) -> bytes:
    return compound_file({"Workbook": old_stream(rows, sealed=sealed)})


def old_stream(rows: Iterable[Sequence[str | float | None]], *, sealed: bool = False) -> bytes:
    """A sheet of texts and numbers in the format of Excel 97 ([MS-XLS]): no more than that."""

    def record(kind: int, data: bytes) -> bytes:
        return struct.pack("<HH", kind, len(data)) + data

    def begin(what: int) -> bytes:
        return record(0x809, struct.pack("<HHHHII", 0x600, what, 0x0DBB, 1996, 0, 6))

    cells = b""
    for r, row in enumerate(rows):
        for c, value in enumerate(row):
            place = struct.pack("<HHH", r, c, 0)
            if isinstance(value, str):
                text = value.encode("utf-16-le")
                cells += record(0x204, place + struct.pack("<HB", len(value), 1) + text)
            elif value is not None:
                cells += record(0x203, place + struct.pack("<d", value))
    end = record(0x0A, b"")
    head = begin(5) + (record(0x2F, bytes(54)) if sealed else b"")
    font = record(0x31, struct.pack("<HHHHHBBBxBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 1, 0) + b"A")
    style = record(0xE0, struct.pack("<HHHBBBBIIH", 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0))
    start = len(head) + len(font) + len(style) + 4 + 9 + len(end)
    sheet = record(0x85, struct.pack("<IBBBB", start, 0, 0, 1, 0) + b"S")
    stream = head + font + style + sheet + end + begin(0x10) + cells + end
    return stream.ljust(4096, b"\0")


def told(records: Iterable[Any]) -> list[tuple[Any, ...]]:
    return [
        (r.line, r.reason) if isinstance(r, BadRecord) else (r.line, r.record_id, r.text, r.label)
        for r in records
    ]


def test_rows_of_all_sheets_that_have_the_columns(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "t.xlsx",
        Legend=[["queue", "meaning"], ["it", "computers"]],
        Y2023=[["Tickets of 2023"], [], HEADER, ["a", "Slow.", "it", None], [], ["b", None, "hr"]],
        Y2024=[["body", "note", "id"], ["Late.", "x", 7.0], [12.5, None, "c"]],
    )
    found = list(read_records(path, FIELDS))
    assert told(found) == [
        (6, "a", "Slow.", "it"),
        (8, "the text (body) is empty"),
        (10, "7", "Late.", None),
        (11, "c", "12.5", None),
    ]


def test_cells_are_what_a_reader_sees(tmp_path: Path) -> None:
    moment, day = datetime(2024, 5, 1, 12, 30), datetime(2024, 5, 1)  # noqa: DTZ001
    path = workbook(
        tmp_path / "t.xlsm",
        S=[
            ["day", "moment", "hour", "span", "count", "share", "yes", "bad", None, "text"],
            [day, moment, time(9, 5), timedelta(hours=30), 3.0, 0.25, True, "#N/A", "-", " x "],
        ],
    )  # fmt: skip
    ((number, cells),) = sheet_rows(path, ["text"])
    assert number == 2
    assert list(cells.values()) == [
        *(date(2024, 5, 1), moment, time(9, 5), "1 day, 6:00:00", 3, 0.25, True, None, " x "),
    ]
    assert [type(cells["count"]), list(cells)[-2:]] == [int, ["bad", "text"]]
    (record,) = read_records(path, RecordFields(text="text", created="moment"))
    assert isinstance(record, Record)
    assert record.created_at == "2024-05-01T12:30:00+00:00"


def test_formulas_say_what_they_came_to(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", S=[["n", "body"], [1, "=1+1"]])
    assert told(read_records(path, RecordFields(text="body"))) == [(2, "the text (body) is empty")]
    edited(path, "xl/worksheets/sheet1.xml", "<f>1+1</f><v></v>", "<f>1+1</f><v>2</v>")
    (record,) = read_records(path, RecordFields(text="body"))
    assert isinstance(record, Record)
    assert record.text == "2"


def test_merged_cells_hold_for_each_of_their_rows(tmp_path: Path) -> None:
    rows = [["queue", "body"], ["it", "One."], [None, "Two."], [None, "Three."], [None, "Four."]]
    path = workbook(tmp_path / "t.xlsx", merge=["A2:A4"], S=rows)
    found = list(read_records(path, RecordFields(text="body", label="queue")))
    assert [r.label for r in found if isinstance(r, Record)] == ["it", "it", "it", None]


def test_a_missing_column_is_told_by_the_first_sheet(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", Empty=[], S=[["id", "Body"], [1, "x"]])
    with pytest.raises(Unparsable) as caught:
        list(read_records(path, FIELDS))
    assert caught.value.category == "columns"
    assert "'body'; did you mean 'Body'?" in caught.value.reason


def test_a_header_alone_holds_no_record(tmp_path: Path) -> None:
    with pytest.raises(Unparsable) as caught:
        list(read_records(workbook(tmp_path / "t.xlsx", S=[HEADER]), FIELDS))
    assert caught.value.category == "empty"


def test_old_workbooks(tmp_path: Path) -> None:
    path = tmp_path / "t.xls"
    path.write_bytes(old_workbook([["id", "body"], [1.0, "Größer."], [2.5, "日本"], [None, "x"]]))
    found = told(read_records(path, RecordFields(id="id", text="body")))
    assert found == [
        (2, "1", "Größer.", None),
        (3, "2.5", "日本", None),
        (4, "the id (id) is empty"),
    ]
    path.write_bytes(old_workbook([["body"]], sealed=True))
    with pytest.raises(Unparsable) as caught:
        list(read_records(path, FIELDS))
    assert caught.value.category == "encrypted"


def test_a_new_workbook_under_an_old_suffix(tmp_path: Path) -> None:
    path = workbook(tmp_path / "t.xlsx", S=[["body"], ["x"]]).rename(tmp_path / "t.xls")
    assert told(read_records(path, RecordFields(id="body", text="body"))) == [(2, "x", "x", None)]


def test_what_is_made_to_do_harm_costs_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet, one = "xl/worksheets/sheet1.xml", RecordFields(id="body", text="body")
    path = workbook(tmp_path / "far.xlsx", S=[["body"], ["x"]])
    merged = '<mergeCells count="1"><mergeCell ref="A2:A1048576"/></mergeCells>'
    far = f'<row r="9000"><c r="XFD9000"><v>1</v></c></row></sheetData>{merged}'
    found = told(read_records(edited(path, sheet, "</sheetData>", far), one))
    again = "its id (body) already stands in an earlier line"
    assert found == [(2, "x", "x", None), (9000, again)]
    monkeypatch.setattr(sheets, "MAX_ROWS", 10_000)
    path = workbook(tmp_path / "beyond.xlsx", S=[["body"], ["x"]])
    beyond = '<row r="99999999999"><c r="A9"><v>1</v></c></row></sheetData>'
    with pytest.raises(Unparsable) as caught:
        list(read_records(edited(path, sheet, "</sheetData>", beyond), one))
    assert caught.value.category == "corrupt"
    wide = [[*(f"c{n}" for n in range(16_000)), "body"], [*([None] * 16_000), "x"]]
    assert len(told(read_records(workbook(tmp_path / "wide.xlsx", S=wide), one))) == 1


@pytest.mark.parametrize("suffix", [".xlsx", ".xls"])
def test_what_is_no_workbook(tmp_path: Path, suffix: str) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook")
        archive.writestr("_rels/.rels", "x")
    whole = workbook(tmp_path / "w.xlsx", S=[["body"], ["x"]]).read_bytes()
    for data in (
        b"PK\3\4",
        b"<html><table>",
        whole[:2000],
        stream.getvalue(),
        old_workbook([])[:900],
    ):
        (tmp_path / f"t{suffix}").write_bytes(data)
        with pytest.raises(Unparsable) as caught:
            list(read_records(tmp_path / f"t{suffix}", FIELDS))
        assert caught.value.category in ("corrupt", "unsupported"), data[:20]
