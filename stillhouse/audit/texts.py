"""Which pairs the audit tries: some that the student learned from, and some that nobody did."""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from stillhouse.lm.prompts import Encoder, Example, render_prompt
from stillhouse.storage.query import one_row, rows_in_batches
from stillhouse.tasks.common import Row, quoted

COLUMNS = "pair_id, task, doc_id, source, instruction, input, response, label, created_at"


def sampled(dataset: Path, task: str, split: str, count: int, seed: int) -> list[Row]:
    """At most so many gold pairs of a task's split, of one family of documents each, so that they
    say something independently of each other; the same for a seed."""
    found = rows_in_batches(
        f"""SELECT {COLUMNS} FROM (
                SELECT *, row_number() OVER (PARTITION BY group_id ORDER BY pair_id) AS place
                FROM dataset WHERE task = {quoted([task])} AND split = {quoted([split])}
                    AND response IS NOT NULL
            ) WHERE place = 1 ORDER BY md5('{seed} ' || pair_id) LIMIT {count}""",
        dataset=dataset,
    )
    return sorted((row for rows in found for row in rows), key=lambda row: row["pair_id"])


def learned_texts(dataset: Path, tasks: Sequence[str]) -> Iterator[list[str]]:
    """All that these tasks are learned from, in batches: texts and answers."""
    for rows in rows_in_batches(
        f"""SELECT input, response FROM dataset WHERE split = 'train' AND task IN ({quoted(tasks)})
            ORDER BY pair_id""",
        dataset=dataset,
    ):
        yield [text for row in rows for text in (row["input"], row["response"]) if text]


def families_with(dataset: Path, text: str) -> int:
    """In how many families of documents a text stands, as it is."""
    found = one_row(
        f"""SELECT count(DISTINCT group_id) AS n FROM dataset
            WHERE contains(input, {quoted([text])})
                OR coalesce(contains(response, {quoted([text])}), false)""",
        dataset=dataset,
    )
    return int(found["n"])


def readings(encoder: Encoder, rows: Sequence[Row]) -> list[tuple[Example, int]]:
    """Each pair from where its text begins: its text and answer stand as the response of an
    example, and where in that the answer begins."""
    starts = [len(ids) for ids in encoder.texts([_head(row["instruction"]) for row in rows])]
    found = []
    for example, start in zip(encoder.pairs(rows), starts, strict=True):
        start = max(1, min(start, example.response_start - 1))
        reading = Example(example.key, example.ids, start, example.cut)
        found.append((reading, example.response_start - start))
    return found


def _head(instruction: str) -> str:
    return render_prompt(instruction, "").partition("\n\n")[0] + "\n\n"
