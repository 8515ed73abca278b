"""How much of the personal data in marked texts is masked: the proof that masking works.

That a last scan finds nothing more is none: what a recognizer doesn't know, it misses again.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.corpus import Privacy
from stillhouse.corpus.masked import mask_settings
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii_gold import Gold, kind_of, read_gold
from stillhouse.facts import PiiQualityFacts
from stillhouse.metrics.spans import COUNTS, Span, SpanScores, span_scores
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import table_digest, write_table

if TYPE_CHECKING:
    import pyarrow as pa

# Not that of the project: figures are the same in every installation, and no pseudonym is made
# that stands for somebody in the tables.
KEY = b"no secret: what is measured here is what is found"

ESTIMATES = ("recall", "precision", "f2", "strict_recall", "strict_precision", "strict_f2")


def quality_schema() -> pa.Schema:
    """A row a kind, and one of all: see `metrics.spans.SpanScores`."""
    import pyarrow as pa

    shares = [f"{name}{end}" for name in ESTIMATES for end in ("", "_low", "_high")]
    return pa.schema(
        [
            ("kind", pa.string()),
            *((name, pa.int64()) for name in ("texts", *COUNTS)),
            *((name, pa.float64()) for name in shares),
        ]
    )


def measure_masking(privacy: Privacy, root: Path, layout: Layout) -> PiiQualityFacts:
    """Mask the texts of `privacy.pii_gold` (relative to `root`) as documents are masked, and write
    `pii_quality`. Without such texts the table is empty, and recall unknown.

    Raises:
        UserError: the file is no such texts, or the masking can't be done as it is set.
    """
    import pyarrow as pa

    gold = read_gold(root / privacy.pii_gold) if privacy.pii_gold else Gold((), 0)
    settings = mask_settings(privacy, root)
    scores = span_scores(_masked(settings, gold)) if gold.texts else []
    table = pa.Table.from_pylist(list(map(_row, scores)), schema=quality_schema())
    write_table(layout.table("pii_quality"), table)
    known = {kind_of(kind) for kind in settings.kinds()}
    by_kind = {s.kind: s.recall.value for s in scores[1:] if s.recall}
    counts = scores[0].counts if scores else dict.fromkeys(COUNTS, 0)

    def share(name: str, end: str = "value") -> float | None:
        estimate = getattr(scores[0], name) if scores else None
        return None if estimate is None else float(getattr(estimate, end))

    return PiiQualityFacts(
        digest=table_digest(table, table.column_names),
        texts=len(gold.texts),
        unmarked=gold.unmarked,
        spans=counts["spans"],
        masked=counts["covered"],
        partly_masked=counts["touched"],
        recall=share("recall"),
        recall_low=share("recall", "low"),
        recall_high=share("recall", "high"),
        precision=share("precision"),
        f2=share("f2"),
        strict_recall=share("strict_recall"),
        strict_precision=share("strict_precision"),
        strict_f2=share("strict_f2"),
        recall_by_kind=by_kind,
        not_looked_for=sorted(by_kind.keys() - known),
    )


def proven(found: PiiQualityFacts, min_recall: float) -> bool:
    """Whether at least so much is masked, and chance doesn't explain it: the lower end of the 95 %
    interval counts, so that a few texts in which all went well prove nothing."""
    return found.recall_low is not None and found.recall_low >= min_recall


def _masked(settings: MaskSettings, gold: Gold) -> Iterator[tuple[str, list[Span], list[Span]]]:
    """Each text with what is marked in it and what was masked."""
    masker = Masker(settings, KEY)
    cleaned = masker.clean_many(text.text for text in gold.texts)
    for text, (masked, _) in zip(gold.texts, cleaned, strict=True):
        found = [(kind_of(e.kind), e.start, e.end) for e in masked.entities]
        yield text.text, list(text.spans), found


def _row(scores: SpanScores) -> dict[str, str | int | float]:
    row: dict[str, str | int | float] = {"kind": scores.kind, "texts": scores.texts}
    row |= scores.counts
    for name in ESTIMATES:
        if estimate := getattr(scores, name):
            row |= {name: estimate.value}
            row |= {f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row
