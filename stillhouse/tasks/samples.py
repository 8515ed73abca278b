"""Which examples a report shows of all that were answered: those that teach a reader most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from typing import TYPE_CHECKING, Any

from stillhouse.tasks.sections import Answer, Sample, SampleGroup
from stillhouse.wording import plain_lines, shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stillhouse.tasks.results import Scored

SAMPLE_TEXT_LENGTH = 400
# What is shown of a model that wrote nothing.
NOTHING = "(nothing)"
# How many a report shows of each group, in this order: where answers are right or wrong ...
RIGHT_OR_WRONG = {
    "disagree": ("Where the models disagree", 30),
    "wrong": ("Where all are wrong alike", 15),
    "right": ("Where all are right, least confident first", 10),
}
# ... and where they are better or worse.
BETTER_OR_WORSE = {
    "differ": ("Where the models differ most", 12),
    "worst": ("Where all do worst", 8),
    "best": ("Where all do best", 4),
}
ALL_ALIKE = ("All are answered equally well", 12)
# ... and where one of two models does better than the other.
WON_OR_LOST = 12


@dataclass(frozen=True, eq=False)
class Given:
    """One model's answers, in the order of the examples.

    `right` bool [n] where answers are right or wrong, else None; then `values` float [n], 0..1,
    says how good each is. `confidence` float [n] where the model has one, NaN where it has none of
    an answer.
    """

    answers: Sequence[str]
    right: NDArray[Any] | None
    confidence: NDArray[Any] | None = None
    values: NDArray[Any] | None = None


def sample_groups(
    texts: Sequence[str],
    gold: Sequence[str],
    given: Mapping[str, Given],
    *,
    text_length: int = SAMPLE_TEXT_LENGTH,
) -> list[SampleGroup]:
    """Groups of examples, given what models (by what they are called) answered to `texts`.

    The last model is the one that a reader is about to use: its confident errors come first, and
    of its right answers those that it was least sure of. Raises ValueError when there are not as
    many texts as examples.
    """
    if len(texts) != len(gold):
        raise ValueError(f"{len(texts)} texts for {len(gold)} examples")
    last = list(given.values())[-1]
    ranked = _by_right(given) if last.right is not None else _by_value(given)
    return [
        SampleGroup(
            title,
            total,
            [_sample(texts[row], gold[row], given, row, text_length) for row in rows],
        )
        for title, total, rows in ranked
        if rows
    ]


def won_and_lost(texts: Sequence[str], scored: Mapping[str, Scored]) -> list[SampleGroup]:
    """Where the first of two models (by what each is called) does better, and where the second
    does, those that are furthest apart first."""
    import numpy as np

    gold = next(iter(scored.values())).detail.said()[0]
    given = {name: _judged(of.detail.said()[1], of) for name, of in scored.items()}
    first, second = given.values()
    ahead = _goodness(first) - _goodness(second)
    found = []
    for name, lead in zip(given, (ahead, -ahead), strict=True):
        rows = [int(row) for row in np.argsort(-lead, kind="stable") if lead[row] > 0]
        if rows:
            samples = [
                _sample(texts[row], gold[row], given, row, SAMPLE_TEXT_LENGTH)
                for row in rows[:WON_OR_LOST]
            ]
            found.append(SampleGroup(f"{name} does better", len(rows), samples))
    return found


def _judged(said: Sequence[str], scored: Scored) -> Given:
    """Right or wrong where the score is the share of what is right; else how good."""
    if scored.counts is not None:
        from stillhouse.metrics.extraction import micro_f1

        return Given(said, None, values=micro_f1(scored.counts))
    return Given(said, scored.right if scored.values is None else None, values=scored.values)


def _goodness(given: Given) -> NDArray[Any]:
    import numpy as np

    return np.asarray(given.right if given.values is None else given.values, dtype=float)


def _sample(text: str, gold: str, given: Mapping[str, Given], row: int, length: int) -> Sample:
    return Sample(
        shortened(plain_lines(text), length),
        shortened(plain_lines(gold), length),
        [_answer(name, x, row, length) for name, x in given.items()],
    )


def _by_right(given: Mapping[str, Given]) -> list[tuple[str, int, list[int]]]:
    import numpy as np

    last = list(given.values())[-1]
    all_right = np.all([np.asarray(x.right, dtype=bool) for x in given.values()], axis=0)
    same = np.array(
        [len({x.answers[i] for x in given.values()}) == 1 for i in range(len(last.answers))]
    )
    agree, right = all_right | same, np.asarray(last.right, dtype=bool)
    masks = {"disagree": ~agree, "wrong": agree & ~right, "right": agree & right}
    sure = np.zeros(len(right)) if last.confidence is None else np.nan_to_num(last.confidence)
    order = np.argsort(np.where(right, sure, -sure), kind="stable")
    found = []
    for kind, (title, most) in RIGHT_OR_WRONG.items():
        rows = [int(row) for row in order if masks[kind][row]]
        found.append((title, len(rows), rows[:most]))
    return found


def _by_value(given: Mapping[str, Given]) -> list[tuple[str, int, list[int]]]:
    import numpy as np

    values = np.stack([np.asarray(x.values, dtype=float) for x in given.values()])
    mean, apart = values.mean(axis=0), np.ptp(values, axis=0)
    if not np.ptp(values):
        title, most = ALL_ALIKE
        return [(title, len(mean), list(range(len(mean)))[:most])]
    orders = {"differ": -apart, "worst": mean, "best": -mean}
    shown: set[int] = set()
    found = []
    for kind, (title, most) in BETTER_OR_WORSE.items():
        among = np.argsort(orders[kind], kind="stable").tolist()
        if kind == "differ":
            among = [row for row in among if apart[row] > 0]
        rows = [row for row in among if row not in shown][:most]
        shown |= set(rows)
        found.append((title, len(among), rows))
    return found


def _answer(name: str, given: Given, row: int, length: int) -> Answer:
    sure = nan if given.confidence is None else float(given.confidence[row])
    return Answer(
        name,
        shortened(plain_lines(given.answers[row]), length) or NOTHING,
        confidence=None if isnan(sure) else sure,
        right=None if given.right is None else bool(given.right[row]),
        score=None if given.values is None else float(given.values[row]),
    )
