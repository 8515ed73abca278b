"""From source files to documents: parsed, or quarantined with the reason; each file once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import Source
from stillhouse.config.project import Project
from stillhouse.corpus.clean.text import clean_text, strip_quoted_reply, strip_signature
from stillhouse.corpus.parse.files import parse_file, parse_fingerprint
from stillhouse.corpus.parse.records import BadRecord, Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import Increment, incremental_table, write_table

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]

PARSED, QUARANTINED = "parsed", "quarantined"

# Raise when the rows made here from a parsed file change.
VERSION = 1


def document_schema() -> pa.Schema:
    """One row a document, or a file or record that gave none (`status` "quarantined").

    `label` is a record's own; `dropped_characters` counts quoted replies, signatures, page
    furniture and white space that cleaning removed.
    """
    import pyarrow as pa

    text = (
        *("doc_id", "file_id", "version", "source", "kind", "path", "record_id", "status"),
        *("category", "reason", "remedy", "title", "text", "language", "label", "created_at"),
    )
    element = pa.struct([("type", pa.string()), ("text", pa.string()), ("page", pa.int64())])
    return pa.schema(
        [(name, pa.string()) for name in text]
        + [(name, pa.int64()) for name in ("pages", "dropped_characters", "position")]
        + [("elements", pa.list_(element))]
    )


def parse_sources(project: Project, files: pa.Table, layout: Layout) -> Increment:
    """Bring `parsed_documents` and its quarantine up to date with `files`."""
    import pyarrow.compute as pc

    increment = incremental_table(
        layout.table("parsed_documents"),
        layout.staging("parsed_documents"),
        document_schema(),
        key="file_id",
        version=parse_version(project),
        inputs=files.to_pylist(),
        compute=lambda missing: _parse_files(project, missing),
        batch_size=25,
        description="Parsing",
    )
    bad = increment.table.filter(pc.equal(increment.table["status"], QUARANTINED))
    columns = ["source", "path", "record_id", "category", "reason", "remedy"]
    write_table(layout.quarantine("parsed_documents"), bad.select(columns))
    return increment


def parse_version(project: Project) -> str:
    """Changes when the same files could give other documents."""
    fields = [
        (s.name, s.fields.model_dump() if s.fields else None, s.strip_quotes)
        for s in project.sources
    ]
    return digest(VERSION, parse_fingerprint(), project.privacy.nlp_model, fields)


def _parse_files(project: Project, files: Sequence[Row]) -> Iterator[list[Row]]:
    version = parse_version(project)
    for file in files:
        base = {
            **{name: file[name] for name in ("file_id", "source", "kind", "path")},
            "version": version,
            "status": PARSED,
        }
        path = project.root / file["path"]
        try:
            if file["kind"] == "records":
                rows = _record_rows(base, path, project.source(file["source"]))
            else:
                rows = [_document_row(base, path, project.privacy.nlp_model)]
        except Unparsable as error:
            rows = [_quarantined(base, error.category, error.reason, error.remedy)]
        yield rows


def _document_row(base: Row, path: Path, nlp_model: str) -> Row:
    parsed = parse_file(path, nlp_model=nlp_model)
    text = clean_text(parsed.text)
    return {
        **base,
        "doc_id": digest(base["source"], base["path"], text),
        "title": parsed.title,
        "text": text,
        "language": parsed.language,
        "pages": parsed.pages,
        "elements": [{"type": e.type, "text": e.text, "page": e.page} for e in parsed.elements],
        "dropped_characters": len(parsed.text)
        - len(text)
        + sum(len(e.text) for e in parsed.furniture),
        "position": 0,
    }


def _record_rows(base: Row, path: Path, source: Source) -> list[Row]:
    assert source.fields is not None  # noqa: S101 - checked when the project file was read
    rows = []
    for record in read_records(path, source.fields):
        if isinstance(record, BadRecord):
            remedy = "correct the line; the other records of the file are used."
            row = _quarantined(base, "corrupt", f"line {record.line}: {record.reason}", remedy)
            rows.append({**row, "position": record.line})
        else:
            rows.append(_record_row(base, record, source.strip_quotes))
    if not rows:
        raise Unparsable("empty", "the file holds no records", remedy="remove it, or fill it.")
    return rows


def _record_row(base: Row, record: Record, strip_quotes: bool) -> Row:
    text = record.text
    if strip_quotes:
        text = strip_signature(strip_quoted_reply(text))
    text = clean_text(text)
    return {
        **base,
        "doc_id": digest(base["source"], base["path"], record.record_id, text),
        "record_id": record.record_id,
        "text": text,
        "label": record.label,
        "created_at": record.created_at,
        "dropped_characters": len(record.text) - len(text),
        "position": record.line,
    }


def _quarantined(base: Row, category: str, reason: str, remedy: str) -> Row:
    return {
        **base,
        "status": QUARANTINED,
        "category": category,
        "reason": reason,
        "remedy": remedy,
        "position": 0,
    }
