"""From source files to documents: parsed, or quarantined with the reason; each file once.

The quarantine names no file: its path may be somebody's name. Whoever may read the source files
finds it (below the data directory, with DuckDB)::

    SELECT f.path, q.line, q.category, q.reason, q.remedy
    FROM 'tables/quarantine/parsed_documents.parquet' q
    JOIN 'tables/source_files/data.parquet' f USING (file_id)

`file_id` is a digest of source, path and content.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.base import settings_of
from stillhouse.config.project import Project
from stillhouse.corpus.listing import decode_path, why_unread
from stillhouse.corpus.missing_columns import refuse_missing_columns
from stillhouse.corpus.parse.forgotten import SAID, open_list, places
from stillhouse.corpus.parse.inputs import INPUT_COLUMNS, fits, row_version, write_inputs
from stillhouse.corpus.parse.libreoffice import find_libreoffice
from stillhouse.corpus.parse.passwords import look_up
from stillhouse.corpus.parse.pool import Limits, read_files
from stillhouse.corpus.parse.rows import (
    PARSED,
    QUARANTINED,
    base_row,
    document_schema,
    quarantined,
    refused,
    row_code,
)
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError
from stillhouse.facts import ParsedDocumentsFacts
from stillhouse.progress import track
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import counts, one_row, query, rows_in_batches
from stillhouse.storage.tables import (
    BATCH_ROWS,
    Finished,
    Increment,
    Inputs,
    read_batches,
    table_digest,
    table_writer,
    update_table,
)

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PARSED", "QUARANTINED", "parse_sources", "quarantine_schema", "row_version"]
__all__ += ["unaccounted_files"]

Row = dict[str, Any]

READER = "stillhouse.corpus.parse.rows:read_file"
# Read errors that may pass: such a row lasts until the next run, which tries again.
PASSING = "unreadable"
CONTENT = (
    *("doc_id", "file_id", "record_id", "title", "text", "label", "created_at"),
    *("columns", "asks", "reads", "position", "category", "reason", "marks"),
)


def quarantine_schema() -> pa.Schema:
    """A row for each file or record that gave no document; nothing in it comes from inside one."""
    import pyarrow as pa

    text = ("source", "file_id", "suffix", "category", "reason", "remedy")
    return pa.schema([*((name, pa.string()) for name in text), ("line", pa.int64())])


def parse_sources(
    project: Project, layout: Layout, *, limits: Limits | None = None
) -> ParsedDocumentsFacts:
    """Bring `parsed_documents` and its quarantine up to date with the table `source_files`.

    Files are read in processes of their own, each within `limits`. A file that could not be read
    the last time is tried again.

    Raises:
        UserError: no file gave a document, none of a source's has the columns that its `fields`
            name, or no record says anything in a column that a task names; table and quarantine are
            written all the same. Or a library is missing, or a password or program that is named.
    """
    table = layout.table("parsed_documents")
    workshop = layout.staging("parse")
    shutil.rmtree(workshop, ignore_errors=True)
    for password in project.passwords:
        look_up(password, project.root)
    if layout.forgetting.exists():
        forget_listed(layout)
    office = find_libreoffice(project.programs, project.root)
    _forget_passing(table, locked=bool(project.passwords), office=office is not None)
    inputs = write_inputs(project, layout, table, workshop / "inputs.parquet")
    increment = update_table(
        table,
        layout.staging("parsed_documents"),
        document_schema(),
        key="input_id",
        version=row_code(),
        inputs=Inputs(inputs, tuple(INPUT_COLUMNS), order="position"),
        compute=lambda files: _read(project, layout, files, workshop, limits or Limits(), office),
        description="Parsing",
    )
    shutil.rmtree(workshop, ignore_errors=True)
    _write_quarantine(table, layout.quarantine("parsed_documents"))
    facts = _facts(table, increment)
    _refuse_what_gives_nothing(table, facts, layout)
    refuse_missing_columns(project, table, layout.table("source_files"))
    return facts


def _forget_passing(table: Path, *, locked: bool, office: bool) -> None:
    """Take out what could not be read: a row that is there would count as done.

    With passwords also files that hold a PDF which asks for one (`locked`), with LibreOffice those
    that hold what only `office` reads."""
    if not fits(table):
        return
    schema = document_schema()
    which = f"category = '{PASSING}'"
    if locked:
        which += " OR category = 'encrypted' AND suffix = '.pdf'"
    if office:
        which += " OR category = 'program'"
    if one_row(f"SELECT count(*) AS n FROM t WHERE {which}", t=table)["n"]:  # noqa: S608
        kept = rows_in_batches(
            f"SELECT * FROM t WHERE input_id NOT IN (SELECT input_id FROM t WHERE {which})",  # noqa: S608
            t=table,
        )
        with table_writer(table, schema) as write:
            for batch in kept:
                write(batch)


def _read(
    project: Project,
    layout: Layout,
    files: Iterable[Row],
    workshop: Path,
    limits: Limits,
    office: str | None,
) -> Iterator[Finished]:
    """What is no file to read is said at once; the others go through the readers' processes."""
    unread: list[Finished] = []
    always = {"table": str(layout.table("parsed_documents")), "forgotten": places(layout)}
    always["office"] = office

    def jobs() -> Iterator[Row]:
        for file in files:
            if file["unread"]:
                row = quarantined(base_row(file), why_unread(file["unread"], file["path"]))
                unread.append(Finished(1, [row]))
            else:
                yield {**_job(project, file, workshop), **always}

    for job, result in read_files(jobs(), READER, limits=limits):
        if isinstance(result, Unparsable):
            yield Finished(1, [quarantined(base_row(job), result)])
        else:
            yield Finished(1, result)
        yield from unread
        unread.clear()
    yield from unread


