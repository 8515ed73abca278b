"""Signatures of the unique texts: taken from a store where known, computed where not."""

# Queries are composed of names and numbers of our own; what users give goes in as parameters.

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.dedup import minhash
from stillhouse.corpus.dedup.memory import as_matrix
from stillhouse.corpus.dedup.tables import (
    by_bytes,
    count,
    fill,
    matrix,
    ordered_map,
    stream,
)
from stillhouse.progress import track
from stillhouse.storage.parts import Parts

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from stillhouse.corpus.dedup.texts import Bodies


def load_signatures(db: duckdb.DuckDBPyConnection, store: Parts | None, permutations: int) -> None:
    """Add to signatures(id, signature) what the store knows of `texts` and is not there yet."""
    if store is None:
        return
    for file in store.files:
        fill(db, "signatures", _of_texts(db, file, permutations))


def _of_texts(db: duckdb.DuckDBPyConnection, file: Path, permutations: int) -> Iterator[pa.Table]:
    """Signatures from a file, by the ids of texts: only groups of rows that hold any are read."""
    import numpy as np
    import pyarrow.parquet as pq

    wanted = db.sql(
        """SELECT s.file_row_number AS place, t.id
           FROM read_parquet($file, file_row_number = true) s JOIN texts t USING (digest)
           WHERE t.id NOT IN (SELECT id FROM signatures) ORDER BY place""",
        params={"file": str(file)},
    ).to_arrow_table()
    places, ids = wanted["place"].to_numpy(), wanted["id"].to_numpy()
    with pq.ParquetFile(file) as opened:
        start = 0
        for group in range(opened.num_row_groups):
            end = start + opened.metadata.row_group(group).num_rows
            first, last = np.searchsorted(places, [start, end])
            if first < last:
                column = opened.read_row_group(group, ["signature"])["signature"]
                signed = as_matrix(column.combine_chunks())[places[first:last] - start]
                yield _signed(ids[first:last], signed, permutations)
            start = end


def _signed(ids: Any, signed: Any, permutations: int) -> pa.Table:
    import pyarrow as pa

    lists = pa.FixedSizeListArray.from_arrays(pa.array(signed.reshape(-1)), permutations)
    return pa.table({"id": ids, "signature": lists})


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

    def work(batch: pa.RecordBatch) -> pa.Table:
        signed = sign(bodies.read(batch["place"].to_pylist(), batch["size"].to_pylist()))
        return _signed(batch["id"], signed, signed.shape[1])

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


def add_signatures(db: duckdb.DuckDBPyConnection, store: Parts) -> None:
    """Add to the store the signatures of `texts` that it lacks, once each."""
    store.create_view(db, "stored")
    lacking = """SELECT t.digest, s.signature FROM signatures s JOIN texts t USING (id)
                 WHERE id IN (SELECT min(id) FROM texts GROUP BY digest)
                 AND digest NOT IN (SELECT digest FROM stored)"""
    store.add(map(_as_stored, stream(db, lacking)))


def _as_stored(batch: pa.RecordBatch) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    signed = np.ascontiguousarray(matrix(batch["signature"]), "<u4")
    width = pa.binary(4 * signed.shape[1])
    column = pa.Array.from_buffers(width, len(batch), [None, pa.py_buffer(signed)])
    return pa.record_batch({"digest": batch["digest"].cast(pa.binary(32)), "signature": column})


def fill_bands(db: duckdb.DuckDBPyConnection, bands: int, rows: int) -> None:
    """Create bands(id, b0, b1, ...): one column a band, so that a band is read alone."""
    import numpy as np
    import pyarrow as pa

    columns = ", ".join(f"b{band} UBIGINT" for band in range(bands))
    db.execute(f"CREATE TABLE bands (id BIGINT, {columns})")

    def keyed(batch: pa.RecordBatch) -> pa.Table:
        keys = minhash.band_keys(matrix(batch["signature"]), bands, rows)
        by_band = {f"b{band}": np.ascontiguousarray(keys[:, band]) for band in range(bands)}
        return pa.table({"id": batch["id"], **by_band})

    fill(db, "bands", map(keyed, stream(db, _SIGNED)))


def keys_of_texts(db: duckdb.DuckDBPyConnection, bands: int, rows: int) -> Any:
    """Band keys of all `texts`, of shape (n, bands)."""
    import numpy as np

    found = [minhash.band_keys(matrix(b["signature"]), bands, rows) for b in stream(db, _SIGNED)]
    return np.concatenate([np.zeros((0, bands), np.uint64), *found])


# The empty text has no shingle to share with another.
_SIGNED = "SELECT s.id, s.signature FROM signatures s JOIN texts t USING (id) WHERE t.size > 0"
