"""Documents in order of preference, and the different texts among them."""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from stillhouse.corpus.dedup import texts
from stillhouse.corpus.dedup.memory import Memory
from stillhouse.corpus.dedup.settings import PREFERENCE, DedupSettings
from stillhouse.corpus.dedup.tables import fill, stream
from stillhouse.errors import UserError
from stillhouse.progress import track
from stillhouse.storage.parts import Parts

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stillhouse.corpus.dedup.texts import Bodies

    Documents: TypeAlias = pa.Table | pa.RecordBatchReader | Path
    # The texts (doc_id, text) of the documents of a table (doc_id).
    Read: TypeAlias = Callable[[pa.Table], pa.RecordBatchReader]


def load_documents(
    db: duckdb.DuckDBPyConnection,
    bodies: Bodies,
    documents: Documents,
    settings: DedupSettings,
    memory: Memory | None,
    read: Read | None,
) -> None:
    """Create documents(rank, doc_id, version, digest, apart) and known(id, digest, apart, place,
    size): the different texts.

    `rank` numbers documents by preference. A text is numbered by its most preferred document; the
    same text is another one for documents that are set apart. `place` is null where a text has not
    been read.
    """
    order = "created BIGINT, position BIGINT, labels BIGINT, apart VARCHAR"
    if read is None:
        db.execute(f"CREATE TABLE arrived (doc_id VARCHAR, version VARCHAR, {_TEXT}, {order})")
        fill(db, "arrived", _tracked(texts.document_batches(documents, bodies)))
    else:
        db.execute(f"CREATE TABLE described (doc_id VARCHAR, version VARCHAR, {order})")
        fill(db, "described", texts.described(documents))
        _complete(db, bodies, memory.documents if memory else None, read)
    twice = db.sql("SELECT doc_id FROM arrived GROUP BY 1 HAVING count(*) > 1 LIMIT 1")
    if twice.fetchall():
        raise UserError("a doc_id comes twice", remedy="give every document its own id")
    db.execute(
        f"""CREATE TABLE documents AS
        SELECT doc_id, version, digest, coalesce(apart, '') AS apart, place, size,
               row_number() OVER (
                   ORDER BY labels DESC NULLS LAST, {PREFERENCE[settings.keep]}) AS rank
        FROM arrived"""
    )
    db.execute("DROP TABLE arrived")
    db.execute(
        """CREATE TABLE known AS
        SELECT min(rank) AS id, digest, apart, min(place) AS place, min(size) AS size
        FROM documents GROUP BY digest, apart"""
    )


# Of a document's text: `place` and `size` in `bodies`, in bytes; `length` as it came.
_TEXT = "digest BLOB, place BIGINT, size BIGINT, length BIGINT"


def _complete(
    db: duckdb.DuckDBPyConnection, bodies: Bodies, store: Parts | None, read: Read
) -> None:
    """Create arrived of `described` and of what is kept of texts; what is not is read, and kept."""
    if store is not None:
        store.create_view(db, "kept")
    else:
        db.execute(f"CREATE TABLE kept (doc_id VARCHAR, version VARCHAR, {_TEXT})")
    missing = db.sql("SELECT doc_id, version FROM described ANTI JOIN kept USING (doc_id, version)")
    missing.create("missing")
    _read(db, bodies, db.sql("SELECT doc_id FROM missing").to_arrow_table(), read)
    db.execute(
        """CREATE TABLE arrived AS
        SELECT d.*, coalesce(f.digest, k.digest) AS digest, f.place,
               coalesce(f.size, k.size) AS size, coalesce(f.length, k.length) AS length
        FROM described d LEFT JOIN fresh f USING (doc_id)
        LEFT JOIN kept k USING (doc_id, version)"""
    )
    if store is not None:
        columns = ", ".join(store.schema.names)
        store.add(stream(db, f"SELECT {columns} FROM fresh JOIN missing USING (doc_id)"))
    for table in ("described", "missing", "fresh"):
        db.execute(f"DROP TABLE {table}")


def read_texts(db: duckdb.DuckDBPyConnection, bodies: Bodies, ids: str, read: Read | None) -> None:
    """Read what `known` lacks a place of, among `ids`, each from its most preferred document."""
    if read is None:
        return
    missing = db.sql(
        f"""SELECT doc_id FROM known JOIN documents ON rank = id
            WHERE known.place IS NULL AND id IN ({ids})"""
    ).to_arrow_table()
    if missing.num_rows:
        _read(db, bodies, missing, read)
        db.execute(
            """UPDATE known SET place = fresh.place FROM fresh JOIN documents USING (doc_id)
               WHERE known.id = documents.rank"""
        )


def _read(db: duckdb.DuckDBPyConnection, bodies: Bodies, doc_ids: pa.Table, read: Read) -> None:
    db.execute(f"CREATE OR REPLACE TABLE fresh (doc_id VARCHAR, {_TEXT})")
    if not doc_ids.num_rows:
        return
    batches = texts.document_batches(read(doc_ids), bodies)
    names = ["doc_id", "digest", "place", "size", "length"]
    fill(db, "fresh", (batch.select(names) for batch in _tracked(batches)))


def _tracked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    return track(batches, "Reading documents", unit=f"x {texts.BATCH_ROWS}")
