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
from stillhouse.corpus.dedup.graph import Graph
from stillhouse.corpus.dedup.settings import PREFERENCE, DedupSettings, candidate_probability
from stillhouse.corpus.dedup.signatures import (
    compute_signatures,
    fill_bands,
    load_signatures,
    save_signatures,
)
from stillhouse.corpus.dedup.tables import count, fill
from stillhouse.corpus.dedup.texts import normalise
from stillhouse.errors import UserError
from stillhouse.progress import track

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

__all__ = ["DedupSettings", "candidate_probability", "cluster_documents", "normalise"]

logger = logging.getLogger("stillhouse")


def cluster_documents(
    documents: pa.Table | pa.RecordBatchReader | Path,
    settings: DedupSettings,
    *,
    signatures: Path | None = None,
    work_dir: Path | None = None,
) -> pa.Table:
    """Cluster documents that say the same; see the module's text for what is promised.

    `documents` is an Arrow table or stream, or a Parquet file or folder, with the columns doc_id
    (string, unique) and text, and optionally created_at (timestamp or ISO 8601 string), position
    (the order of the source, integer) and labels (integer: who has more of them is kept first,
    whatever `settings.keep` says); nulls in these come last. Documents of different values in a
    column `apart` (string) are set apart.

    `signatures` is a Parquet file: signatures found there are not computed again, and it is
    replaced by those of the present documents. Temporary files go to a new folder in `work_dir`
    (default: the system's) and take about the size of the texts plus 700 bytes a document.

    Returns one row per document, ordered by doc_id:

    - cluster_id: doc_id of the representative
    - is_representative
    - kind: how the document relates to its representative: "unique" (it is the representative),
      "exact" (same normalised text) or "near". All but "unique" can be dropped.
    - similarity: exact Jaccard similarity to the representative; 1.0 for unique and exact
    - family_id: doc_id of the most preferred document of the connected component

    The schema's metadata carry the counts `hashed` and `reused` of signatures. Empty texts are
    exact duplicates of each other and near to nothing.

    Raises `UserError` for missing columns, a doc_id that is null or comes twice, dates that can't
    be read, and a signature store that is none.
    """
    import duckdb

    if work_dir is not None:
        work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dedup-", dir=work_dir) as folder:
        bodies = texts.Bodies(Path(folder) / "texts")
        db = _connect(Path(folder), settings)
        try:
            return _cluster(db, bodies, documents, settings, signatures)
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
    documents: pa.Table | pa.RecordBatchReader | Path,
    settings: DedupSettings,
    store: Path | None,
) -> pa.Table:
    threads = settings.threads or os.cpu_count() or 1
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

    _load_documents(db, bodies, documents, settings)
    reused = load_signatures(db, store, settings.fingerprint, settings.permutations)
    hashed = compute_signatures(db, bodies, sign, threads)
    if store is not None:
        save_signatures(db, store, settings.fingerprint)

    bands, rows = settings.banding
    fill_bands(db, bands, rows)
    graph = Graph(db, bodies, compare, settings.threshold, settings.permutations, threads)
    graph.form(bands)

    result = _result(db).replace_schema_metadata({"hashed": str(hashed), "reused": str(reused)})
    logger.info(
        "Near-duplicates: %d documents, %d texts (%d hashed, %d signatures reused), %d kept",
        result.num_rows,
        hashed + reused,
        hashed,
        reused,
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


def _load_documents(
    db: duckdb.DuckDBPyConnection,
    bodies: texts.Bodies,
    documents: pa.Table | pa.RecordBatchReader | Path,
    settings: DedupSettings,
) -> None:
    """Create documents(rank, doc_id, digest, apart, ...) and texts(id, digest, apart, place, size).

    `rank` numbers documents by preference. A text is numbered by its most preferred document; the
    same text is another one for documents that are set apart.
    """
    db.execute(
        """CREATE TABLE arrived (doc_id VARCHAR, digest BLOB, place BIGINT, size BIGINT,
           length BIGINT, created BIGINT, position BIGINT, labels BIGINT, apart VARCHAR)"""
    )
    batches = texts.document_batches(documents, bodies)
    batches = track(batches, "Reading documents", unit=f"x {texts.BATCH_ROWS}")
    fill(db, "arrived", batches)
    twice = db.sql("SELECT doc_id FROM arrived GROUP BY 1 HAVING count(*) > 1 LIMIT 1")
    if twice.fetchall():
        raise UserError("a doc_id comes twice", remedy="give every document its own id")
    db.execute(
        f"""CREATE TABLE documents AS
        SELECT doc_id, digest, coalesce(apart, '') AS apart, place, size,
               row_number() OVER (
                   ORDER BY labels DESC NULLS LAST, {PREFERENCE[settings.keep]}) AS rank
        FROM arrived"""
    )
    db.execute("DROP TABLE arrived")
    db.execute(
        """CREATE TABLE texts AS
        SELECT min(rank) AS id, digest, apart, min(place) AS place, min(size) AS size
        FROM documents GROUP BY digest, apart"""
    )
    logger.debug("%d documents, %d texts", count(db, "documents"), count(db, "texts"))


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
            coalesce(l.similarity, 1.0) AS similarity,
            eldest.doc_id AS family_id
        FROM documents d
        JOIN texts t USING (digest, apart)
        LEFT JOIN clusters c ON c.id = t.id
        LEFT JOIN links l ON l.a = c.leader AND l.b = c.id
        LEFT JOIN families f ON f.id = t.id
        JOIN documents kept ON kept.rank = coalesce(c.leader, t.id)
        JOIN documents eldest ON eldest.rank = coalesce(f.family, t.id)
        ORDER BY d.doc_id"""
    ).to_arrow_table()
