"""Metrics of an extraction: JSON objects compared field by field with the gold ones.

What counts are (field, value) pairs; a list gives one for each of its items, in whatever order, and
an item that stands twice counts twice. Values are compared as slot filling compares them: exactly,
upper and lower case included (a part number or a name is wrong in another case). Only what no
reader sees is set aside: white space around and runs of it within, and how Unicode composes a
character. Text is never a number, nor a number a truth value; 3 and 3.0 are the same number. null,
an empty list, and text without a character say the same as a field that is missing: nothing.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Answer = Mapping[str, Any]
Value = tuple[str, Any]


@dataclass(frozen=True)
class FieldScores:
    """One field; `support` counts its gold values. Precision, recall and F1 are 1 where there was
    nothing to find and nothing was claimed, so read them with `support`."""

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)
class ExtractionMetrics:
    """Shares are within 0..1.

    `precision`, `recall` and `field_f1` count (field, value) pairs of all requests together
    (micro). `exact_match` is the share of requests with every value right and none too many,
    `valid` that of answers that are JSON of the schema. By request, to resample from: `counts`
    int [n, 3], the pairs that are right, too many, and missed; `exact` bool [n].
    """

    n: int
    precision: float
    recall: float
    field_f1: float
    exact_match: float
    valid: float
    per_field: dict[str, FieldScores]
    counts: NDArray[Any]
    exact: NDArray[Any]

    def to_json(self) -> dict[str, Any]:
        """All but what is kept by request."""
        names = ("n", "precision", "recall", "field_f1", "exact_match", "valid")
        return {name: getattr(self, name) for name in names} | {
            "per_field": {name: vars(scores) for name, scores in self.per_field.items()}
        }


def extraction_metrics(
    gold: Sequence[Answer], predicted: Sequence[Answer | None], fields: Iterable[str] = ()
) -> ExtractionMetrics:
    """Score answers against gold objects; None is an answer that is no JSON of the schema.

    Such an answer misses all that was to be found. Fields are listed as in `fields`, then as they
    are met. Raises ValueError when there are none, or not as many.
    """
    import numpy as np

    if len(gold) != len(predicted) or not gold:
        raise ValueError(f"need as many answers as gold; got {len(predicted)} and {len(gold)}")
    by_field: dict[str, list[int]] = {name: [0, 0, 0] for name in fields}
    by_request = np.zeros((len(gold), 3), dtype=np.int64)
    for i, (wanted, said) in enumerate(zip(gold, predicted, strict=True)):
        for name in dict.fromkeys([*wanted, *(said or {})]):
            counts = _compare(values_of(wanted.get(name)), values_of((said or {}).get(name)))
            by_request[i] += counts
            total = by_field.setdefault(name, [0, 0, 0])
            total[:] = map(sum, zip(total, counts, strict=True))
    valid = np.array([said is not None for said in predicted])
    exact = valid & (by_request[:, 1:].sum(axis=1) == 0)
    scores = {name: _scores(*counts) for name, counts in by_field.items()}
    whole = _scores(*by_request.sum(axis=0).tolist())
    return ExtractionMetrics(
        n=len(gold),
        precision=whole.precision,
        recall=whole.recall,
        field_f1=whole.f1,
        exact_match=float(exact.mean()),
        valid=float(valid.mean()),
        per_field=scores,
        counts=by_request,
        exact=exact,
    )


def right_fields(gold: Answer, said: Answer | None) -> dict[str, bool]:
    """Whether each field that an answer fills holds exactly the gold values: what a confidence in
    that field is to be measured by. Fields that an answer leaves out claim nothing."""
    return {
        name: values == values_of(gold.get(name))
        for name, value in (said or {}).items()
        if (values := values_of(value))
    }


def values_of(value: Any) -> Counter[Value]:
    """What a field says, as a multiset of values that can be compared (see above)."""
    items = value if isinstance(value, list) else [value]
    return Counter(found for item in items if (found := _comparable(item)) is not None)


def _comparable(value: Any) -> Value | None:
    if isinstance(value, str):
        text = " ".join(unicodedata.normalize("NFC", value).split())
        return ("text", text) if text else None
    if isinstance(value, bool):
        return "truth", value
    if isinstance(value, int | float):
        return "number", value
    return None if value is None else ("json", json.dumps(value, sort_keys=True))


def _compare(wanted: Counter[Value], said: Counter[Value]) -> tuple[int, int, int]:
    """The values that are right, too many, and missed."""
    right = (wanted & said).total()
    return right, said.total() - right, wanted.total() - right


def _scores(right: int, too_many: int, missed: int) -> FieldScores:
    import numpy as np

    nothing = not (right or too_many or missed)
    return FieldScores(
        precision=_share(right, right + too_many, nothing),
        recall=_share(right, right + missed, nothing),
        f1=float(micro_f1(np.array([right, too_many, missed]))),
        support=right + missed,
    )


def _share(part: int, whole: int, nothing: bool) -> float:
    return part / whole if whole else float(nothing)


def micro_f1(counts: ArrayLike) -> NDArray[Any]:
    """F1 of counts [..., 3] (right, too many, missed), summed over requests; 1 where all are 0."""
    import numpy as np

    sums = np.asarray(counts, dtype=np.float64)
    right, others = sums[..., 0], sums[..., 1] + sums[..., 2]
    whole = 2 * right + others
    found: NDArray[Any] = np.divide(2 * right, whole, out=np.ones_like(whole), where=whole > 0)
    return found
