"""One source file to rows of `parsed_documents`: its documents, or why it gave none."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.code_of_parts import code_version
from stillhouse.config.corpus import Ocr, Password, RecordFields
from stillhouse.config.dataset import Column
from stillhouse.corpus.clean.text import clean_text, strip_quoted_reply, strip_signature
from stillhouse.corpus.confidentiality.marks import Mark, marks_of, marks_of_record
from stillhouse.corpus.parse.before import RowsBefore
from stillhouse.corpus.parse.columns import to_json
from stillhouse.corpus.parse.documents import Found, documents_of
from stillhouse.corpus.parse.elements import How, ParsedFile
from stillhouse.corpus.parse.forgotten import Forgotten, as_told, forgotten_by
from stillhouse.corpus.parse.kinds import known_suffix
from stillhouse.corpus.parse.record_rows import RECORD_SUFFIXES, BadRecord
from stillhouse.corpus.parse.records import KnownRecord, Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.storage.files import digest
from stillhouse.storage.tables import table_writer

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Job = dict[str, Any]

PARSED, QUARANTINED = "parsed", "quarantined"

# A file of more rows leaves them in a Parquet file: no process holds them all.
ROWS_IN_MEMORY = 500

MAILS = (".eml", ".msg")
# Of the file alone.
BASE = ("input_id", "file_id", "version", "source", "kind", "path", "suffix")

OCR_COUNTS = ("ocr_pages", "ocr_illegible_pages", "ocr_dropped_lines")


def document_schema() -> pa.Schema:
    """One row a document, or a file or record that gave none (`status` "quarantined").

    `input_id` stands for the file and all that decides what is read from it. `label` is a record's
    own; `position` its line, or the number of a document in a file of several (0 is the file).
    `dropped_characters` counts quoted replies, signatures, page furniture and white space that
    cleaning removed. `suffix` is empty where it names no format.

    `columns` is what a record says in the columns that tasks read, as a JSON object by column (see
    parse/columns.py); null where it says nothing there. `asks` and `reads` name those of them that
    hold a question, and the passage that it is put to.

    `line_digest` tells whether a record's line changed (see parse/before.py); null in documents.

    `ocr_pages` of a document were read off pictures, with the mean `ocr_confidence` (0 to 1); of
    `ocr_illegible_pages` no line could be read with confidence, `ocr_dropped_lines` were left out
    for that. All are null where nothing was read so.

    `marks` is what may say how confidential a document is (see confidentiality/marks.py). `tables`
    are those of a document once more, as HTML of nothing but rows and cells; in its text they are
    lines.
    """
    import pyarrow as pa

    mark = pa.struct([*((n, pa.string()) for n in ("place", "text", "name")), ("page", pa.int64())])
    text = (
        *("doc_id", "input_id", "file_id", "version", "source", "kind", "path", "suffix"),
        *("record_id", "status", "category", "reason", "remedy", "title", "text"),
        *("label", "created_at", "columns", "line_digest"),
    )
    return pa.schema(
        [(name, pa.string()) for name in text]
        + [(name, pa.int64()) for name in ("pages", "dropped_characters", "position", *OCR_COUNTS)]
        + [("ocr_confidence", pa.float64())]
        + [(name, pa.list_(pa.string())) for name in ("asks", "reads", "tables")]
        + [("marks", pa.list_(mark))]
    )


def read_file(job: Job) -> list[Row] | Path:
    """The rows of a file; those of a large one in a Parquet file at `job["part"]`.

    `job` is plain JSON: the columns of `base` below, `file` (where it lies), `part`, `nlp_model`,
    `ocr`, `passwords` (where they are to be had), `office` (LibreOffice, or null), and for records
    `fields` and `strip_quotes` of its source, and `columns`, those of `Column` each. `before`, if
    not null, is the `input_id` under which `table` holds the rows of the same file, read alike,
    before it changed. Where there is a list of documents that were `forgotten`, none of them is
    given. Has at least one row.

    Raises:
        UserError: the spaCy model or a library is missing.
    """
    base = base_row(job)
    path, forgotten = Path(job["file"]), forgotten_by(job)
    try:
        if job["kind"] == "documents":
            passwords = tuple(Password(**p) for p in job["passwords"])
            office = job.get("office")
            workshop = Path(job["part"]).parent if office else None
            how = How(Ocr(**job["ocr"]), passwords, office, workshop)
            found = documents_of(path, nlp_model=job["nlp_model"], how=how)
            rows = _but(forgotten, _document_rows(base, found))
        else:
            fields, columns = RecordFields(**job["fields"]), [Column(**c) for c in job["columns"]]
            before = None
            if job["before"]:
                before = RowsBefore(Path(job["table"]), job["before"], good=PARSED)
            rows = _record_rows(base, path, fields, columns, job["strip_quotes"], before)
            rows = _but(forgotten, rows)
            if before:
                return _write(Path(job["part"]), rows, base, before)
        head = list(itertools.islice(rows, ROWS_IN_MEMORY + 1))
        if len(head) <= ROWS_IN_MEMORY:
            return head
        return _write(Path(job["part"]), itertools.chain(head, rows), base)
    except Unparsable as error:
        return [quarantined(base, error)]


def _but(forgotten: Forgotten | None, rows: Iterator[Row]) -> Iterator[Row]:
    """The rows, without what was forgotten: of that only where it stood."""
    return (refused(row, forgotten) for row in rows) if forgotten else rows


def refused(row: Row, forgotten: Forgotten) -> Row:
    if row["status"] != PARSED or row not in forgotten:
        return row
    return quarantined({name: row[name] for name in BASE}, as_told(row), row["position"])


def row_code() -> str:
    """The version of the code that made a row: rows of another one are made again."""
    return str(code_version("parsing"))


def base_row(job: Job) -> Row:
    """What all rows of a file have alike."""
    suffix = Path(job["path"]).suffix.lower()
    return {
        **{name: job[name] for name in ("input_id", "file_id", "source", "kind", "path")},
        "version": row_code(),
        "suffix": suffix if suffix in RECORD_SUFFIXES else known_suffix(suffix),
        "status": PARSED,
    }


def quarantined(base: Row, error: Unparsable, line: int = 0, digest: str | None = None) -> Row:
    return {
        **base,
        "line_digest": digest,
        "status": QUARANTINED,
        "category": error.category,
        "reason": error.reason,
        "remedy": error.remedy,
        "position": line,
    }


def _document_rows(base: Row, found: Iterator[Found]) -> Iterator[Row]:
    """The file's documents by number, 0 for one that is the whole file.

    What says the same twice in a file is two documents: an id is of what is said, and the second
    time also of how often it was said before, so that ids stay when others come or go.
    """
    said: Counter[str] = Counter()
    mails: dict[tuple[int, ...], list[Row]] = {}
    for number, document in enumerate(found, start=1):
        position = number if document.place else 0
        own = {**base, "suffix": known_suffix(document.suffix)} if document.place else base
        if isinstance(document.outcome, Unparsable):
            yield quarantined(own, _of_part(document.outcome, document.place), position)
        else:
            row = _document_row(own, document.outcome, position)
            row["marks"] += _of_its_mail(document, row["marks"], mails)
            before = said[row["doc_id"]]
            said[row["doc_id"]] += 1
            if before:
                row["doc_id"] = digest(row["doc_id"], before)
            yield row


def _of_its_mail(
    found: Found, marks: list[Row], mails: dict[tuple[int, ...], list[Row]]
) -> list[Row]:
    """The marks of the mail that a document is attached to: it is as confidential as that.

    `mails` are the marks of the mails so far, by the place of what holds them.
    """
    holders = [found.place[:depth] for depth in range(len(found.place))]
    inherited = [mark for place in holders for mark in mails.get(place, ())]
    if holders and found.suffix in MAILS:
        mails.setdefault(holders[-1], list(marks))
    return inherited


def _of_part(error: Unparsable, place: tuple[int, ...]) -> Unparsable:
    """Which part of the file is meant: by its number, as its name may be anybody's."""
    if not place:
        return error
    numbers = ".".join(map(str, place))
    return Unparsable(error.category, f"part {numbers}: {error.reason}", remedy=error.remedy)


