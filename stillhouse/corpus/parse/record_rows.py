"""Lines of record files as columns and cells: JSON Lines, CSV and Parquet."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.corpus.parse.encodings import SAMPLE_BYTES, encoding_of
from stillhouse.corpus.parse.unparsable import Unparsable

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")
MAX_CELL_CHARACTERS = 16 * 1024 * 1024
LONE_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class BadRecord:
    line: int
    reason: str


class Bad(Exception):  # noqa: N818 - a state of a record
    """What is wrong with a record. Other errors' words may hold its content; these don't."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Row = tuple[int, Mapping[str, Any]]


def rows_of_file(path: Path, mapped: Sequence[str]) -> Iterator[Row | BadRecord]:
    """Line (in Parquet, row) numbers from 1 and their cells; `mapped` are the columns asked for.

    Raises:
        OSError: the file can't be read.
        Unparsable: it is of an unknown kind, or no whole Parquet file.
    """
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_rows(path)
    if suffix in (".csv", ".tsv"):
        return _csv_rows(path, "\t" if suffix == ".tsv" else None)
    if suffix == ".parquet":
        return _parquet_rows(path, mapped)
    raise no_record_file()


def no_record_file() -> Unparsable:
    return Unparsable(
        "unsupported",
        "a file of this suffix is no kind of record file",
        remedy=f"use one of {', '.join(RECORD_SUFFIXES)}.",
    )


def _json_rows(path: Path) -> Iterator[Row | BadRecord]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            yield BadRecord(number, f"not JSON, from its character {error.pos + 1} on")
            continue
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, say
            yield BadRecord(number, f"not JSON that can be read ({type(error).__name__})")
            continue
        if isinstance(value, dict):
            yield number, value
        else:
            yield BadRecord(number, f"not a JSON object but {type(value).__name__}")


def _csv_rows(path: Path, delimiter: str | None) -> Iterator[Row | BadRecord]:
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    lines = _lines(path)
    header = next(lines, None)
    if header is None:
        return
    delimiter = delimiter or max(",;\t|", key=header.count)
    rows = csv.reader(itertools.chain([header], lines), delimiter=delimiter)
    names = [name.strip() for name in next(rows)]
    while True:
        number = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error:
            yield BadRecord(number, "not CSV: a cell is broken, or too long")
            continue
        if not any(cells):
            continue
        if len(cells) == len(names):
            yield number, dict(zip(names, cells, strict=True))
        else:
            yield BadRecord(number, f"{len(cells)} cells where the header has {len(names)}")


def _lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 or UTF-16 file, with or without byte order mark.

    Bytes that aren't UTF-8 become lone surrogates, which only spoil the field they are in.
    """
    with path.open("rb") as raw:
        encoding = encoding_of(raw.read(SAMPLE_BYTES))
    errors = "surrogateescape" if encoding == "utf-8-sig" else "replace"
    # newline="" would leave "\r" inside quoted cells alone, but also lone "\r" as line ends.
    with path.open(encoding=encoding, errors=errors, newline="\n") as stream:
        yield from stream


def _parquet_rows(path: Path, mapped: Sequence[str]) -> Iterator[Row | BadRecord]:
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
                    yield BadRecord(number, values) if isinstance(values, str) else (number, values)
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
