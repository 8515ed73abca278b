"""Workbooks of records (.xlsx, .xlsm and .xls): the rows of their sheets, by the header's columns.

Of .xlsx (ECMA-376) a sheet is read row by row and never held; the texts that its sheets share are.
A formula says what it came to when the file was saved.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from stillhouse.corpus.parse.elements import AS_USUAL
from stillhouse.corpus.parse.legacy import another, as_new, open_workbook
from stillhouse.corpus.parse.office import whole_office_file
from stillhouse.corpus.parse.parts import of_the_disk
from stillhouse.corpus.parse.unparsable import Unparsable

SHEET_SUFFIXES = (".xlsx", ".xlsm", ".xls")
# Above a header may stand what the table is called, and when it was made.
HEADER_WITHIN = 20
MAX_ROWS = 1 << 20  # what Excel has
MAX_MERGED = 100_000  # of a sheet
MERGED = re.compile(
    rb'<(?:\w+:)?mergeCell\s[^>]{0,200}?ref="([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})"'
)
CHUNK, OVERLAP = 1 << 20, 400
LARGEST_WHOLE = 2**53  # from here on, a float is no longer this very number

Cells = Sequence[Any]


@dataclass(frozen=True)
class Sheet:
    """`rows` gives all from the first on, empty ones too; `merged` the cells that are one with
    those below them: column from 0, first row and last row from 1."""

    rows: Callable[[], Iterator[Cells]]
    merged: Callable[[], Iterator[tuple[int, int, int]]]


def sheet_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Rows with their numbers from 1, counted through all sheets, and their cells by column.

    A sheet's header is the first row that has all the columns `needed`; a sheet without them is
    passed over. Where none has them, the first sheet that holds anything is read by its first row,
    so that it can be told what it lacks. Empty rows are left out.

    Raises:
        OSError: the file can't be read.
        Unparsable: it is no workbook, or asks for a password.
    """
    try:
        numbers, found = itertools.count(1), False
        for sheet in _sheets(path):
            rows = _records(sheet, needed, numbers)
            found |= next(rows, None) is not None
            yield from rows
        if not found:
            for sheet in _sheets(path):
                rows = _records(sheet, (), itertools.count(1))
                if next(rows, None) is not None:
                    yield from rows
                    return
    except (Unparsable, MemoryError):
        raise
    except Exception as error:  # openpyxl and xlrd raise whatever a damaged file makes them
        if of_the_disk(error):
            raise
        raise Unparsable(
            "corrupt",
            f"not a whole workbook ({type(error).__name__})",
            remedy="open it in its own program and save it again.",
        ) from None


def _records(
    sheet: Sheet, needed: Sequence[str], numbers: Iterator[int]
) -> Iterator[tuple[int, dict[str, Any]]]:
    """The header first, by itself, and then the rows below it."""
    rows = (
        (place, number, cells)
        for place, (cells, number) in enumerate(zip(sheet.rows(), numbers, strict=False), start=1)
        if any(cell not in (None, "") for cell in cells)
    )
    head = list(itertools.islice(rows, HEADER_WITHIN))
    at = next((n for n, row in enumerate(head) if set(needed) <= {*_names(row[2])}), None)
    if at is None or not head:
        for _ in rows:  # counted
            pass
        return
    top, number, cells = head[at]
    names = _names(cells)
    yield number, dict.fromkeys(names)
    below = itertools.chain(head[at + 1 :], rows)
    for number, cells in _filled_down(below, sheet, top):
        values = itertools.chain(cells, itertools.repeat(None))
        yield number, {n: v for n, v in zip(names, values, strict=False) if n}


def _names(cells: Cells) -> list[str]:
    return ["" if cell is None else str(cell).strip() for cell in cells]