def _document_row(base: Row, parsed: ParsedFile, position: int) -> Row:
    text = clean_text(parsed.text)
    furniture = sum(len(element.text) for element in parsed.furniture)
    seen = parsed.recognised
    counts = vars(seen) if seen else {}
    return {
        **base,
        **{f"ocr_{name}": count for name, count in counts.items()},
        "doc_id": digest(base["source"], base["path"], parsed.title, text),
        "title": parsed.title or None,
        "text": text,
        "pages": parsed.pages,
        "tables": [element.html for element in parsed.elements if element.html],
        "dropped_characters": len(parsed.text) - len(text) + furniture,
        "position": position,
        "marks": _rows_of(_marks(parsed)),
    }


def _marks(parsed: ParsedFile) -> list[Mark]:
    pages = itertools.groupby(parsed.elements, key=lambda element: element.page or 0)
    return marks_of(
        ((page, [element.text for element in found]) for page, found in pages),
        ((element.type, element.text) for element in parsed.furniture),
        parsed.said,
    )


def _rows_of(marks: Sequence[Mark]) -> list[Row]:
    return [vars(mark) for mark in marks]


def _record_rows(
    base: Row,
    path: Path,
    fields: RecordFields,
    columns: Sequence[Column],
    strip_quotes: bool,
    before: RowsBefore | None,
) -> Iterator[Row]:
    """Rows of the records that are not known from `before`, which keeps the others."""
    for record in read_records(path, fields, columns, before):
        if isinstance(record, KnownRecord):
            assert before is not None  # noqa: S101 - it is who knows the record
            before.keep(record.row, record.line)
        elif isinstance(record, BadRecord):
            error = Unparsable(
                "corrupt",
                f"line {record.line}: {record.reason}",
                remedy="correct the line; the other records of the file are used.",
            )
            yield quarantined(base, error, record.line, record.digest)
        else:
            yield _record_row(base, record, columns, strip_quotes)


def _record_row(base: Row, record: Record, columns: Sequence[Column], strip_quotes: bool) -> Row:
    text = record.text
    if strip_quotes:
        text = strip_signature(strip_quoted_reply(text))
    text = clean_text(text)
    said = to_json(record.columns)
    identity = [base["source"], base["path"], record.record_id, text]
    in_role = {
        role: [c.name for c in columns if c.role == role and c.name in record.columns]
        for role in ("question", "passage")
    }
    return {
        **base,
        "doc_id": digest(*identity, said) if said else digest(*identity),
        "record_id": record.record_id,
        "text": text,
        "label": record.label,
        "created_at": record.created_at,
        "columns": said,
        "line_digest": record.digest,
        "asks": in_role["question"],
        "reads": in_role["passage"],
        "dropped_characters": len(record.text) - len(text),
        "position": record.line,
        "marks": _rows_of(marks_of_record(record.text)),
    }


def _write(part: Path, rows: Iterator[Row], base: Row, before: RowsBefore | None = None) -> Path:
    """All rows of a file in one of the table's form; what `before` keeps is known at the end."""
    with table_writer(part, document_schema()) as write:
        while batch := list(itertools.islice(rows, ROWS_IN_MEMORY)):
            write(batch)
        for kept in before.kept({n: base[n] for n in ("input_id", "file_id")}) if before else ():
            write(kept)
    return part
