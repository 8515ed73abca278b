"""One document of each cluster of duplicates, with all that later stages want to know of it.

Nothing unmasked passes: of what parsing knows, only what names nobody (kind, language, label, date,
order) goes on. Paths and the sources' own ids stay behind.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from stillhouse.config.corpus import CONFIDENTIALITY_ORDER, Confidentiality, Dedup
from stillhouse.corpus.unique_inputs import memory_of, open_documents, read_compared
from stillhouse.facts import UniqueDocumentsFacts
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import BATCH_ROWS, table_digest, table_writer

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stillhouse.corpus.dedup.settings import DedupSettings

# Not `position`, which every new file moves: it orders rows and says nothing of them.
CONTENT = (
    *("doc_id", "title", "text", "columns", "source", "kind", "language", "label"),
    *("confidentiality", "created_at", "family_id", "copies"),
)


def unique_schema() -> pa.Schema:
    """One row a document that is kept. `columns` is what a record says in the columns that tasks
    read, as a JSON object, or null; `family_id` the doc_id of the most preferred of all the
    documents it is linked to by near-duplicates; `copies` counts its cluster, itself included, and
    `confidentiality` is the highest level in it, as all of it say nearly the same;
    `position` orders documents as the sources do."""
    import pyarrow as pa

    text = CONTENT[:-1]
    numbers = [("copies", pa.int64()), ("position", pa.int64())]
    return pa.schema([(name, pa.string()) for name in text] + numbers)


def cluster_schema() -> pa.Schema:
    """One row a document, kept or not; the columns of `cluster_documents`, and `content`: the
    digest of what the document says (see `content_key`), or of the passage that it is asked of."""
    import pyarrow as pa

    text = ("doc_id", "cluster_id", "kind", "family_id", "content")
    return pa.schema(
        [(name, pa.string()) for name in text]
        + [("is_representative", pa.bool_()), ("similarity", pa.float64())]
    )


def unique_documents(
    dedup: Dedup,
    layout: Layout,
    train_up_to: Confidentiality = "restricted",
    *,
    group: str | None = None,
) -> UniqueDocumentsFacts:
    """Cluster the masked documents; write `unique_documents` and `duplicate_clusters`.

    Texts are compared without boilerplate and whoever is named in them (corpus/comparing.py). Only
    texts not seen before are read and hashed, and only those that they may be near to are compared
    again (corpus/dedup/memory.py). What has a label or an answer is kept before what has none; of
    a cluster whose members carry different ones the representative's stays.

    What is more confidential than `train_up_to` ends here: of a cluster with such a document in it
    nothing is written to `unique_documents`, which is all that later stages read texts of. What
    stands in the column `group`, by which splits keep records together, is no answer.

    Records that ask something are compared by the passage that they ask it of: those that ask
    different things are of one family, but no duplicates.

    Memory: a working database of at most `dedup.memory_limit` at a time, the libraries, and some
    150 bytes a document; what doesn't fit is written to disk.

    Raises `UserError` when `dedup.memory_limit` is too little, or no size.
    """
    from stillhouse.corpus.dedup.clusters import DedupSettings

    # Settings are checked before anything is read.
    settings = DedupSettings(dedup.threshold, keep=dedup.keep, memory_limit=dedup.memory_limit)
    # Only a killed call leaves texts in the one, and an older release signatures in the other.
    for old in ("dedup", "signatures"):
        shutil.rmtree(layout.cache(old), ignore_errors=True)
    with open_documents(dedup, layout, group) as db:
        db.register("clusters", _clusters(settings, layout, db))
        _write(
            layout,
            "duplicate_clusters",
            db,
            cluster_schema(),
            "SELECT c.*, d.content FROM clusters c JOIN documents d USING (doc_id) ORDER BY doc_id",
        )
        _write(
            layout,
            "unique_documents",
            db,
            unique_schema(),
            f"""SELECT d.* REPLACE ({_LEVELS}[n.level] AS confidentiality), c.family_id, n.copies,
                       m.title, m.text, m.columns
               FROM documents d JOIN clusters c USING (doc_id)
               JOIN (SELECT cluster_id, count(*) AS copies, max({_NUMBER}) AS level
                     FROM clusters JOIN documents USING (doc_id) GROUP BY 1) n
                   USING (cluster_id)
               JOIN masked_documents m USING (doc_id)
               WHERE c.is_representative
                   AND n.level <= {CONFIDENTIALITY_ORDER.index(train_up_to) + 1}
               ORDER BY d.position, d.doc_id""",
        )
        return _facts(layout, db)


def _clusters(settings: DedupSettings, layout: Layout, db: duckdb.DuckDBPyConnection) -> pa.Table:
    from stillhouse.corpus.dedup.clusters import cluster_documents

    documents = db.cursor().sql(
        """SELECT doc_id, version, created_at, position, apart,
                  (label IS NOT NULL)::INT + (answers IS NOT NULL)::INT AS labels
           FROM documents"""
    )
    return cluster_documents(
        documents.to_arrow_reader(BATCH_ROWS),
        settings,
        memory=memory_of(layout),
        read=lambda doc_ids: read_compared(db, doc_ids),
        work_dir=layout.cache("dedup"),
    )


_LEVELS = f"{list(CONFIDENTIALITY_ORDER)}"
_NUMBER = f"list_position({_LEVELS}, confidentiality)"


def _write(
    layout: Layout, asset: str, db: duckdb.DuckDBPyConnection, schema: pa.Schema, query: str
) -> None:
    """Write what a query gives, by the names of the schema, in batches."""
    columns = ", ".join(schema.names)
    with table_writer(layout.table(asset), schema) as write:
        for batch in db.sql(f"SELECT {columns} FROM ({query})").to_arrow_reader(BATCH_ROWS):
            write(batch)


def _facts(layout: Layout, db: duckdb.DuckDBPyConnection) -> UniqueDocumentsFacts:
    unique, clusters = (layout.table(a) for a in ("unique_documents", "duplicate_clusters"))
    db.read_parquet(str(unique)).create_view("kept")
    documents, kept, exact, near, conflicts = db.sql(
        """SELECT count(*), count(*) FILTER (is_representative), count(*) FILTER (kind = 'exact'),
                  count(*) FILTER (kind = 'near'),
                  (SELECT count(*) FROM (
                      SELECT 1 FROM (
                          FROM clusters QUALIFY count(*) OVER (PARTITION BY cluster_id) > 1
                      ) JOIN documents USING (doc_id)
                      GROUP BY cluster_id HAVING count(DISTINCT label) > 1
                          OR count(DISTINCT answers) > 1))
           FROM clusters"""
    ).fetchall()[0]
    labels = (
        "SELECT coalesce(label, '(none)') l, count(*) n FROM kept GROUP BY l ORDER BY n DESC, l"
    )
    contents = table_digest(clusters, ("doc_id", "cluster_id", "family_id", "content"))
    return UniqueDocumentsFacts(
        digest=digest(table_digest(unique, CONTENT), contents),
        documents=documents,
        unique=kept,
        withheld=kept - db.sql("SELECT count(*) FROM kept").fetchall()[0][0],
        exact_duplicates=exact,
        near_duplicates=near,
        label_conflicts=conflicts,
        by_label=dict(db.sql(labels).fetchall()),
    )