def _filled_down(
    rows: Iterator[tuple[int, int, Cells]], sheet: Sheet, top: int
) -> Iterator[tuple[int, Cells]]:
    """What stands in the first of merged cells, in each row that holds anything; not of a header,
    in row `top`."""
    begin: dict[int, list[tuple[int, int]]] = {}
    for column, first, last in itertools.islice(sheet.merged(), MAX_MERGED):
        if first > top:
            begin.setdefault(first, []).append((column, last))
    lasting: dict[int, tuple[int, Any]] = {}
    for place, number, cells in rows:
        if begin:
            cells = list(cells)
            for column, last in begin.get(place, ()):
                lasting[column] = last, cells[column] if column < len(cells) else None
            lasting = {c: (last, value) for c, (last, value) in lasting.items() if last >= place}
            for column, (_, value) in lasting.items():
                cells += [None] * (column + 1 - len(cells))
                cells[column] = value if cells[column] in (None, "") else cells[column]
        yield number, cells


def _sheets(path: Path) -> Iterator[Sheet]:
    data, kind = path.read_bytes(), path.suffix.lower()
    if kind == ".xls":
        kind, data = as_new(data, kind, AS_USUAL)
    if kind == ".xls":
        yield from _old_sheets(data)
    elif kind in SHEET_SUFFIXES:
        yield from _new_sheets(data)
    else:
        raise another(".xls")


def _new_sheets(data: bytes) -> Iterator[Sheet]:
    from openpyxl import load_workbook  # type: ignore[import-untyped]
    from openpyxl.cell.cell import ERROR_CODES  # type: ignore[import-untyped]
    from openpyxl.utils import column_index_from_string  # type: ignore[import-untyped]

    file = whole_office_file(data, "xl/workbook.xml")
    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)

    def rows(sheet: Any) -> Iterator[Cells]:
        for number, cells in enumerate(sheet.iter_rows(values_only=True)):
            if number >= MAX_ROWS:
                raise ValueError("more rows than a sheet has")
            yield [None if c in ERROR_CODES else _plain(c) for c in cells]

    def merged(sheet: Any) -> Iterator[tuple[int, int, int]]:
        """Below all rows: a second look at the sheet, which openpyxl doesn't give when it is read
        row by row."""
        with sheet._get_source() as source:
            tail = b""
            while chunk := source.read(CHUNK):
                text = tail + chunk
                end = 0
                for match in MERGED.finditer(text):
                    column, first, last = match[1].decode(), int(match[2]), int(match[3])
                    end = match.end()
                    if last > first:
                        yield column_index_from_string(column) - 1, first, last
                tail = text[max(end, len(text) - OVERLAP) :]

    for sheet in book.worksheets:
        sheet.reset_dimensions()  # what it says of its size may be wrong
        yield Sheet(partial(rows, sheet), partial(merged, sheet))


def _old_sheets(data: bytes) -> Iterator[Sheet]:
    import xlrd  # type: ignore[import-untyped]

    book = open_workbook(data, merged=True)

    def value(cell: Any, kind: int) -> Any:
        if kind == xlrd.XL_CELL_DATE:
            return xlrd.xldate_as_datetime(cell, book.datemode)
        if kind == xlrd.XL_CELL_BOOLEAN:
            return bool(cell)
        return None if kind in (xlrd.XL_CELL_ERROR, xlrd.XL_CELL_EMPTY) else cell

    def rows(sheet: Any) -> Iterator[Cells]:
        for number in range(sheet.nrows):
            kinds = sheet.row_types(number)
            cells = sheet.row_values(number)
            yield [_plain(value(*pair)) for pair in zip(cells, kinds, strict=True)]

    def merged(sheet: Any) -> Iterator[tuple[int, int, int]]:
        for first, last, column, _ in sheet.merged_cells:  # from 0, the last one after its end
            if last - first > 1:
                yield column, first + 1, last

    for number in range(book.nsheets):
        sheet = book.sheet_by_index(number)
        yield Sheet(partial(rows, sheet), partial(merged, sheet))
        book.unload_sheet(number)


def _plain(value: Any) -> Any:
    """Sheets keep days as midnights, and whole numbers as floats."""
    match value:
        case datetime() if value.time() == time.min:
            return value.date()
        case timedelta():
            return str(value)
        case float() if value.is_integer() and abs(value) < LARGEST_WHOLE:
            return int(value)
    return value
