"""One document of each cluster of duplicates, with all that later stages want to know of it.

Nothing unmasked passes: of what parsing knows, only what names nobody (kind, language, label, date,
order) goes on. Paths and the sources' own ids stay behind.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stillhouse.config.corpus import CONFIDENTIALITY_ORDER, Confidentiality, Dedup
from stillhouse.corpus.comparing import (
    asked_key,
    content_key,
    create_compared,
    without_pseudonyms,
)
from stillhouse.errors import UserError
from stillhouse.facts import UniqueDocumentsFacts
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import connected
from stillhouse.storage.tables import BATCH_ROWS, table_digest, table_writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb
    import pyarrow as pa

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
    texts not seen before are hashed. What has a label or an answer is kept before what has none; of
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
    # Only a killed call leaves texts there.
    shutil.rmtree(layout.cache("dedup"), ignore_errors=True)
    clusters = _clusters(dedup, layout, group)
    with _documents(dedup, layout, group) as db:
        db.register("clusters", clusters)
        _write(
            layout,
            "duplicate_clusters",
            db,
            cluster_schema(),
            f"""SELECT c.*, {content_key("d.read")} AS content
                FROM clusters c JOIN documents d USING (doc_id) ORDER BY doc_id""",
        )
        _write(
            layout,
            "unique_documents",
            db,
            unique_schema(),
            f"""SELECT d.* REPLACE ({_LEVELS}[n.level] AS confidentiality), c.family_id, n.copies
               FROM documents d JOIN clusters c USING (doc_id)
               JOIN (SELECT cluster_id, count(*) AS copies, max({_NUMBER}) AS level
                     FROM clusters JOIN documents USING (doc_id) GROUP BY 1) n
                   USING (cluster_id)
               WHERE c.is_representative
                   AND n.level <= {CONFIDENTIALITY_ORDER.index(train_up_to) + 1}
               ORDER BY d.position, d.doc_id""",
        )
        return _facts(layout, db)


_LEVELS = f"{list(CONFIDENTIALITY_ORDER)}"
_NUMBER = f"list_position({_LEVELS}, confidentiality)"


@contextmanager
def _documents(
    dedup: Dedup, layout: Layout, group: str | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees documents(doc_id, title, text, columns, source, ...).

    Of each also `read`, the text that is compared; `asked`, texts that set it apart from others of
    the same; and `answers`, null where there is none.

    Raises `UserError` when `dedup.memory_limit` is no size, or too little for what is done there.
    """
    import duckdb

    documents = [f"{name}_documents" for name in ("parsed", "cleansed", "masked")]
    assets = ("source_files", *documents, "document_confidentiality")
    tables = {asset: layout.table(asset) for asset in assets}
    work = layout.cache("dedup")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with connected(tables, memory_limit=dedup.memory_limit, spill=work) as db:
            db.execute(
                f"""CREATE VIEW documents AS
                SELECT *, coalesce(passage, text, '') AS read,
                       CASE WHEN passage IS NULL OR passage = text THEN questions
                            ELSE list_prepend(coalesce(text, ''), questions) END AS asked
                FROM (
                    SELECT m.doc_id, m.title, m.text, m.columns, p.source, p.kind, e.language,
                           coalesce(p.label, f.label) AS label, c.level AS confidentiality,
                           p.created_at,
                           (f.position << 32) + p.position AS position,
                           {_said("p.asks")} AS questions,
                           nullif(array_to_string({_said("p.reads")}, chr(10)), '') AS passage,
                           nullif({_answers(group)}, []) AS answers
                    FROM masked_documents m
                    JOIN parsed_documents p USING (doc_id)
                    JOIN document_confidentiality c USING (doc_id)
                    JOIN cleansed_documents e USING (doc_id)
                    JOIN source_files f USING (file_id))"""
            )
            yield db
    except (duckdb.OutOfMemoryException, duckdb.ParserException) as error:
        raise UserError(
            f"dedup.memory_limit: {dedup.memory_limit!r} is no size, or too little for these "
            "documents",
            remedy="give a size such as 2GB.",
        ) from error


def _said(names: str) -> str:
    """SQL for what a document says in those columns, as a list of texts."""
    return f"list_transform(coalesce({names}, []), lambda n: m.columns ->> {_POINTER})"


def _answers(group: str | None) -> str:
    """SQL for what it says in the others."""
    given = "list_concat(coalesce(p.asks, []), coalesce(p.reads, []))"
    if group is not None:
        named = group.replace("'", "''")
        given = f"list_append({given}, '{named}')"
    names = f"list_filter(json_keys(m.columns), lambda n: NOT list_contains({given}, n))"
    return f"list_transform({names}, lambda n: n || '=' || (m.columns -> {_POINTER}))"


# To the column `n`, whatever its name (RFC 6901).
_POINTER = "('/' || replace(replace(n, '~', '~0'), '/', '~1'))"


def _clusters(dedup: Dedup, layout: Layout, group: str | None) -> pa.Table:
    from stillhouse.corpus.dedup.clusters import DedupSettings, cluster_documents

    # Settings are checked before anything is read.
    settings = DedupSettings(dedup.threshold, keep=dedup.keep, memory_limit=dedup.memory_limit)
    with _documents(dedup, layout, group) as db:
        create_compared(db)
        texts = db.sql(
            f"""SELECT c.doc_id, c.text, d.created_at, d.position, d.labels, d.apart
               FROM compared c JOIN (
                   SELECT doc_id, created_at, position, {asked_key("asked")} AS apart,
                          (label IS NOT NULL)::INT + (answers IS NOT NULL)::INT AS labels
                   FROM documents
               ) d USING (doc_id)"""
        )
        return cluster_documents(
            texts.to_arrow_reader(BATCH_ROWS),
            settings,
            signatures=layout.cache("signatures") / "signatures.parquet",
            work_dir=layout.cache("dedup"),
        )


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
        f"""SELECT count(*), count(*) FILTER (is_representative), count(*) FILTER (kind = 'exact'),
                  count(*) FILTER (kind = 'near'),
                  (SELECT count(*) FROM (
                      SELECT 1 FROM (
                          FROM clusters QUALIFY count(*) OVER (PARTITION BY cluster_id) > 1
                      ) JOIN documents USING (doc_id)
                      GROUP BY cluster_id HAVING count(DISTINCT label) > 1
                          OR count(DISTINCT {without_pseudonyms("answers::VARCHAR")}) > 1))
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
