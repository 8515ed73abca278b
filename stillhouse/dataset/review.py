"""A small sample of pairs for a person to read before anything is trained on them."""

from __future__ import annotations

from stillhouse.facts import ReviewSampleFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import query
from stillhouse.storage.tables import table_digest, write_table

PER_ANSWER = 3
PER_TASK = 20  # where answers don't come again


def draw_review_sample(layout: Layout) -> ReviewSampleFacts:
    """Write `review_sample`: a few gold pairs of each answer, or of each task whose answers are
    texts, always the same ones for the same pairs.

    The lowest hashes of pair ids are taken, so that a pair stays in the sample until a new pair
    with a lower one arrives: a reviewer is not shown everything anew.
    """
    sample = query(
        f"""
        SELECT pair_id, task, label, source, split, input,
               CASE WHEN label IS NULL THEN response END AS answer
        FROM pairs WHERE response IS NOT NULL
        QUALIFY row_number() OVER (PARTITION BY task, label ORDER BY md5(pair_id))
                <= CASE WHEN label IS NULL THEN {PER_TASK} ELSE {PER_ANSWER} END
        ORDER BY task, label, md5(pair_id)
        """,  # noqa: S608 - an integer
        pairs=layout.table("dataset_splits"),
    )
    write_table(layout.table("review_sample"), sample)
    return ReviewSampleFacts(table_digest(sample, sample.column_names), sample.num_rows)
