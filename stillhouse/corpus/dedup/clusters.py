"""Exact and near-duplicates among documents, as clusters with one representative each.

    documents = pa.table({"doc_id": ["a", "b", "c"], "text": [memo, memo.upper(), letter]})
    cluster_documents(documents, DedupSettings())

**Exact**: documents whose normalised text has the same SHA-256. **Near**: documents whose sets of
shingles (five words in a row; five characters where words are not spaced) have a Jaccard
similarity of at least `threshold`. Candidates come from banded MinHash signatures, pairs near the
threshold are decided by exact Jaccard.

What a cluster promises:

1. Every member's exact Jaccard similarity to its representative is at least the threshold: no text
   is dropped for the sake of another that it merely resembles by a chain of others. Two members
   of a cluster are then at least 2 * threshold - 1 alike (Jaccard distance is a metric).
2. No two documents known to be near-duplicates are both kept. Known are pairs that share a band,
   which at the threshold has the probability `candidate_probability` (0.998 for 20 bands of 6
   rows at 0.8) and is ever surer above it. Where more than 17 texts share a band, and among more
   than 257 kept texts of a family, only the most preferred are compared with all the others.
3. The same documents give the same clusters, whatever their order, the number of threads, the
   memory limit and what of their signatures was stored.

Chains are not lost: `family_id` is the connected component of all near-duplicate pairs. Documents
of one family belong on the same side of a train/test split, even when several of them are kept.
Documents that are set `apart`, such as two questions on one passage, are no duplicates of each
other however alike their texts are, but of one family.

Memory: the working database keeps to `memory_limit` and spills beyond it; texts lie in a file and
are read in batches of a few megabytes. Beside that come the libraries themselves (about 0.3 GB)
and the table of results.
"""

# Queries are composed of names and numbers of our own; what users give goes in as parameters.
# ruff: noqa: S608

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.dedup import minhash, texts
from stillhouse.corpus.dedup.documents import load_documents, read_texts
from stillhouse.corpus.dedup.graph import Graph
from stillhouse.corpus.dedup.memory import (
    Memory,
    choose,
    find_new,
    near_in_store,
    recall,
    settle,
)
from stillhouse.corpus.dedup.settings import DedupSettings, candidate_probability
from stillhouse.corpus.dedup.signatures import (
    add_signatures,
    compute_signatures,
    fill_bands,
    keys_of_texts,
    load_signatures,
)
from stillhouse.corpus.dedup.tables import count
from stillhouse.corpus.dedup.texts import normalise
from stillhouse.errors import UserError

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stillhouse.corpus.dedup.documents import Documents, Read

__all__ = ["DedupSettings", "candidate_probability", "cluster_documents", "normalise"]

logger = logging.getLogger("stillhouse")


def cluster_documents(
    documents: Documents,
    settings: DedupSettings,
    *,
    memory: Path | None = None,
    read: Read | None = None,
    work_dir: Path | None = None,
) -> pa.Table:
    """Cluster documents that say the same; see the module's text for what is promised.

    `documents` is an Arrow table or stream, or a Parquet file or folder, with the columns doc_id
    (string, unique) and text, and optionally created_at (timestamp or ISO 8601 string), position
    (the order of the source, integer) and labels (integer: who has more of them is kept first,
    whatever `settings.keep` says); nulls in these come last. Documents of different values in a
    column `apart` (string) are set apart.

    `memory` is a folder, in which a run keeps what it knows of these documents for the next one:
    that compares only what new and vanished texts may change, with the same result (see `memory`).
    Where what is kept is lost or of other settings, it is made again. With `read`, which gives the
    texts (doc_id, text) of the documents of a table (doc_id), `documents` is a table or stream that
    has no column text but one `version` (string), which is another one when the text is: only
    texts that are not known are then read.

    Temporary files go to a new folder in `work_dir` (default: the system's) and take about the size
    of the texts that are read plus 700 bytes a document.

    Returns one row per document, ordered by doc_id:

    - cluster_id: doc_id of the representative
    - is_representative
    - kind: how the document relates to its representative: "unique" (it is the representative),
      "exact" (same normalised text) or "near". All but "unique" can be dropped.
    - similarity: exact Jaccard similarity to the representative; 1.0 for unique and exact
    - family_id: doc_id of the most preferred document of the connected component

    The schema's metadata carry the counts of texts whose signatures were `hashed` and `reused`, and
    of those `compared`. Empty texts are exact duplicates of each other and near to nothing.

    Raises `UserError` for missing columns, a doc_id that is null or comes twice, dates that can't
    be read, and a memory that is none.
    """
    import duckdb

    if work_dir is not None:
        work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dedup-", dir=work_dir) as folder:
        bodies = texts.Bodies(Path(folder) / "texts")
        db = _connect(Path(folder), settings)
        try:
            kept = Memory(memory, settings) if memory else None
            load_documents(db, bodies, documents, settings, kept, read)
            return _cluster(db, bodies, settings, kept, read)
        except duckdb.OutOfMemoryException as error:
            raise UserError(
                f"dedup.memory_limit: {settings.memory_limit!r} is too little for these documents"
                f" ({str(error).splitlines()[0]})",
                remedy="raise it, or lower dedup.threads: each thread needs its own share",
            ) from error
        finally:
            db.close()
            bodies.close()


