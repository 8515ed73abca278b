"""Lines of record files as columns and cells: JSON Lines, CSV, Parquet and workbooks.

Each comes with a digest of all that it says, before it is taken apart: a line that was read before
need not be read again.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillhouse.corpus.parse.encodings import SAMPLE_BYTES, encoding_of
from stillhouse.corpus.parse.sheets import SHEET_SUFFIXES, sheet_rows
from stillhouse.corpus.parse.unparsable import Unparsable

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", *SHEET_SUFFIXES)
MAX_CELL_CHARACTERS = 16 * 1024 * 1024
# Of a line, which is in memory several times while it is taken apart.
MAX_LINE_CHARACTERS = 4 * MAX_CELL_CHARACTERS
LONE_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class BadRecord:
    line: int
    reason: str
    digest: str = field(default="", compare=False)


class Bad(Exception):  # noqa: N818 - a state of a record
    """What is wrong with a record. Other errors' words may hold its content; these don't."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


TOO_LONG = f"a line of more than {MAX_LINE_CHARACTERS >> 20} million characters"

Row = tuple[int, Mapping[str, Any]]
# The number of a line (of a row, in Parquet and workbooks) from 1, a digest of what it says, and
# the line as `RecordFile.cells` takes it.
Line = tuple[int, str, Any]
DIGEST_BYTES = 16


@dataclass(frozen=True)
class RecordFile:
    """The lines of a file, none of them taken apart yet, and what takes one apart.

    Two lines of a digest give the same cells. Iterating raises what `open_records` does.
    """

    lines: Iterator[Line]
    cells: Callable[[Any], Mapping[str, Any] | str]

    def row(self, line: Line) -> Row | BadRecord:
        number, digest, content = line
        cells = self.cells(content)
        return BadRecord(number, cells, digest) if isinstance(cells, str) else (number, cells)


def open_records(path: Path, mapped: Sequence[str], needed: Sequence[str] = ()) -> RecordFile:
    """The lines of a file that hold anything; `mapped` are the columns asked for, `needed` those
    by which a workbook's sheets of records are known.

    Raises:
        OSError: the file can't be read.
        Unparsable: it is of an unknown kind, or no whole Parquet file or workbook.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return RecordFile(_json_lines(path), _json_cells)
    if suffix in (".csv", ".tsv"):
        return RecordFile(_csv_lines(path, "\t" if suffix == ".tsv" else None), _as_it_is)
    if suffix == ".parquet":
        return RecordFile(_parquet_lines(path, mapped), _as_it_is)
    if suffix in SHEET_SUFFIXES:
        rows = sheet_rows(path, needed)
        return RecordFile((_told(number, cells) for number, cells in rows), _as_it_is)
    raise no_record_file()


def rows_of_file(path: Path, mapped: Sequence[str]) -> Iterator[Row | BadRecord]:
    """Line or row numbers from 1 and their cells; raises what `open_records` does."""
    file = open_records(path, mapped)
    return map(file.row, file.lines)


def _digest(said: str) -> str:
    data = said.encode("utf-8", "surrogatepass")
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).hexdigest()


def _as_it_is(content: Mapping[str, Any] | str) -> Mapping[str, Any] | str:
    return content


def no_record_file() -> Unparsable:
    return Unparsable(
        "unsupported",
        "a file of this suffix is no kind of record file",
        remedy=f"use one of {', '.join(RECORD_SUFFIXES)}.",
    )


def _json_lines(path: Path) -> Iterator[Line]:
    for number, line in enumerate(_lines(path), start=1):
        # The last line may get its end only when another one follows.
        line = line.removesuffix("\n")
        if line.strip():
            yield number, _digest(line), line


def _json_cells(line: str) -> Mapping[str, Any] | str:
    if len(line) > MAX_LINE_CHARACTERS:
        return TOO_LONG
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        return f"not JSON, from its character {error.pos + 1} on"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, say
        return f"not JSON that can be read ({type(error).__name__})"
    return value if isinstance(value, dict) else f"not a JSON object but {type(value).__name__}"


def _csv_lines(path: Path, delimiter: str | None) -> Iterator[Line]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    lines = _lines(path)
    header = next(lines, None)
    if header is None:
        return
    delimiter = delimiter or max(",;\t|", key=header.count)
    rows = csv.reader(itertools.chain([header], lines), delimiter=delimiter)
    try:
        names = [name.strip() for name in next(rows)]
    except csv.Error:
        raise Unparsable(
            "corrupt", "not CSV: its header is broken, or too long", remedy="export it again."
        ) from None
    while True:
        number = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield _told(number, "not CSV: a cell is broken, or too long")
            continue
        if not any(cells):
            continue
        if len(cells) == len(names):
            yield _told(number, dict(zip(names, cells, strict=True)))
        else:
            yield _told(number, f"{len(cells)} cells where the header has {len(names)}")


def _told(number: int, content: dict[str, Any] | str) -> Line:
    """A line that is taken apart already: what it says are its columns and cells."""
    return number, _digest(repr(content)), content


def _lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 or UTF-16 file, with or without byte order mark.

    Bytes that aren't UTF-8 become lone surrogates, which only spoil the field they are in. A line
    that is too long is cut where that shows, and the rest of it passed over.
    """
    with path.open("rb") as raw:
        encoding = encoding_of(raw.read(SAMPLE_BYTES))
    errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
    # newline="" would leave "\r" inside quoted cells alone, but also lone "\r" as line ends.
    with path.open(encoding=encoding, errors=errors, newline="\n") as stream:
        while line := stream.readline(MAX_LINE_CHARACTERS + 1):
            yield line
            while len(line) > MAX_LINE_CHARACTERS and line[-1] != "\n":
                line = stream.readline(MAX_LINE_CHARACTERS + 1)
                if not line:
                    break


def _parquet_lines(path: Path, mapped: Sequence[str]) -> Iterator[Line]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        return
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            columns = _needed(file.schema_arrow.names, mapped)
            for batch in file.iter_batches(batch_size=1000, columns=columns):
                for values in _values(batch):
                    number += 1
                    yield _told(number, values)
    except pa.ArrowException as error:
        raise Unparsable(
            "corrupt",
            f"not a whole Parquet file ({type(error).__name__})",
            remedy="write the file again.",
        ) from error


def _needed(columns: list[str], mapped: Sequence[str]) -> list[str]:
    """The mapped ones, or all if there is none: what is wrong with another spoils no record."""
    needed = [c for c in columns if any(n == c or n.startswith(f"{c}.") for n in mapped)]
    return needed or columns


def _values(batch: Any) -> Iterator[dict[str, Any] | str]:
    """The rows of an Arrow batch; for one with a value that Python can't hold, what is wrong."""
    try:
        yield from batch.to_pylist()
        return
    except (ValueError, OverflowError):  # a time beyond the year 9999, bytes that are no text
        pass
    for index in range(batch.num_rows):
        try:
            yield from batch.slice(index, 1).to_pylist()
        except (ValueError, OverflowError) as error:
            yield f"a value can't be read ({type(error).__name__})"
