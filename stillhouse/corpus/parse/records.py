"""Records (tickets, messages, cases) from JSON Lines, CSV and Parquet files, and workbooks.

A bad line never stops the others: it comes out as a `BadRecord` that says what is wrong with it,
by the names of columns and never by what stands in them. Only what is wrong with the whole file is
raised. Memory is bounded but for eight bytes (and Python's own some forty) for each id.
"""

from __future__ import annotations

import difflib
import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from stillhouse.config.corpus import RecordFields
from stillhouse.config.dataset import Column
from stillhouse.corpus.parse.before import RowsBefore
from stillhouse.corpus.parse.columns import said_in, to_json
from stillhouse.corpus.parse.record_rows import (
    LONE_SURROGATES,
    Bad,
    BadRecord,
    RecordFile,
    Row,
    open_records,
    rows_of_file,
)
from stillhouse.corpus.parse.unparsable import Unparsable, unreadable

# A mapped column counts as missing when none of the first lines has it.
LOOK_AHEAD = 100
MISSING = object()
# Characters of an id that is made of what a record says.
MADE_ID = 16


@dataclass(frozen=True)
class Record:
    """One record; `created_at` is ISO 8601 in UTC, `line` its line (or row) from 1.

    `columns` is what it says in the columns that tasks read, as JSON values by column; `digest`
    that of its line.
    """

    record_id: str
    text: str
    label: str | None
    created_at: str | None
    line: int
    columns: Mapping[str, Any] = field(default_factory=dict)
    digest: str = field(default="", compare=False)


@dataclass(frozen=True)
class KnownRecord:
    """A record that would be what it was, and the number of its row in `RowsBefore`."""

    line: int
    row: int


def read_records(
    path: Path,
    fields: RecordFields,
    columns: Sequence[Column] = (),
    before: RowsBefore | None = None,
) -> Iterator[Record | BadRecord | KnownRecord]:
    """Yield the file's records in order, bad ones as `BadRecord`.

    Of `before`, which must have been read with the same `fields` and `columns`, come those of lines
    that have not changed: no such line is taken apart.

    A record without an id column gets one from what it says. Times without a zone are taken as UTC,
    numbers as seconds (or milliseconds) since 1970. A field name with dots also reaches into
    nested objects. A file may lack any of `columns`: its records say nothing there.

    Raises:
        Unparsable: the file as a whole is empty, corrupt, unreadable or of an unknown kind, or a
            mapped field is none of its columns.
    """
    try:
        mapped = [n for n in (fields.id, *_text_names(fields), fields.label, fields.created) if n]
        file = open_records(
            path, [*mapped, *(column.name for column in columns)], _text_names(fields)
        )
        head = list(itertools.islice(file.lines, LOOK_AHEAD))
        if not head:
            raise Unparsable(
                "empty", "the file holds no record", remedy="export it again, or remove it."
            )
        if before is None or not before.begin_with([digest for _, digest, _ in head]):
            _check_columns(fields, list(map(file.row, head)))
        whole = replace(file, lines=itertools.chain(head, file.lines))
        yield from _records(whole, fields, columns, before)
    except OSError as error:
        raise unreadable(error) from error


def _records(
    file: RecordFile, fields: RecordFields, columns: Sequence[Column], before: RowsBefore | None
) -> Iterator[Record | BadRecord | KnownRecord]:
    ids = _Ids(own=fields.id is not None)
    for line in file.lines:
        number, digest, _ = line
        if before is not None and (known := before.find(digest)):
            row, record_id = known
            if ids.claim(ids.first(record_id), expected=record_id):
                yield KnownRecord(number, row)
                continue
        try:
            found = file.row(line)
            if isinstance(found, BadRecord):
                yield found
                continue
            record = replace(_record(number, found[1], fields, columns), digest=digest)
        except Bad as error:
            yield BadRecord(number, error.reason, digest)
            continue
        given = ids.claim(record.record_id)
        if given is None:
            reason = f"its id ({fields.id}) already stands in an earlier line"
            yield BadRecord(number, reason, digest)
        else:
            yield record if given == record.record_id else replace(record, record_id=given)


