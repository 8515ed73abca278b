"""Records (tickets, messages, cases) from JSON Lines, CSV and Parquet files.

A bad line never stops the others: it comes out as a `BadRecord` that says what is wrong with it.
Only what is wrong with the whole file is raised.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from stillhouse.config.corpus import RecordFields
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError

RECORD_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet")

# A mapped column counts as missing when none of the first lines has it.
LOOK_AHEAD = 100
MAX_CELL_CHARACTERS = 16 * 1024 * 1024
MISSING = object()
LONE_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Record:
    """One record; `created_at` is ISO 8601 in UTC, `line` its line (or row, in Parquet) from 1."""

    record_id: str
    text: str
    label: str | None
    created_at: str | None
    line: int


@dataclass(frozen=True)
class BadRecord:
    line: int
    reason: str


Row = tuple[int, Mapping[str, Any]]


def read_records(path: Path, fields: RecordFields) -> Iterator[Record | BadRecord]:
    """Yield the file's records in order, bad ones as `BadRecord`.

    A record without an id column gets one from its text. Times without a zone are taken as UTC,
    numbers as seconds (or milliseconds) since 1970. A field name with dots also reaches into
    nested objects.

    Raises:
        UserError: a mapped field is no column of the file.
        Unparsable: the file as a whole is empty, corrupt, unreadable or of an unknown kind.
    """
    try:
        rows = _rows(path)
        head = list(itertools.islice(rows, LOOK_AHEAD))
        if not head:
            raise Unparsable(
                "empty", "the file holds no record", remedy="export it again, or remove it."
            )
        _check_columns(path, fields, head)
        yield from _records(itertools.chain(head, rows), fields)
    except OSError as error:
        raise Unparsable(
            "unreadable",
            f"the file can't be read: {error.strerror or error}",
            remedy="check that it is there and that this user may read it.",
        ) from error


def _rows(path: Path) -> Iterator[Row | BadRecord]:
    suffix = path.suffix.lower()
    if suffix in (".jsonl", ".ndjson"):
        return _json_rows(path)
    if suffix in (".csv", ".tsv"):
        return _csv_rows(path, "\t" if suffix == ".tsv" else None)
    if suffix == ".parquet":
        return _parquet_rows(path)
    raise Unparsable(
        "unsupported",
        f"{suffix or 'a file without a suffix'} is no kind of record file",
        remedy=f"use one of {', '.join(RECORD_SUFFIXES)}.",
    )


def _records(rows: Iterable[Row | BadRecord], fields: RecordFields) -> Iterator[Record | BadRecord]:
    first_line: dict[str, int] = {}
    seen: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, BadRecord):
            yield row
            continue
        line, values = row
        try:
            record = _record(line, values, fields)
        except ValueError as error:
            yield BadRecord(line, str(error))
            continue
        if fields.id is None:
            seen[record.record_id] += 1
            if seen[record.record_id] > 1:
                record = replace(record, record_id=f"{record.record_id}-{seen[record.record_id]}")
            yield record
            continue
        earlier = first_line.setdefault(record.record_id, line)
        if earlier == line:
            yield record
        else:
            yield BadRecord(line, f"the id {record.record_id!r} already stands in line {earlier}")


def _record(line: int, values: Mapping[str, Any], fields: RecordFields) -> Record:
    parts = [_string(_value(values, name)) for name in _text_names(fields)]
    text = "\n\n".join(part for part in parts if part)
    if not text:
        raise ValueError(f"the text ({', '.join(_text_names(fields))}) is empty")
    if fields.id is None:
        record_id = hashlib.sha256(text.encode()).hexdigest()[:16]
    else:
        record_id = _string(_value(values, fields.id))
        if not record_id:
            raise ValueError(f"the id ({fields.id}) is empty")
    label = _string(_value(values, fields.label)) if fields.label else ""
    created = _value(values, fields.created) if fields.created else None
    return Record(record_id, text, label or None, _utc(created, fields.created), line)


def _text_names(fields: RecordFields) -> list[str]:
    return [fields.text] if isinstance(fields.text, str) else fields.text


def _value(values: Mapping[str, Any], name: str, default: Any = None) -> Any:
    """`values[name]`; for `a.b` that is no column itself, `values["a"]["b"]`."""
    if name in values or "." not in name:
        return values.get(name, default)
    value: Any = values
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return default
        value = value[part]
    return value


def _string(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | bytes):
        raise ValueError(f"a text was expected, not {type(value).__name__}")
    text = str(value).strip()
    if LONE_SURROGATES.search(text):
        raise ValueError("the text is not valid Unicode")
    return text


def _utc(value: Any, name: str | None) -> str | None:
    if value is None or value == "":
        return None
    try:
        moment = _moment(value)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, OSError) as error:
        raise ValueError(f"the time ({name}) can't be read: {value!r}") from error
    return aware.isoformat(timespec="seconds")


def _moment(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    text = str(value).strip()
    if re.fullmatch(r"\d{9,14}(\.\d*)?", text):
        number = float(text)
        return datetime.fromtimestamp(number / 1000 if number > 1e11 else number, tz=UTC)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return parsedate_to_datetime(text)  # RFC 5322, as mail systems export it


def _check_columns(path: Path, fields: RecordFields, head: list[Row | BadRecord]) -> None:
    rows = [row[1] for row in head if not isinstance(row, BadRecord)]
    if not rows:
        return
    columns = list(dict.fromkeys(name for row in rows for name in row))
    mapped: dict[str, list[str | None]] = {
        "id": [fields.id],
        "text": [*_text_names(fields)],
        "label": [fields.label],
        "created": [fields.created],
    }
    for field, names in mapped.items():
        for name in names:
            if name and all(_value(row, name, MISSING) is MISSING for row in rows):
                raise UserError(
                    f"{path}: fields.{field}: there is no column {name!r}; "
                    f"the file has {', '.join(columns)}",
                    remedy=f"name one of these columns in `fields.{field}` of the source.",
                )


def _json_rows(path: Path) -> Iterator[Row | BadRecord]:
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            yield BadRecord(number, f"not JSON: {error}")
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
        except csv.Error as error:
            yield BadRecord(number, f"not CSV: {error}")
            continue
        if not any(cells):
            continue
        if len(cells) == len(names):
            yield number, dict(zip(names, cells, strict=True))
        else:
            yield BadRecord(number, f"{len(cells)} cells where the header has {len(names)}")


def _lines(path: Path) -> Iterator[str]:
    """Lines of a UTF-8 file, with or without byte order mark.

    Bytes that aren't UTF-8 become lone surrogates, which only spoil the field they are in.
    """
    # newline="" would leave "\r" inside quoted cells alone, but also lone "\r" as line ends.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="\n") as stream:
        yield from stream


def _parquet_rows(path: Path) -> Iterator[Row | BadRecord]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path.stat().st_size == 0:
        return
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1000):
                for values in batch.to_pylist():
                    number += 1
                    yield number, values
    except pa.ArrowException as error:
        raise Unparsable(
            "corrupt",
            f"not a whole Parquet file: {str(error).splitlines()[0]}",
            remedy="write the file again.",
        ) from error
