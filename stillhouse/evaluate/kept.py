"""Answers that were given before, in one Parquet file: read, and written as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from stillhouse.storage.tables import BATCH_ROWS, read_batches, table_writer

# By task and what an answer is found by, the other of the two and the answer in JSON. `pair_id` is
# what was asked, `key` what the answer hangs on: another `key`, another answer.
Known = dict[tuple[str, str], tuple[str, str]]
Found = Literal["pair_id", "key"]
OTHER: dict[Found, Found] = {"pair_id": "key", "key": "pair_id"}


def read_kept(store: Path, by: Found) -> Known:
    """Empty where nothing was kept yet."""
    if not store.exists():
        return {}
    return {
        (row["task"], row[by]): (row[OTHER[by]], row["prediction"])
        for batch in read_batches(store)
        for row in batch.to_pylist()
    }


def write_kept(store: Path, known: Known, by: Found) -> None:
    import pyarrow as pa

    schema = pa.schema([(n, pa.string()) for n in ("task", "pair_id", "key", "prediction")])
    rows = [
        {"task": task, by: found, OTHER[by]: other, "prediction": prediction}
        for (task, found), (other, prediction) in sorted(known.items())
    ]
    with table_writer(store, schema) as write:
        for start in range(0, len(rows), BATCH_ROWS):
            write(rows[start : start + BATCH_ROWS])
