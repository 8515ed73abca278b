"""How well spans of texts were found: shares of what was to be found and of what was found.

A span is whole or it is not: what counts are its letters and digits, and a span is covered when all
of them are. How far chance may explain a share is told by texts, as spans of one text stand or fall
together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.bootstrap import INTERVAL_REPEATS, SIGNIFICANCE, draw

if TYPE_CHECKING:
    from numpy.typing import NDArray

Span = tuple[str, int, int]
"""Kind, start, end: `[start, end)` in characters."""

ALL = "all"
"""Name of the row over all kinds."""

# What is counted of each text and kind, in this order.
COUNTS = (
    *("spans", "covered", "touched", "covered_by_kind", "characters", "characters_covered"),
    *("findings", "correct", "correct_by_kind"),
)
# Recall weighs twice as much as precision: what is missed has leaked, what is masked for nothing
# only blurs (van Rijsbergen 1979, "Information Retrieval", chapter 7).
BETA = 2.0
NORMAL_QUANTILE = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A share and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SpanScores:
    """Of one kind or of all: counts, and shares (None where there is nothing to divide by).

    Spans are those to be found. `recall` counts those that are covered by findings of whatever
    kind, `strict_recall` by findings of their own kind alone; `touched` are those of which a part
    is covered and a part stands there. A finding is right where more than half of its letters and
    digits are to be found, strictly as its own kind.
    """

    kind: str
    texts: int
    counts: dict[str, int]
    recall: Estimate | None
    precision: Estimate | None
    f2: Estimate | None
    strict_recall: Estimate | None
    strict_precision: Estimate | None
    strict_f2: Estimate | None


def span_scores(
    texts: Iterable[tuple[str, Sequence[Span], Sequence[Span]]],
) -> list[SpanScores]:
    """Scores of all kinds together, then of each: of texts with the spans that are to be found in
    them and those that were found."""
    counted = [_counts(text, wanted, found) for text, wanted, found in texts]
    kinds = sorted({kind for of_text in counted for kind in of_text} - {ALL})
    return [_scores(kind, [c[kind] for c in counted if kind in c]) for kind in (ALL, *kinds)]


def _counts(text: str, wanted: Sequence[Span], found: Sequence[Span]) -> dict[str, list[int]]:
    """`COUNTS` of one text, by kind."""
    import numpy as np

    letters = np.fromiter((c.isalnum() for c in text), bool, len(text))

    def painted(spans: Iterable[Span], kind: str | None = None) -> NDArray[Any]:
        at = np.zeros(len(text), bool)
        for other, start, end in spans:
            if kind in (None, other):
                at[start:end] = True
        return at & letters

    masked, meant = painted(found), painted(wanted)
    counts: dict[str, list[int]] = {ALL: [0] * len(COUNTS)}
    for kind in dict.fromkeys(kind for kind, _, _ in (*wanted, *found)):
        masked_as, meant_as = painted(found, kind), painted(wanted, kind)
        row = dict.fromkeys(COUNTS, 0)
        for _, start, end in (span for span in wanted if span[0] == kind):
            size, hidden = int(letters[start:end].sum()), int(masked[start:end].sum())
            row["spans"] += 1
            row["covered"] += hidden == size
            row["touched"] += 0 < hidden < size
            row["covered_by_kind"] += int(masked_as[start:end].sum()) == size
            row["characters"] += size
            row["characters_covered"] += hidden
        for _, start, end in (span for span in found if span[0] == kind):
            size = int(letters[start:end].sum())
            row["findings"] += 1
            row["correct"] += 2 * int(meant[start:end].sum()) > size
            row["correct_by_kind"] += 2 * int(meant_as[start:end].sum()) > size
        counts[kind] = list(row.values())
        counts[ALL] = [a + b for a, b in zip(counts[ALL], counts[kind], strict=True)]
    return counts


def _scores(kind: str, counts: list[list[int]]) -> SpanScores:
    import numpy as np

    columns = np.asarray(counts, dtype=np.float64).reshape(-1, len(COUNTS))
    by_name = dict(zip(COUNTS, columns.T, strict=True))
    spans, findings = by_name["spans"], by_name["findings"]
    return SpanScores(
        kind=kind,
        texts=int((spans > 0).sum()),
        counts={name: int(column.sum()) for name, column in by_name.items()},
        recall=clustered_share(by_name["covered"], spans),
        precision=clustered_share(by_name["correct"], findings),
        f2=_f2(by_name["covered"], spans, by_name["correct"], findings),
        strict_recall=clustered_share(by_name["covered_by_kind"], spans),
        strict_precision=clustered_share(by_name["correct_by_kind"], findings),
        strict_f2=_f2(by_name["covered_by_kind"], spans, by_name["correct_by_kind"], findings),
    )


def clustered_share(hits: NDArray[Any], sizes: NDArray[Any]) -> Estimate | None:
    """sum(hits) / sum(sizes) of float [clusters], with the score interval of Wilson (1927) over as
    many observations as the clusters are worth; None where all sizes are 0.

    That number is that of all observations divided by the design effect (Kish 1965, "Survey
    Sampling"), which is at least 1. Where all hit or none, no effect can be seen, and each cluster
    counts as one observation: a bootstrap would be certain there. (Wilson's interval with the
    effective number: Franco, Little, Louis and Slud 2019, "Comparative study of confidence
    intervals for proportions in complex sample surveys".)
    """
    hits, sizes = hits[sizes > 0], sizes[sizes > 0]
    clusters, n = len(sizes), float(sizes.sum())
    if not clusters:
        return None
    share = float(hits.sum()) / n
    effective = float(clusters)
    if 0 < share < 1 and clusters > 1:
        variance = clusters / (clusters - 1) * float(((hits - share * sizes) ** 2).sum()) / n**2
        effective = n / max(variance / (share * (1 - share) / (n - 1)), 1.0)
    return Estimate(share, *wilson(share, effective))


def wilson(share: float, n: float) -> tuple[float, float]:
    """95 % score interval of a share of n observations (Wilson 1927, "Probable inference, the law
    of succession, and statistical inference"); n need not be whole."""
    z2 = NORMAL_QUANTILE**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = NORMAL_QUANTILE / (1 + z2 / n) * (share * (1 - share) / n + z2 / (4 * n**2)) ** 0.5
    # Rounding must not put a share of 0 or 1 outside its own interval.
    return min(max(centre - half, 0.0), share), max(min(centre + half, 1.0), share)


def _f2(
    covered: NDArray[Any], spans: NDArray[Any], right: NDArray[Any], findings: NDArray[Any]
) -> Estimate | None:
    """With the interval of a bootstrap by texts."""
    import numpy as np

    if not spans.sum():
        return None
    sums = np.stack([covered, spans, right, findings], axis=1)
    drawn = draw(sums, f_beta, INTERVAL_REPEATS, seed=0)
    low, high = np.nanquantile(drawn, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
    return Estimate(float(f_beta(sums.sum(axis=0))), float(low), float(high))


def f_beta(sums: NDArray[Any]) -> NDArray[Any]:
    """F2 of sums [..., 4]: covered, spans, right, findings. Nothing found has no precision and
    scores 0; without a span it is nan."""
    import numpy as np

    covered, spans, right, findings = np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0)
    recall = np.divide(covered, spans, out=np.full_like(spans, np.nan), where=spans > 0)
    precision = right / np.maximum(findings, 1)
    both = BETA**2 * precision + recall
    score = np.zeros_like(both)
    np.divide((1 + BETA**2) * precision * recall, both, out=score, where=both != 0)
    return score
