"""Train, validation and test, by document, and the same for ever."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

SPLITS = ("train", "validation", "test")


def split_of(group: str, *, validation: float, test: float, seed: int) -> str:
    """The split of a group of pairs that belong together.

    A hash decides, not a shuffle: new documents leave old ones where they are, so a test set is
    never trained on later. The price is sizes that vary by a few pairs.
    """
    position = int.from_bytes(hashlib.sha256(f"{seed}:{group}".encode()).digest()[:8]) / 2**64
    if position < test:
        return "test"
    return "validation" if position < test + validation else "train"


def assign_splits(pairs: pa.Table, *, validation: float, test: float, seed: int) -> pa.Table:
    """`pairs` with a column "split", decided by "group_id": the family of near-duplicates that
    the pair's document belongs to, so that neither they nor its passages are torn apart."""
    import pyarrow as pa

    splits = [
        split_of(group, validation=validation, test=test, seed=seed)
        for group in pairs["group_id"].to_pylist()
    ]
    return pairs.append_column("split", pa.array(splits, pa.string()))


def straddling(pairs: pa.Table) -> list[str]:
    """Families of documents and texts (case and spacing aside) in more than one split."""
    import duckdb

    with duckdb.connect() as db:
        db.register("pairs", pairs)
        rows = db.sql(
            """
            SELECT 'documents of family ' || group_id FROM pairs
            GROUP BY group_id HAVING count(DISTINCT split) > 1
            UNION ALL
            SELECT 'text of pair ' || min(pair_id) FROM pairs
            GROUP BY task, lower(regexp_replace(trim(input), '\\s+', ' ', 'g'))
            HAVING count(DISTINCT split) > 1
            ORDER BY 1
            """
        ).fetchall()
    return [row[0] for row in rows]


def untrainable_labels(pairs: pa.Table) -> list[str]:
    """Labels, as `task:label`, that no training pair has."""
    import duckdb

    with duckdb.connect() as db:
        db.register("pairs", pairs)
        rows = db.sql(
            """
            SELECT task || ':' || label FROM pairs
            GROUP BY task, label HAVING count(*) FILTER (split = 'train') = 0 ORDER BY 1
            """
        ).fetchall()
    return [row[0] for row in rows]
