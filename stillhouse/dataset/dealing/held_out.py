"""Texts from elsewhere that must never be trained on: the project's own yardstick.

They are masked as documents are, and compared with pairs and with the documents these were made of
as documents are compared with each other. What is a near-duplicate of one of them, directly or
through others, is not learned from, and no model is chosen by it.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.code_of_parts import code_version
from stillhouse.config.corpus import RecordFields
from stillhouse.config.project import Project
from stillhouse.corpus.comparing import without_pseudonyms
from stillhouse.corpus.dedup.clusters import DedupSettings, cluster_documents
from stillhouse.corpus.masked import mask_settings
from stillhouse.corpus.parse.record_rows import RECORD_SUFFIXES, BadRecord
from stillhouse.corpus.parse.records import Record, read_records
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.corpus.pii.masker import Masker
from stillhouse.errors import UserError
from stillhouse.shapes import Where, masking
from stillhouse.storage.files import digest, sha256_of
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import BATCH_ROWS, read_table, write_table

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Not that of the project: pseudonyms are not compared, and none is made here of anybody.
KEY = b"no secret: what is compared here names nobody"
MOST_TOLD = 8


def mark_held_out(db: duckdb.DuckDBPyConnection, project: Project, layout: Layout) -> int:
    """Set `held` in pairs(pair_id, key, held, ...) where `splits.held_out` has a text like the
    pair's, or one like a document of its family of near-duplicates. Returns how many texts the file
    holds.

    Raises:
        UserError: the file can't be read, wholly or in part: what isn't known can't be kept out.
    """
    texts = held_out_texts(project, layout)
    db.register("held_out", texts)
    compared = db.sql(
        f"""SELECT doc_id, {without_pseudonyms("said")} AS text FROM (
            SELECT 'h' || number AS doc_id, text AS said FROM held_out
            UNION ALL SELECT 'p' || key, any_value(input) FROM pairs JOIN dealt USING (pair_id)
                GROUP BY key
            UNION ALL SELECT 'd' || doc_id, text
                FROM duplicate_clusters JOIN masked_documents USING (doc_id)
                WHERE family_id IN (SELECT group_id FROM current))"""
    )
    settings = DedupSettings(project.dedup.threshold, memory_limit=project.dedup.memory_limit)
    clusters = cluster_documents(
        compared.to_arrow_reader(BATCH_ROWS),
        settings,
        memory=layout.cache("near_duplicates") / "held_out",
        work_dir=layout.cache("dedup"),
    )
    db.register("compared", clusters.select(["doc_id", "family_id"]))
    db.execute(
        """CREATE TABLE alike AS SELECT doc_id AS node FROM compared WHERE family_id IN (
            SELECT family_id FROM compared WHERE starts_with(doc_id, 'h'))"""
    )
    db.execute(
        """UPDATE pairs SET held = true
        WHERE 'p' || key IN (FROM alike) OR pair_id IN (
            SELECT pair_id FROM current JOIN duplicate_clusters c ON family_id = group_id
            WHERE 'd' || c.doc_id IN (FROM alike))"""
    )
    return texts.num_rows


def held_out_texts(project: Project, layout: Layout) -> pa.Table:
    """The texts (number, text), masked; what was masked once is kept under the file's content."""
    named = project.splits.held_out
    assert named is not None  # noqa: S101 - see `split_pairs`
    path = project.root / named.path
    try:
        content = sha256_of(path)
    except OSError as error:
        raise _unreadable(named.path, error.strerror or "error") from error
    settings = masking(Where(project))
    known = digest(content, named.text, settings, code_version("masking"))
    kept = layout.cache("held_out") / f"{known}.parquet"
    if not kept.exists():
        write_table(kept, _masked(project, path))
    return read_table(kept)


def _masked(project: Project, path: Path) -> pa.Table:
    import pyarrow as pa

    texts = _texts(project, path)
    masker = Masker(mask_settings(project.privacy, project.root), KEY)
    masked = [found.text for found, _ in masker.clean_many(texts)]
    return pa.table({"number": pa.array(range(len(masked)), pa.int64()), "text": masked})


def _texts(project: Project, path: Path) -> list[str]:
    named = project.splits.held_out
    assert named is not None  # noqa: S101
    if path.suffix.lower() not in RECORD_SUFFIXES:
        raise _unreadable(named.path, "is no file of records")
    texts, bad = [], []
    try:
        for record in read_records(path, RecordFields(text=named.text)):
            if isinstance(record, BadRecord):
                bad.append(f"{named.path}:{record.line}: {record.reason}")
            elif isinstance(record, Record):
                texts.append(record.text)
    except Unparsable as error:
        raise UserError(
            f"splits.held_out: {named.path}: {error.reason}",
            remedy="name the column with the texts: `held_out: {path: ..., text: column}`"
            if error.category == "columns"
            else error.remedy,
        ) from error
    if bad:
        more = [f"and {len(bad) - MOST_TOLD} more lines"] if len(bad) > MOST_TOLD else []
        raise UserError(
            "\n".join(["splits.held_out:", *bad[:MOST_TOLD], *more]),
            remedy="correct these lines, or take them out: what can't be read can't be kept out "
            "of training.",
        )
    return texts


def _unreadable(path: Path, why: str) -> UserError:
    return UserError(
        f"splits.held_out: {path}: {why}",
        remedy="name a JSON Lines, CSV or Parquet file, or a workbook, that this user may read, "
        "relative to the project file; or leave held_out out.",
    )