def _cluster(
    db: duckdb.DuckDBPyConnection,
    bodies: texts.Bodies,
    settings: DedupSettings,
    memory: Memory | None,
    read: Read | None,
) -> pa.Table:
    threads = settings.threads or os.cpu_count() or 1
    bands, rows = settings.banding
    shingling: dict[str, Any] = {
        "words": settings.shingle_words,
        "chars": settings.shingle_chars,
        "seed": settings.seed,
    }

    def sign(texts: pa.Array) -> Any:
        hashes, ends = minhash.shingles(texts, **shingling)
        return minhash.signatures(
            hashes, ends, permutations=settings.permutations, seed=settings.seed
        )

    def compare(left: pa.Array, right: pa.Array) -> Any:
        return minhash.jaccard(left, right, **shingling)

    store = memory.signatures if memory else None
    db.execute(f"CREATE TABLE signatures (id BIGINT, signature UINTEGER[{settings.permutations}])")

    def take(ids: str | None = None) -> int:
        """Make `texts` those of these ids, or all, and have their signatures; how many were
        computed."""
        read_texts(db, bodies, ids or "SELECT id FROM known", read)
        if ids is None:
            db.execute("CREATE VIEW texts AS FROM known")
        else:
            db.execute(f"CREATE OR REPLACE TABLE texts AS SELECT * FROM known WHERE id IN ({ids})")
        load_signatures(db, store, settings.permutations)
        hashed = compute_signatures(db, bodies, sign, threads)
        if store is not None:
            add_signatures(db, store)
        return hashed

    recall(db, memory)
    if find_new(db):
        db.execute("CREATE VIEW chosen AS SELECT id FROM known")
        hashed = take()
    else:
        hashed = take("FROM new")
        if memory is not None:
            keys = keys_of_texts(db, bands, rows)
            db.register("near", near_in_store(memory.signatures, keys, bands, rows))
            choose(db)
            take("FROM chosen")
    fill_bands(db, bands, rows)
    graph = Graph(db, bodies, compare, settings.threshold, settings.permutations, threads)
    graph.form(bands)
    settle(db)
    if memory is not None:
        memory.save(db)

    texts_in_all, compared = count(db, "known"), count(db, "chosen")
    result = _result(db).replace_schema_metadata(
        {"hashed": str(hashed), "reused": str(texts_in_all - hashed), "compared": str(compared)}
    )
    logger.info(
        "Near-duplicates: %d documents, %d texts (%d hashed, %d compared anew), %d kept",
        result.num_rows,
        texts_in_all,
        hashed,
        compared,
        result["is_representative"].to_numpy().sum(),
    )
    return result


def _connect(folder: Path, settings: DedupSettings) -> duckdb.DuckDBPyConnection:
    import duckdb

    try:
        # In memory as far as the limit goes, then in `spill`: a database file would write all of it
        # and wait for the disk at every step.
        return duckdb.connect(
            ":memory:",
            config={
                "memory_limit": settings.memory_limit,
                "threads": settings.threads or os.cpu_count() or 1,
                "temp_directory": str(folder / "spill"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            },
        )
    except duckdb.Error as error:
        raise UserError(
            f"dedup.memory_limit: {settings.memory_limit!r} ({error})",
            remedy="give a size such as 2GB",
        ) from error


def _result(db: duckdb.DuckDBPyConnection) -> pa.Table:
    """Join documents to texts, texts to leaders, leaders to their most preferred documents."""
    return db.sql(
        """SELECT
            d.doc_id,
            kept.doc_id AS cluster_id,
            d.rank = kept.rank AS is_representative,
            CASE WHEN d.rank = kept.rank THEN 'unique'
                 WHEN t.id = kept.rank THEN 'exact'
                 ELSE 'near' END AS kind,
            coalesce(o.similarity, 1.0) AS similarity,
            eldest.doc_id AS family_id
        FROM documents d
        JOIN known t USING (digest, apart)
        LEFT JOIN outcome o ON o.id = t.id
        JOIN documents kept ON kept.rank = coalesce(o.leader, t.id)
        JOIN documents eldest ON eldest.rank = coalesce(o.family, t.id)
        ORDER BY d.doc_id"""
    ).to_arrow_table()