def _job(project: Project, file: Row, workshop: Path) -> Row:
    source = project.source(file["source"])
    job = {
        **file,
        "file": str(project.root / decode_path(file["path"])),
        "part": str(workshop / f"{file['input_id']}.parquet"),
        "nlp_model": project.privacy.nlp_model,
        "ocr": settings_of(project.ocr),
        "passwords": [
            {"env": p.env, "file": str(project.root / p.file) if p.file else None}
            for p in project.passwords
        ],
    }
    if source.fields:
        job |= {
            "fields": source.fields.model_dump(),
            "columns": [settings_of(column) for column in project.reading(source.name)],
            "strip_quotes": source.strip_quotes,
        }
    return job


def forget_listed(layout: Layout) -> int:
    """Take what is on the list of forgotten documents out of the table as it is, and bring the
    quarantine up to date; returns how many documents that were.

    One writer at a time: the caller holds the table's lock.
    """
    table, listed = layout.table("parsed_documents"), open_list(layout)
    if not fits(table):
        return 0
    gone = 0
    with table_writer(table, document_schema()) as write:
        for batch in track(read_batches(table), "Forgetting", unit=f"x {BATCH_ROWS} documents"):
            said = batch.select([*SAID, "status"]).to_pylist()
            hits = sum(row["status"] == PARSED and row in listed for row in said)
            gone += hits
            write([refused(row, listed) for row in batch.to_pylist()] if hits else batch)
    _write_quarantine(table, layout.quarantine("parsed_documents"))
    return gone


def _write_quarantine(table: Path, quarantine: Path) -> None:
    schema = quarantine_schema()
    rows = rows_in_batches(
        f"SELECT source, file_id, suffix, category, reason, remedy, position AS line FROM t "  # noqa: S608
        f"WHERE status = '{QUARANTINED}'",
        t=table,
    )
    with table_writer(quarantine, schema) as write:
        for batch in rows:
            write(batch)


def _facts(table: Path, increment: Increment) -> ParsedDocumentsFacts:
    figures = one_row(
        f"""SELECT count(*) FILTER (status = '{PARSED}') AS documents,
                   count(*) FILTER (status = '{QUARANTINED}') AS quarantined,
                   coalesce(sum(pages), 0)::BIGINT AS pages,
                   coalesce(sum(length(text)), 0)::BIGINT AS characters,
                   coalesce(sum(dropped_characters), 0)::BIGINT AS dropped_characters,
                   count(*) FILTER (ocr_pages > 0) AS ocr_documents,
                   coalesce(sum(ocr_pages), 0)::BIGINT AS ocr_pages,
                   coalesce(sum(ocr_illegible_pages), 0)::BIGINT AS ocr_illegible_pages,
                   coalesce(sum(ocr_dropped_lines), 0)::BIGINT AS ocr_dropped_lines,
                   sum(ocr_confidence * ocr_pages) / nullif(sum(ocr_pages), 0) AS ocr_confidence
            FROM t""",  # noqa: S608
        t=table,
    )
    by_category = counts(
        "SELECT category, count(*) AS n FROM t WHERE category IS NOT NULL "
        "GROUP BY category ORDER BY n DESC, category",
        t=table,
    )
    return ParsedDocumentsFacts(
        digest=table_digest(table, CONTENT),
        quarantined_by_category=by_category,
        computed=increment.computed,
        reused=increment.reused,
        dropped=increment.dropped,
        **figures,
    )


def unaccounted_files(layout: Layout) -> int:
    """How many rows of `source_files` gave neither a document nor a reason and a remedy."""
    found = one_row(
        f"""SELECT count(*) AS n FROM files WHERE file_id NOT IN (
                SELECT file_id FROM rows WHERE status = '{PARSED}' AND text <> ''
                OR reason <> '' AND remedy <> '')""",  # noqa: S608
        files=layout.table("source_files"),
        rows=layout.table("parsed_documents"),
    )
    return int(found["n"])


def _refuse_what_gives_nothing(table: Path, facts: ParsedDocumentsFacts, layout: Layout) -> None:
    where = layout.quarantine("parsed_documents").relative_to(layout.root)
    columns = query(
        """SELECT source, min(reason) AS reason FROM t WHERE category = 'columns'
               AND source NOT IN (SELECT source FROM t WHERE status = 'parsed')
           GROUP BY source ORDER BY source""",
        t=table,
    ).to_pylist()
    if columns:
        raise UserError(
            "\n".join(f"source {row['source']}: {row['reason']}" for row in columns),
            remedy="name a column of its files in `fields` of the source, in the project file.",
        )
    if not facts.documents:
        raise UserError(
            "parsed_documents: every source file went to quarantine",
            remedy=f"read the reasons in {where} in the data directory, and mend the files.",
        )
