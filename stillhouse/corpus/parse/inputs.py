"""What is to be read: source files, each with an id of all that decides what is read from it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stillhouse.config.base import settings_of
from stillhouse.config.corpus import Ocr, Source
from stillhouse.config.dataset import Column
from stillhouse.config.project import Project
from stillhouse.corpus.nlp import model_version
from stillhouse.corpus.parse.files import parse_fingerprint
from stillhouse.corpus.parse.kinds import MAYBE_PICTURES
from stillhouse.corpus.parse.rows import PARSED, document_schema, row_code
from stillhouse.errors import UserError
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import counts, rows_in_batches
from stillhouse.storage.tables import table_writer

INPUT_COLUMNS = (
    *("input_id", "file_id", "source", "kind", "path", "size", "unread", "position", "before"),
)


def row_version(
    source: Source, nlp_model: str, columns: Sequence[Column] = (), ocr: Ocr | None = None
) -> str:
    """Changes when a file of `source` could give other documents: its settings, the readers.

    One source's settings are no other's business, nor the language model that of records, nor what
    tasks read of records that of documents. `ocr` is for files that may hold pictures of pages.
    """
    if source.kind == "documents":
        seeing = [settings_of(ocr)] if ocr else []
        return digest("documents", parse_fingerprint(), model_version(nlp_model), *seeing)
    fields = source.fields.model_dump() if source.fields else None
    read = [[settings_of(column) for column in columns]] if columns else []
    return digest("records", row_code(), fields, source.strip_quotes, *read)


def write_inputs(project: Project, layout: Layout, table: Path, target: Path) -> Path:
    """The source files with the `input_id` that stands for them and all that reading depends on.

    `before` is the one under which `table` knows an earlier state of the same record file."""
    import pyarrow as pa

    model = project.privacy.nlp_model
    versions = pa.Table.from_pylist(
        [
            {
                "source": s.name,
                "pictures": ocr is not None,
                "version": row_version(s, model, project.reading(s.name), ocr),
            }
            for s in project.sources
            for ocr in (None, project.ocr)
        ]
    )
    suffixes = ", ".join(f"'{suffix}'" for suffix in MAYBE_PICTURES)
    files = layout.table("source_files")
    strange = counts(
        "SELECT source, count(*) FROM files WHERE source NOT IN (SELECT source FROM versions) "
        "GROUP BY source ORDER BY source",
        files=files,
        versions=versions,
    )
    if strange:
        raise UserError(
            f"{project.file}: sources: {', '.join(strange)} went since the source files were read",
            remedy="make source_files again; `stillhouse run` makes everything in order.",
        )
    text = [(name, pa.string()) for name in ("input_id", "file_id", "source", "kind", "path")]
    text += [("unread", pa.string()), ("before", pa.string())]
    schema = pa.schema([*text, ("size", pa.int64()), ("position", pa.int64())])
    rows = rows_in_batches(
        f"""SELECT md5(f.file_id || ' ' || v.version) AS input_id, f.file_id, f.source, f.kind,
                  f.path, f.size, f.unread, f.position, o.input_id AS before
           FROM files f JOIN versions v ON v.source = f.source AND v.pictures =
               (lower(regexp_extract(f.path, '[.][^./]*$')) IN ({suffixes}))
           LEFT JOIN (
               SELECT DISTINCT source, path, file_id, input_id FROM old
               WHERE kind = 'records' AND version = '{row_code()}' AND status = '{PARSED}'
           ) o ON o.source = f.source AND o.path = f.path AND f.kind = 'records'
               AND o.input_id = md5(o.file_id || ' ' || v.version)
           ORDER BY f.position""",  # noqa: S608
        files=files,
        versions=versions,
        old=table if fits(table) else document_schema().empty_table(),
    )
    with table_writer(target, schema) as write:
        for batch in rows:
            write(batch)
    return target


def fits(table: Path) -> bool:
    """Whether there is a table, of this release's columns."""
    import pyarrow.parquet as pq

    return table.exists() and bool(pq.read_schema(table).names == document_schema().names)
