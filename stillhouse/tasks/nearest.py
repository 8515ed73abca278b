"""Texts by how near they are to another one, in words: BM25.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; the variant
and the parameters are the defaults of the library bm25s.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

# Thai, Lao, Burmese, Khmer, kana, Han: no spaces between words, so a character is a term there.
SPACELESS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
TERMS = rf"[{SPACELESS}]|[^\W{SPACELESS}]{{2,}}"


class Nearest:
    """An index of `texts`, in memory."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.size = len(texts)
        terms = _terms(texts)
        self._index = _bm25s().BM25() if any(terms) else None
        if self._index is not None:
            self._index.index(terms, show_progress=False)

    def ranked(self, text: str, *, few: int = 32) -> Iterator[int]:
        """Places of the texts, the nearest first, equally near ones in their order; all of them,
        but quickly only the first `few`."""
        import numpy as np

        (terms,) = _terms([text])
        if self._index is None or not terms:
            yield from range(self.size)
            return
        scores = self._index.get_scores(terms)
        least = np.partition(scores, -min(few, self.size))[-min(few, self.size)]
        for part in (scores >= least, scores < least):
            places = np.flatnonzero(part)
            yield from places[np.argsort(-scores[places], kind="stable")].tolist()


def _terms(texts: Sequence[str]) -> list[list[str]]:
    found: list[list[str]] = _bm25s().tokenize(
        list(texts), token_pattern=TERMS, stopwords=[], return_ids=False, show_progress=False
    )
    return found


@cache
def _bm25s() -> Any:
    """The library, without JAX.

    Where JAX is installed, importing bm25s starts it, and it takes three quarters of a GPU's memory
    for itself; what bm25s would do with it is not called here.
    """
    hidden = "jax" not in sys.modules
    if hidden:
        sys.modules["jax"] = None  # type: ignore[assignment] # how Python says: not to be imported
    try:
        import bm25s
    finally:
        if hidden:
            del sys.modules["jax"]
    return bm25s
