"""Passages that stand beside the one with the answer: those found for the question."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import islice

from stillhouse.tasks.nearest import Nearest


class Passages:
    """An index over passages; equal ones are one."""

    def __init__(self, passages: Sequence[str]) -> None:
        self.passages = list(dict.fromkeys(passages))
        self._nearest = Nearest(self.passages)

    def best(self, question: str, count: int) -> list[str]:
        """The passages that fit a question best, the best first; fewer where there are fewer."""
        return [self.passages[i] for i in islice(self._nearest.ranked(question), count)]


def with_distractors(right: str, found: Sequence[str], count: int, key: str) -> list[str]:
    """`count` passages, the right one among them, in an order that depends on `key` alone."""
    others = [passage for passage in found if passage != right][: count - 1]
    return sorted([right, *others], key=lambda p: hashlib.sha256(f"{key}\n{p}".encode()).digest())
