"""One source file to rows of `parsed_documents`: its documents, or why it gave none."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import Ocr, Password, RecordFields
from stillhouse.config.dataset import Column
from stillhouse.corpus.clean.text import clean_text, strip_quoted_reply, strip_signature
from stillhouse.corpus.parse.columns import to_json
from stillhouse.corpus.parse.documents import Found, documents_of
from stillhouse.corpus.parse.elements import How, ParsedFile
from stillhouse.corpus.parse.kinds import known_suffix
from stillhouse.corpus.parse.record_rows import RECORD_SUFFIXES, BadRecord
from stillhouse.corpus.parse.records import Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.steps import code_version
from stillhouse.storage.files import digest
from stillhouse.storage.tables import table_writer

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Job = dict[str, Any]

PARSED, QUARANTINED = "parsed", "quarantined"

# A file of more rows leaves them in a Parquet file: no process holds them all.
ROWS_IN_MEMORY = 500

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

    `ocr_pages` of a document were read off pictures, with the mean `ocr_confidence` (0 to 1); of
    `ocr_illegible_pages` no line could be read with confidence, `ocr_dropped_lines` were left out
    for that. All are null where nothing was read so.

    `tables` are those of a document once more, as HTML of nothing but rows and cells; in its text
    they are lines.
    """
    import pyarrow as pa

    text = (
        *("doc_id", "input_id", "file_id", "version", "source", "kind", "path", "suffix"),
        *("record_id", "status", "category", "reason", "remedy", "title", "text", "language"),
        *("label", "created_at", "columns"),
    )
    return pa.schema(
        [(name, pa.string()) for name in text]
        + [(name, pa.int64()) for name in ("pages", "dropped_characters", "position", *OCR_COUNTS)]
        + [("ocr_confidence", pa.float64())]
        + [(name, pa.list_(pa.string())) for name in ("asks", "reads", "tables")]
    )


def read_file(job: Job) -> list[Row] | Path:
    """The rows of a file; those of a large one in a Parquet file at `job["part"]`.

    `job` is plain JSON: the columns of `base` below, `file` (where it lies), `part`, `nlp_model`,
    `ocr`, `passwords` (where they are to be had), and for records `fields` and `strip_quotes` of
    its source, and `columns`, those of `Column` each. Has at least one row.

    Raises:
        UserError: the spaCy model or a library is missing.
    """
    base = base_row(job)
    path = Path(job["file"])
    try:
        if job["kind"] == "documents":
            how = How(Ocr(**job["ocr"]), tuple(Password(**p) for p in job["passwords"]))
            found = documents_of(path, nlp_model=job["nlp_model"], how=how)
            rows = _document_rows(base, found)
        else:
            fields, columns = RecordFields(**job["fields"]), [Column(**c) for c in job["columns"]]
            rows = _record_rows(base, path, fields, columns, job["strip_quotes"])
        head = list(itertools.islice(rows, ROWS_IN_MEMORY + 1))
        if len(head) <= ROWS_IN_MEMORY:
            return head
        return _write(Path(job["part"]), itertools.chain(head, rows))
    except Unparsable as error:
        return [quarantined(base, error)]


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


def quarantined(base: Row, error: Unparsable, line: int = 0) -> Row:
    return {
        **base,
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
    for number, document in enumerate(found, start=1):
        position = number if document.place else 0
        own = {**base, "suffix": known_suffix(document.suffix)} if document.place else base
        if isinstance(document.outcome, Unparsable):
            yield quarantined(own, _of_part(document.outcome, document.place), position)
        else:
            row = _document_row(own, document.outcome, position)
            before = said[row["doc_id"]]
            said[row["doc_id"]] += 1
            if before:
                row["doc_id"] = digest(row["doc_id"], before)
            yield row


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
        "language": parsed.language,
        "pages": parsed.pages,
        "tables": [element.html for element in parsed.elements if element.html],
        "dropped_characters": len(parsed.text) - len(text) + furniture,
        "position": position,
    }


def _record_rows(
    base: Row, path: Path, fields: RecordFields, columns: Sequence[Column], strip_quotes: bool
) -> Iterator[Row]:
    for record in read_records(path, fields, columns):
        if isinstance(record, BadRecord):
            error = Unparsable(
                "corrupt",
                f"line {record.line}: {record.reason}",
                remedy="correct the line; the other records of the file are used.",
            )
            yield quarantined(base, error, record.line)
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
        "asks": in_role["question"],
        "reads": in_role["passage"],
        "dropped_characters": len(record.text) - len(text),
        "position": record.line,
    }


def _write(part: Path, rows: Iterator[Row]) -> Path:
    with table_writer(part, document_schema()) as write:
        while batch := list(itertools.islice(rows, ROWS_IN_MEMORY)):
            write(batch)
    return part
