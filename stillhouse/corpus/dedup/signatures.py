"""Signatures of the unique texts: taken from a store where known, computed where not."""

# Queries are composed of names and numbers of our own; what users give goes in as parameters,
# but for the file that COPY writes, whose quotes are doubled.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.dedup import minhash
from stillhouse.corpus.dedup.tables import (
    by_bytes,
    count,
    fill,
    matrix,
    ordered_map,
    stream,
)
from stillhouse.errors import UserError
from stillhouse.progress import track
from stillhouse.storage.files import atomic_file

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stillhouse.corpus.dedup.texts import Bodies


def load_signatures(
    db: duckdb.DuckDBPyConnection, store: Path | None, fingerprint: str, permutations: int
) -> int:
    """Create signatures(id, signature) with what the store knows of `texts`; return how many.

    The store is a Parquet file of (settings, digest, signature); rows of other settings are left
    aside. Raises `UserError` when the file can't be read.
    """
    import duckdb

    db.execute(f"CREATE TABLE signatures (id BIGINT, signature UINTEGER[{permutations}])")
    if store is None or not store.exists():
        return 0
    try:
        db.execute(
            f"""INSERT INTO signatures
            SELECT t.id, s.signature::UINTEGER[{permutations}]
            FROM read_parquet(?) s JOIN texts t USING (digest) WHERE s.settings = ?""",
            [str(store), fingerprint],
        )
    except duckdb.Error as error:
        raise UserError(
            f"{store}: not a store of signatures ({str(error).splitlines()[0]})",
            remedy="delete the file: the signatures are computed anew",
        ) from error
    return count(db, "signatures")


def compute_signatures(
    db: duckdb.DuckDBPyConnection,
    bodies: Bodies,
    sign: Callable[[pa.Array], Any],
    threads: int,
) -> int:
    """Add the signatures of the texts that have none yet; return how many were computed: one for
    all those of one digest.

    `sign` takes a string array of n texts to their (n, permutations) uint32 matrix.
    """
    import pyarrow as pa

    def work(batch: pa.RecordBatch) -> pa.Table:
        signed = sign(bodies.read(batch["place"].to_pylist(), batch["size"].to_pylist()))
        lists = pa.FixedSizeListArray.from_arrays(pa.array(signed.reshape(-1)), signed.shape[1])
        return pa.table({"id": batch["id"], "signature": lists})

    db.execute(
        """CREATE TABLE missing AS SELECT min(id) AS id, min(place) AS place, min(size) AS size
           FROM texts WHERE id NOT IN (SELECT id FROM signatures) GROUP BY digest"""
    )
    batches = by_bytes(stream(db, "SELECT * FROM missing ORDER BY place"), "size")
    batches = track(batches, "Hashing texts", unit="batches")
    fill(db, "signatures", ordered_map(work, batches, threads))
    db.execute(
        """INSERT INTO signatures SELECT t.id, s.signature
           FROM missing JOIN texts one USING (id) JOIN signatures s USING (id)
           JOIN texts t ON t.digest = one.digest AND t.id <> one.id"""
    )
    computed = count(db, "missing")
    db.execute("DROP TABLE missing")
    return computed


def save_signatures(db: duckdb.DuckDBPyConnection, store: Path, fingerprint: str) -> None:
    """Write the store: exactly the present texts under the present settings, by digest.

    What has left the corpus leaves the store too.
    """
    with atomic_file(store) as temporary:
        target = str(temporary).replace("'", "''")
        db.execute(
            f"""COPY (SELECT '{fingerprint}' AS settings, digest, signature
                      FROM signatures JOIN texts USING (id)
                      WHERE id IN (SELECT min(id) FROM texts GROUP BY digest) ORDER BY digest)
                TO '{target}' (FORMAT parquet, ROW_GROUP_SIZE 65536)"""
        )


def fill_bands(db: duckdb.DuckDBPyConnection, bands: int, rows: int) -> None:
    """Create bands(id, b0, b1, ...): one column a band, so that a band is read alone."""
    import numpy as np
    import pyarrow as pa

    columns = ", ".join(f"b{band} UBIGINT" for band in range(bands))
    db.execute(f"CREATE TABLE bands (id BIGINT, {columns})")
    # The empty text has no shingle to share with another.
    query = "SELECT s.id, s.signature FROM signatures s JOIN texts t USING (id) WHERE t.size > 0"

    def keyed(batch: pa.RecordBatch) -> pa.Table:
        keys = minhash.band_keys(matrix(batch["signature"]), bands, rows)
        by_band = {f"b{band}": np.ascontiguousarray(keys[:, band]) for band in range(bands)}
        return pa.table({"id": batch["id"], **by_band})

    fill(db, "bands", map(keyed, stream(db, query)))