class _Ids:
    """The ids that came in a file so far; `own` says that records bring them, so that one that
    comes again is an error. Those that are made of what a record says get a number then."""

    def __init__(self, *, own: bool) -> None:
        self.own = own
        self._seen: set[int] = set()
        self._repeated: Counter[str] = Counter()

    def first(self, record_id: str) -> str:
        """The id without that number."""
        return record_id if self.own else record_id[:MADE_ID]

    def claim(self, record_id: str, expected: str | None = None) -> str | None:
        """The id that the next record of this one gets; None for a repeated one, and where that
        is not the one expected: nothing is claimed then."""
        number, given = _number(record_id), record_id
        again = number in self._seen
        if again:
            if self.own:
                return None
            given = f"{record_id}-{self._repeated[record_id] + 2}"
        if expected not in (None, given):
            return None
        if again:
            self._repeated[record_id] += 1
        else:
            self._seen.add(number)
        return given


def _number(record_id: str) -> int:
    """Stands for an id in eight bytes: among ten million, two are alike once in 400,000 files."""
    return int.from_bytes(hashlib.blake2b(record_id.encode(), digest_size=8).digest())


def _record(
    line: int, values: Mapping[str, Any], fields: RecordFields, columns: Sequence[Column]
) -> Record:
    parts = [_string(_value(values, name), name) for name in _text_names(fields)]
    text = "\n\n".join(part for part in parts if part)
    if not text:
        raise Bad(f"the text ({', '.join(_text_names(fields))}) is empty")
    said = said_in({column.name: _value(values, column.name) for column in columns}, columns)
    if fields.id is None:
        whole = text + (to_json(said) or "")
        record_id = hashlib.sha256(whole.encode()).hexdigest()[:MADE_ID]
    else:
        record_id = _string(_value(values, fields.id), fields.id)
        if not record_id:
            raise Bad(f"the id ({fields.id}) is empty")
    label = _string(_value(values, fields.label), fields.label) if fields.label else ""
    created = _value(values, fields.created) if fields.created else None
    return Record(record_id, text, label or None, _utc(created, fields.created), line, said)


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


def _string(value: Any, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping | list | bytes):
        raise Bad(f"a text ({name}) was expected, not {type(value).__name__}")
    text = str(value).replace("\0", "").strip()
    if not text.isascii() and LONE_SURROGATES.search(text):
        raise Bad(f"the text ({name}) is not valid Unicode")
    return text


def _utc(value: Any, name: str | None) -> str | None:
    if value is None or value == "":
        return None
    try:
        moment = _moment(value)
        aware = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, TypeError, OSError) as error:
        raise Bad(f"the time ({name}) can't be read ({type(error).__name__})") from error
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


def _check_columns(fields: RecordFields, head: list[Row | BadRecord]) -> None:
    rows = [row[1] for row in head if not isinstance(row, BadRecord)]
    if not rows:
        return
    mapped: dict[str, list[str | None]] = {
        "id": [fields.id],
        "text": [*_text_names(fields)],
        "label": [fields.label],
        "created": [fields.created],
    }
    for setting, names in mapped.items():
        for name in names:
            if name and all(_value(row, name, MISSING) is MISSING for row in rows):
                raise Unparsable(
                    "columns",
                    f"fields.{setting}: the file has no column {name!r}{_hint(name, rows)}",
                    remedy=f"name one of its columns in `fields.{setting}` of the source, or keep "
                    "files with other columns in a source of their own.",
                )


def _hint(name: str, rows: list[Mapping[str, Any]]) -> str:
    """The column that comes close. The others aren't listed: without a header line, they are the
    first record."""
    folded = {other.casefold(): other for row in rows for other in row if other != name}
    close = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.8)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def similar_column(path: Path, name: str) -> str:
    """What to say of a column that none of a source's records has: the file's that comes close."""
    with suppress(OSError, Unparsable):
        head = itertools.islice(rows_of_file(path, []), LOOK_AHEAD)
        return _hint(name, [row[1] for row in head if not isinstance(row, BadRecord)])
    return ""
