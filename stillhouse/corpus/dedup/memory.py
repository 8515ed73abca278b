"""What the last run knew, and which texts a new one has to compare again.

Kept are, in one folder: the digest of each document's text, the signature of each text, and the
clusters. The first two are good by themselves, row by row. The clusters are one file that is
replaced whole.

**Groups.** What a text is compared with, and what comes of it, depends on the other texts only
within its group: the texts that are linked, directly or through others, and all those of a bucket
that is too large to be compared pair by pair. In a smaller bucket each pair is decided by its own
two texts. So the result of a run is made anew for the groups that a new text may belong to (those
of all texts that share a band with it), that a text has left, or whose order of preference is
another one; the others' stays, and is what it would be from scratch.
"""

# Queries are composed of names and numbers of our own.
# ruff: noqa: S608

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.dedup import graph, minhash
from stillhouse.corpus.dedup.settings import DedupSettings
from stillhouse.corpus.dedup.tables import count
from stillhouse.errors import UserError
from stillhouse.storage.caches import mark_used
from stillhouse.storage.files import atomic_file, digest
from stillhouse.storage.parts import GROUP_ROWS, Parts

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Of so many new texts in all, everything is compared again: hardly less would be.
MANY = 0.2


@dataclass(frozen=True)
class Memory:
    """The folder of one set of documents. One writer at a time: the caller holds a lock."""

    folder: Path
    settings: DedupSettings

    @property
    def documents(self) -> Parts:
        """`version` is whatever its reader calls a document's text by."""
        import pyarrow as pa

        columns = [("doc_id", pa.string()), ("version", pa.string()), ("digest", pa.binary())]
        sizes = [("size", pa.int64()), ("length", pa.int64())]
        return Parts(
            self.folder, "documents", self.settings.normalised, pa.schema([*columns, *sizes])
        )

    @property
    def signatures(self) -> Parts:
        import pyarrow as pa

        # Little-endian 32-bit numbers, one after the other: they are read as they lie there.
        signature = pa.binary(4 * self.settings.permutations)
        return Parts(
            self.folder,
            "signatures",
            self.settings.fingerprint,
            pa.schema([("digest", pa.binary(32)), ("signature", signature)]),
        )

    @property
    def clusters(self) -> Path:
        chosen = (self.settings.fingerprint, self.settings.threshold, self.settings.banding)
        limits = (graph.VERSION, graph.PIVOTS, graph.FAMILY_PIVOTS, graph.CERTAIN)
        return self.folder / f"clusters-{digest(chosen, limits)}.parquet"

    def begin(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        mark_used(self.folder)

    def save(self, db: duckdb.DuckDBPyConnection) -> None:
        """Keep the results of `known`, and let go of what no document says any more."""
        self.documents.keep(
            db,
            "(doc_id, version) IN (SELECT (doc_id, version) FROM documents)",
            count(db, "documents"),
        )
        ((digests, changed),) = db.sql(
            """SELECT (SELECT count(DISTINCT digest) FROM known), EXISTS (FROM chosen)
                   OR (SELECT count(*) FROM before) <> (SELECT count(*) FROM same)"""
        ).fetchall()
        self.signatures.keep(db, "digest IN (SELECT digest FROM known)", digests)
        for file in self.folder.glob("clusters-*.parquet"):
            if file != self.clusters:
                file.unlink()
        if not changed and self.clusters.exists():
            return
        with atomic_file(self.clusters) as temporary:
            target = str(temporary).replace("'", "''")
            db.execute(
                f"""COPY (SELECT k.id, digest, apart, leader, similarity, family, part
                          FROM known k LEFT JOIN outcome o USING (id))
                    TO '{target}' (FORMAT parquet, COMPRESSION lz4)"""
            )


def recall(db: duckdb.DuckDBPyConnection, memory: Memory | None) -> None:
    """Create before(id, digest, apart, leader, similarity, family, part), texts by their ids in the
    last run; same(id, old), which of `known` they are now; stored(digest, ...), what signatures are
    kept."""
    import duckdb

    db.execute(
        """CREATE TABLE before (id BIGINT, digest BLOB, apart VARCHAR, leader BIGINT,
           similarity DOUBLE, family BIGINT, part BIGINT)"""
    )
    db.execute("CREATE VIEW stored AS SELECT NULL::BLOB AS digest WHERE false")
    if memory is not None:
        memory.begin()
        memory.signatures.create_view(db, "stored")
        try:
            if memory.clusters.exists():
                db.execute(
                    "INSERT INTO before BY NAME FROM read_parquet(?)", [str(memory.clusters)]
                )
        except duckdb.Error as error:
            raise UserError(
                f"{memory.clusters}: not what is kept there ({str(error).splitlines()[0]})",
                remedy="delete the folder: all of it is computed anew",
            ) from error
    db.execute(
        """CREATE TABLE same AS SELECT t.id, b.id AS old
           FROM known t JOIN before b USING (digest, apart)"""
    )


def find_new(db: duckdb.DuckDBPyConnection) -> bool:
    """Create new(id): texts that the last run didn't know, or whose signature is not kept.

    Returns whether they are so many that all texts are to be compared again.
    """
    db.execute(
        """CREATE TABLE new AS SELECT id FROM known
           WHERE id NOT IN (SELECT id FROM same) OR digest NOT IN (SELECT digest FROM stored)"""
    )
    ((new, all_of_them),) = db.sql(
        "SELECT (SELECT count(*) FROM new), (SELECT count(*) FROM known)"
    ).fetchall()
    return bool(new > MANY * all_of_them or new == all_of_them)


def choose(db: duckdb.DuckDBPyConnection) -> None:
    """Create chosen(id): the texts whose results are made anew, of new(id) and near(digest)."""
    db.execute(
        """CREATE TABLE touched AS
        SELECT part FROM before ANTI JOIN same ON old = before.id WHERE part IS NOT NULL
        UNION SELECT part FROM known SEMI JOIN near USING (digest) JOIN same USING (id)
              JOIN before ON old = before.id WHERE part IS NOT NULL
        UNION SELECT part FROM (
            SELECT part, old < lag(old) OVER (PARTITION BY part ORDER BY same.id) AS moved
            FROM same JOIN before ON old = before.id WHERE part IS NOT NULL
        ) WHERE moved"""
    )
    db.execute(
        """CREATE TABLE chosen AS
        SELECT id FROM new
        UNION SELECT id FROM known SEMI JOIN near USING (digest)
        UNION SELECT same.id FROM same JOIN before ON old = before.id SEMI JOIN touched USING (part)
        """
    )


def settle(db: duckdb.DuckDBPyConnection) -> None:
    """Create outcome(id, leader, similarity, family, part) of the texts that have any: of those
    compared now, from `texts`, `clusters`, `links`, `families` and `groups`; of the others, from
    the last run."""
    db.execute(
        """CREATE TABLE outcome AS
        SELECT id, leader, l.similarity, family, part
        FROM groups FULL JOIN families USING (id) LEFT JOIN clusters USING (id)
        LEFT JOIN links l ON l.a = leader AND l.b = id
        UNION ALL
        SELECT same.id, leader.id, similarity, family.id, part.id
        FROM same JOIN before ON before.id = same.old
        LEFT JOIN same leader ON leader.old = before.leader
        LEFT JOIN same family ON family.old = before.family
        LEFT JOIN same part ON part.old = before.part
        WHERE before.part IS NOT NULL AND same.id NOT IN (SELECT id FROM texts)"""
    )


def near_in_store(signatures: Parts, keys: Any, bands: int, rows: int) -> pa.Table:
    """near(digest): stored texts that share a band with one of these, given as band keys of shape
    (n, bands). One pass over all signatures, `GROUP_ROWS` at a time."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = [np.unique(keys[:, band]) for band in range(bands)]
    found = []
    for file in signatures.files if len(keys) else ():
        with pq.ParquetFile(file) as opened:
            for batch in opened.iter_batches(GROUP_ROWS):
                signed = as_matrix(batch["signature"])
                own = minhash.band_keys(signed, bands, rows)
                hits = np.zeros(len(batch), bool)
                for band, some in enumerate(wanted):
                    hits |= (
                        some[np.searchsorted(some, own[:, band]).clip(max=len(some) - 1)]
                        == (own[:, band])
                    )
                found.append(batch["digest"].filter(pa.array(hits)))
    digests = pa.chunked_array(found, pa.binary(32)) if found else pa.array([], pa.binary(32))
    return pa.table({"digest": digests})


def as_matrix(signatures: pa.Array) -> Any:
    """A column of stored signatures as its (n, permutations) matrix, without a copy."""
    import numpy as np

    width, start = signatures.type.byte_width, signatures.offset
    raw = np.frombuffer(signatures.buffers()[1], np.uint8)
    return (
        raw[start * width : (start + len(signatures)) * width]
        .view("<u4")
        .reshape(len(signatures), -1)
    )
