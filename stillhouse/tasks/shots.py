"""Examples to show a model before it is asked: pairs of a task's training split, gold ones alone.

Never a pair of another split, and to a training pair neither itself, nor one of its family of
near-duplicates, nor one of the same text: an answer that stands in the prompt teaches nothing.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import Any, Literal

from stillhouse.storage.files import digest
from stillhouse.storage.query import rows_in_batches
from stillhouse.tasks.common import Row, quoted
from stillhouse.tasks.nearest import Nearest

# Pairs to choose from; of more, those that come first by the hash that is their id.
MOST_PAIRS = 50_000


class Shots:
    """Chooses `count` pairs for each text.

    - balanced: the same for all texts, as many of each answer, the most frequent answer first;
    - nearest: those whose text is nearest by BM25;
    - random: drawn anew for each pair, by its id, so that no choice weighs on all answers.
    """

    def __init__(
        self,
        dataset: Path,
        task: str,
        count: int,
        choose: Literal["balanced", "nearest", "random"],
    ) -> None:
        self.count, self.choose = count, choose
        self.pairs: list[Row] = []
        self._families: dict[str, str] = {}
        if not count:
            return
        # Without an answer, a pair is no shot; it has a family all the same.
        training = f"FROM dataset WHERE task = {quoted([task])} AND split = 'train'"
        for rows in rows_in_batches(f"SELECT pair_id, group_id {training}", dataset=dataset):
            self._families |= {row["pair_id"]: row["group_id"] for row in rows}
        for rows in rows_in_batches(
            f"""SELECT pair_id, group_id, input, response, label {training}
                AND origin = 'gold' AND response IS NOT NULL
                ORDER BY pair_id LIMIT {MOST_PAIRS}""",
            dataset=dataset,
        ):
            self.pairs += rows

    @property
    def digest(self) -> str:
        """Of what is chosen from, and how."""
        return digest(self.choose, self.count, [(p["pair_id"], p["group_id"]) for p in self.pairs])

    def of(self, rows: Sequence[Row]) -> list[list[Row]]:
        """The shots for each row (pair_id, input), the best first; fewer if there are no more."""
        if self.choose == "nearest":
            ranked = (self._near.ranked(row["input"]) for row in rows)
        elif self.choose == "random":
            ranked = (_shuffled(len(self.pairs), row["pair_id"]) for row in rows)
        else:
            ranked = (iter(self._balanced) for _ in rows)
        return [
            [self.pairs[i] for i in islice(self._allowed(row, order), self.count)]
            for row, order in zip(rows, ranked, strict=True)
        ]

    def _allowed(self, row: Row, order: Iterator[int]) -> Iterator[int]:
        family = row.get("group_id") or self._families.get(row["pair_id"])
        text = _key(row["input"])
        for place in order:
            shot = self.pairs[place]
            if shot["group_id"] != family and _key(shot["input"]) != text:
                yield place

    @cached_property
    def _balanced(self) -> list[int]:
        by_answer: dict[Any, list[int]] = defaultdict(list)
        for place, row in enumerate(self.pairs):
            by_answer[row["label"]].append(place)
        often = sorted(by_answer.values(), key=lambda places: (-len(places), places))
        return [p for p in chain.from_iterable(zip_longest(*often)) if p is not None]

    @cached_property
    def _near(self) -> Nearest:
        return Nearest([row["input"] for row in self.pairs])


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def _shuffled(count: int, seed: str) -> Iterator[int]:
    """All numbers below `count` in an order of the seed's own, drawn as they are taken."""
    generator, moved = random.Random(seed), dict[int, int]()
    for last in reversed(range(count)):
        place = generator.randint(0, last)
        yield moved.get(place, place)
        moved[place] = moved.get(last, last)
