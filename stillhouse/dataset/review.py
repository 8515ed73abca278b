"""A small sample of pairs for a person to read before anything is trained on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def review_sample(pairs: pa.Table, per_label: int = 3) -> pa.Table:
    """Up to `per_label` pairs of each label, always the same ones for the same pairs.

    The lowest hashes of pair ids are taken, so that a pair stays in the sample until a new pair
    with a lower one arrives: a reviewer is not shown everything anew.
    """
    import duckdb

    with duckdb.connect() as db:
        db.register("pairs", pairs)
        return db.sql(
            f"""
            SELECT pair_id, task, label, source, split, input FROM pairs
            QUALIFY row_number() OVER (PARTITION BY task, label ORDER BY md5(pair_id))
                <= {int(per_label)}
            ORDER BY task, label, md5(pair_id)
            """  # noqa: S608 - an integer
        ).to_arrow_table()
