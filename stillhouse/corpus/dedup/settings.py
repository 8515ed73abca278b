"""What counts as a duplicate: thresholds, shingles, bands, and which document is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stillhouse.corpus.dedup import minhash, texts
from stillhouse.errors import UserError
from stillhouse.storage.files import digest

# Which of several documents is kept, of those with the most labels; `position` is the order of the
# source.
PREFERENCE = {
    "newest": "created DESC NULLS LAST, position NULLS LAST, doc_id",
    "longest": "length DESC, position NULLS LAST, doc_id",
    "first": "position NULLS LAST, doc_id",
}

# The share of pairs at the threshold that the bands must bring together.
_ENOUGH = 0.99


def candidate_probability(similarity: float, bands: int, rows: int) -> float:
    """Probability that a pair of this Jaccard similarity agrees in all rows of some band.

    A. Rajaraman, J. Leskovec, J. Ullman, "Mining of Massive Datasets", section 3.4.
    """
    return float(1.0 - (1.0 - similarity**rows) ** bands)


@dataclass(frozen=True)
class DedupSettings:
    """What counts as a duplicate, which one is kept, and what the search may use.

    `bands` and `rows` follow from the threshold unless both are given: the longest bands (fewest
    chance candidates) that still bring 99% of the pairs at the threshold together; 20 of 6 rows
    for 0.8 and 120 permutations. `memory_limit` is the working database's ("2GB"); `threads`
    defaults to the number of cores. Only `permutations`, `shingle_words`, `shingle_chars` and
    `seed` enter a signature: changing the others keeps stored signatures valid.
    """

    threshold: float = 0.8
    permutations: int = 120
    bands: int | None = None
    rows: int | None = None
    shingle_words: int = 5
    shingle_chars: int = 5
    seed: int = 1
    keep: Literal["newest", "longest", "first"] = "newest"
    memory_limit: str = "2GB"
    threads: int | None = None

    def __post_init__(self) -> None:
        def wrong(field: str, remedy: str) -> UserError:
            return UserError(f"dedup.{field}: {getattr(self, field)!r}", remedy=remedy)

        if not 0 < self.threshold <= 1:
            raise wrong("threshold", "give a number above 0, up to 1; 0.8 is usual")
        for field in ("permutations", "shingle_words", "shingle_chars"):
            if getattr(self, field) < 1:
                raise wrong(field, "give a number of at least 1")
        if not 0 <= self.seed < 2**64:
            raise wrong("seed", "give a number from 0 to 2**64 - 1")
        if self.threads is not None and self.threads < 1:
            raise wrong("threads", "give a number of at least 1, or none for all cores")
        if self.keep not in PREFERENCE:
            raise wrong("keep", f"give one of {', '.join(PREFERENCE)}")
        bands, rows = self.banding
        if bands < 1 or rows < 1 or bands * rows > self.permutations:
            raise wrong("bands", f"bands x rows must be from 1 to {self.permutations}, or unset")

    @property
    def banding(self) -> tuple[int, int]:
        """Bands, and rows of each."""
        if self.bands is not None and self.rows is not None:
            return self.bands, self.rows
        for rows in range(self.permutations, 1, -1):
            bands = self.permutations // rows
            if candidate_probability(self.threshold, bands, rows) >= _ENOUGH:
                return bands, rows
        return self.permutations, 1

    @property
    def normalised(self) -> str:
        """What the digest of a normalised text depends on, beside the text."""
        return digest(texts.VERSION)

    @property
    def fingerprint(self) -> str:
        """What a stored signature depends on, beside the text."""
        return digest(
            minhash.VERSION,
            texts.VERSION,
            self.permutations,
            self.shingle_words,
            self.shingle_chars,
            self.seed,
        )
