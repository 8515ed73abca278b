"""Which documents and files a dataset came from, in digests: the answer to "which files made this
student?" stays with the student when documents change or go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected, query, rows_in_batches
from stillhouse.storage.tables import BATCH_ROWS, table_writer
from stillhouse.tasks.common import quoted

if TYPE_CHECKING:
    import pyarrow as pa

LEARNED_FROM = "learned_from.parquet"


def write_lineage(layout: Layout, path: Path) -> None:
    """One row a document that has pairs: doc_id, file_id, source, sha256 of the file's content."""
    sql = """
        SELECT DISTINCT p.doc_id, d.file_id, d.source, f.sha256
        FROM (SELECT DISTINCT doc_id FROM pairs) p
        JOIN documents d USING (doc_id) JOIN files f USING (file_id)
        ORDER BY p.doc_id
    """
    tables = {
        "pairs": layout.table("dataset_splits"),
        "documents": layout.table("parsed_documents"),
        "files": layout.table("source_files"),
    }
    _write(sql, path, tables)


def write_learned_from(
    dataset: Path, answers: Path, lineage: Path, tasks: list[str], path: Path
) -> None:
    """One row a pair that a student of `tasks` learns from or is chosen by (train, validation):
    pair_id, task, split, origin, doc_id, file_id, source, sha256. `answers` has those that a
    teacher answered."""
    columns = "pair_id, task, origin, doc_id"
    sql = f"""
        WITH pairs AS (
            SELECT {columns}, split FROM dataset
            WHERE split IN ('train', 'validation') AND response IS NOT NULL
            UNION ALL SELECT {columns}, 'train' AS split FROM answers WHERE kept
        )
        SELECT p.pair_id, p.task, p.split, p.origin, p.doc_id, l.file_id, l.source, l.sha256
        FROM pairs p LEFT JOIN lineage l USING (doc_id)
        WHERE p.task IN ({quoted(tasks)})
        ORDER BY p.pair_id
    """  # noqa: S608 - quoted
    _write(sql, path, {"dataset": dataset, "answers": answers, "lineage": lineage})


def documents_of_pairs(pairs: Path | pa.Table, tables: Sequence[Path]) -> pa.Table:
    """The documents (doc_id) of `pairs` (pair_id), as the tables of pairs that are there know
    them. A pair that none of them knows gives a document without an id."""
    there = {f"t{number}": table for number, table in enumerate(tables) if table.exists()}
    known = " UNION ALL ".join(f"SELECT pair_id, doc_id FROM {name}" for name in there)  # noqa: S608
    return query(
        f"SELECT DISTINCT k.doc_id FROM pairs LEFT JOIN ({known}) k USING (pair_id)",  # noqa: S608
        pairs=pairs,
        **there,
    )


def files_of(checkpoint: Path, layout: Layout) -> Iterator[dict[str, object]]:
    """The files that the student in `checkpoint` learned from: source, file_id, sha256, pairs, and
    the path where the file is still among the sources (else None)."""
    learned = checkpoint / LEARNED_FROM
    present = layout.table("source_files")
    sql = """
        SELECT l.source, l.file_id, l.sha256, count(*) AS pairs, any_value(f.path) AS path
        FROM learned l LEFT JOIN files f USING (file_id)
        GROUP BY ALL ORDER BY l.source, path, l.file_id
    """
    for rows in rows_in_batches(sql, learned=learned, files=present):
        yield from rows


def _write(sql: str, path: Path, tables: dict[str, Path]) -> None:
    with connected(tables) as db:
        reader = db.sql(sql).to_arrow_reader(BATCH_ROWS)
        with table_writer(path, reader.schema) as write:
            for batch in reader:
                write(batch)
