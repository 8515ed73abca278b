"""Passages found for a question with BM25 (bm25s; Robertson and Zaragoza, 2009)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any


class Passages:
    """An index over passages; equal ones are one."""

    def __init__(self, passages: Sequence[str]) -> None:
        import bm25s

        self.passages = list(dict.fromkeys(passages))
        self._index = bm25s.BM25()
        self._index.index(_tokens(self.passages), show_progress=False)

    def best(self, questions: Sequence[str], count: int) -> list[list[str]]:
        """For each question the passages that fit it best, the best first; fewer where there are
        fewer."""
        count = min(count, len(self.passages))
        found, _ = self._index.retrieve(_tokens(questions), k=count, show_progress=False)
        return [[self.passages[i] for i in row] for row in found]


def with_distractors(right: str, found: Sequence[str], count: int, key: str) -> list[str]:
    """`count` passages, the right one among them, in an order that depends on `key` alone."""
    others = [passage for passage in found if passage != right][: count - 1]
    return sorted([right, *others], key=lambda p: hashlib.sha256(f"{key}\n{p}".encode()).digest())


def _tokens(texts: Sequence[str]) -> Any:
    import bm25s

    return bm25s.tokenize(list(texts), show_progress=False, stopwords=None)
