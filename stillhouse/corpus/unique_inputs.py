"""What deduplication wants to know of each document, kept from run to run.

Of a document that says what it said before, no text is looked at: a digest of it is compared. What
a source repeats depends on all its documents, and is found anew each time, from digests.
"""

# Queries are composed of names of our own.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.corpus import Dedup
from stillhouse.corpus.comparing import (
    ENDS,
    PSEUDONYM,
    SURROGATE,
    asked_key,
    content_key,
    create_boilerplate,
    create_compared,
    create_paragraphs,
    without_pseudonyms,
)
from stillhouse.errors import UserError
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.parts import Parts
from stillhouse.storage.query import connected
from stillhouse.storage.tables import BATCH_ROWS

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Changes when `_TOLD` tells another thing of the same document.
VERSION = 1


def memory_of(layout: Layout) -> Path:
    """Where all of it is kept: a cache, which goes when documents are forgotten."""
    return layout.cache("near_duplicates") / "corpus"


@contextmanager
def open_documents(
    dedup: Dedup, layout: Layout, group: str | None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that sees masked_documents, and documents(doc_id, source, kind, language, label,
    confidentiality, created_at, position, content, apart, answers, version).

    `content` is a digest of what a document says; `apart` of what sets it apart from others of the
    same text, '' where nothing does; `answers` of its answers, null where it has none. `version` is
    another one when what is compared of its text is (see `read_compared`).

    Raises `UserError` when `dedup.memory_limit` is no size, or too little for what is done there.
    """
    import duckdb

    names = [f"{name}_documents" for name in ("parsed", "cleansed", "masked")]
    tables = {n: layout.table(n) for n in ("source_files", *names, "document_confidentiality")}
    work = layout.cache("dedup")
    work.mkdir(parents=True, exist_ok=True)
    try:
        with connected(tables, memory_limit=dedup.memory_limit, spill=work) as db:
            db.execute(_INPUTS)
            store = _store(layout, group)
            _recall(db, store, group)
            store.keep(db, "(doc_id, said) IN (SELECT (doc_id, said) FROM inputs)", _count(db))
            db.execute(
                "CREATE VIEW ended AS SELECT source, ends FROM told JOIN inputs USING (doc_id)"
            )
            create_boilerplate(db)
            create_compared(db)
            db.execute(
                """CREATE VIEW documents AS
                SELECT i.*, t.content, t.apart, t.answers,
                       CASE WHEN t.ends IS NULL OR b.version IS NULL THEN i.said
                            ELSE md5(i.said || b.version) END AS version
                FROM inputs i JOIN told t USING (doc_id) LEFT JOIN boilerplate b USING (source)"""
            )
            yield db
    except (duckdb.OutOfMemoryException, duckdb.ParserException) as error:
        raise UserError(
            f"dedup.memory_limit: {dedup.memory_limit!r} is no size, or too little for these "
            "documents",
            remedy="give a size such as 2GB.",
        ) from error


def read_compared(db: duckdb.DuckDBPyConnection, doc_ids: pa.Table) -> pa.RecordBatchReader:
    """The texts (doc_id, text) by which these documents (doc_id) are compared."""
    _want(db, doc_ids)
    return db.cursor().sql("SELECT doc_id, text FROM compared").to_arrow_reader(BATCH_ROWS)


def _store(layout: Layout, group: str | None) -> Parts:
    """What is told of documents, by doc_id and by a digest of what they said (`said`)."""
    import duckdb
    import pyarrow as pa

    # Digests of paragraphs and the folding of letters are the database's.
    settings = digest(VERSION, PSEUDONYM, SURROGATE, ENDS, group, duckdb.__version__)
    text = ("doc_id", "said", "content", "apart", "answers")
    columns = [(name, pa.string()) for name in text]
    schema = pa.schema([*columns, ("ends", pa.list_(pa.uint64()))])
    return Parts(memory_of(layout), "told", settings, schema)


def _recall(db: duckdb.DuckDBPyConnection, store: Parts, group: str | None) -> None:
    """Create told(doc_id, said, content, apart, answers, ends): as it is kept, and anew of what has
    changed, which is kept too."""
    columns = ", ".join(store.schema.names)
    store.create_view(db, "kept")
    db.execute(
        f"CREATE TABLE told AS SELECT {columns} FROM kept SEMI JOIN inputs USING (doc_id, said)"
    )
    missing = db.sql("SELECT doc_id FROM inputs ANTI JOIN told USING (doc_id)").to_arrow_table()
    _want(db, missing)
    db.execute(f"CREATE VIEW read_documents AS {_read(group)}")
    create_paragraphs(db)
    if not missing.num_rows:
        return
    db.execute(
        f"""CREATE TABLE fresh AS
        SELECT doc_id, said, {content_key("read")} AS content, {asked_key("asked")} AS apart,
               md5({without_pseudonyms("answers::VARCHAR")}) AS answers, ends
        FROM read_documents JOIN paragraphs USING (doc_id) JOIN inputs USING (doc_id)"""
    )
    store.add(db.cursor().sql(f"SELECT {columns} FROM fresh").to_arrow_reader(BATCH_ROWS))
    db.execute(f"INSERT INTO told SELECT {columns} FROM fresh")
    db.execute("DROP TABLE fresh")


def _want(db: duckdb.DuckDBPyConnection, doc_ids: pa.Table) -> None:
    db.register("asked", doc_ids)
    db.execute("CREATE OR REPLACE TABLE wanted AS SELECT doc_id::VARCHAR AS doc_id FROM asked")
    db.unregister("asked")


def _count(db: duckdb.DuckDBPyConnection) -> int:
    return int(db.sql("SELECT count(*) FROM inputs").fetchall()[0][0])


_INPUTS = """CREATE TABLE inputs AS
    SELECT m.doc_id, p.source, p.kind, e.language, coalesce(p.label, f.label) AS label,
           c.level AS confidentiality, p.created_at,
           (f.position << 32) + p.position AS position,
           md5(concat_ws(chr(31), strlen(m.text), m.text, coalesce(m.columns, chr(0)),
               p.asks::VARCHAR, p.reads::VARCHAR)) AS said
    FROM masked_documents m
    JOIN parsed_documents p USING (doc_id)
    JOIN document_confidentiality c USING (doc_id)
    JOIN cleansed_documents e USING (doc_id)
    JOIN source_files f USING (file_id)"""


def _read(group: str | None) -> str:
    """SQL for what the documents in `wanted` say: doc_id; source; `read`, the text that is
    compared; `asked`, texts that set it apart from others of the same; `answers`, null where there
    is none."""
    return f"""SELECT doc_id, source, coalesce(passage, text, '') AS read,
               CASE WHEN passage IS NULL OR passage = text THEN questions
                    ELSE list_prepend(coalesce(text, ''), questions) END AS asked,
               answers
        FROM (
            SELECT m.doc_id, m.text, p.source, {_said("p.asks")} AS questions,
                   nullif(array_to_string({_said("p.reads")}, chr(10)), '') AS passage,
                   nullif({_answers(group)}, []) AS answers
            FROM (FROM masked_documents SEMI JOIN wanted USING (doc_id)) m
            JOIN parsed_documents p USING (doc_id))"""


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
