"""What answers are worth: the least and the most that two models may differ by on each request.

By agreement, the teacher is right. By outcome, a right answer in the log is; else what was said of
the answer that was given. Of another answer nothing was said then, and it may be worth anything:
leaving such requests out would favour whoever was served.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.monitor.ab.sample import Sampled
from stillhouse.tasks.agreement import gold_as, rightness, said_as
from stillhouse.tasks.common import Kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

Bounds = tuple["NDArray[Any]", "NDArray[Any]"]


@dataclass(frozen=True, eq=False)
class Compared:
    """Of requests, float [n] each: what both are worth at least and at most, and the same of their
    difference; `alike` says which answers are the same."""

    candidate: Bounds
    other: Bounds
    least: NDArray[Any]
    most: NDArray[Any]
    alike: NDArray[Any]

    @property
    def surely(self) -> NDArray[Any]:
        """bool [n]: of which requests the difference is known."""
        return self.least == self.most

    @property
    def right_or_wrong(self) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Whether each answered right, bool [n]; None where that is not all that there is to it."""
        import numpy as np

        sides = self.candidate[0], self.other[0]
        known = self.surely.all() and all(np.isin(side, (0.0, 1.0)).all() for side in sides)
        return (sides[0] == 1, sides[1] == 1) if known else None


def compare(candidate: Bounds, other: Bounds, alike: NDArray[Any]) -> Compared:
    import numpy as np

    least = np.where(alike, 0.0, candidate[0] - other[1])
    most = np.where(alike, 0.0, candidate[1] - other[0])
    return Compared(candidate, other, least, most, alike)


def by_agreement(
    kind: Kind, candidate: Sequence[str], other: Sequence[str] | None, teacher: Sequence[str]
) -> Compared:
    """`other` None is the teacher itself, which is right then: so much worse the candidate is at
    most."""
    import numpy as np

    own = rightness(kind, teacher, candidate)
    others = np.ones(len(own)) if other is None else rightness(kind, teacher, other)
    alike = rightness(kind, teacher if other is None else other, candidate) == 1
    return compare((own, own), (others, others), alike)


def by_outcome(
    kind: Kind, rows: Sequence[Sampled], candidate: Sequence[str], other: Sequence[str]
) -> Compared:
    alike = rightness(kind, other, candidate) == 1
    return compare(_worth(kind, rows, candidate), _worth(kind, rows, other), alike)


def _worth(kind: Kind, rows: Sequence[Sampled], given: Sequence[str]) -> Bounds:
    """Of answers, by what the log says of each request."""
    import numpy as np

    gold = [None if row.gold is None else gold_as(kind, row.gold) for row in rows]
    served = [None if row.answer is None else said_as(kind, row.answer) for row in rows]
    # Where nothing is there to compare with, an answer with itself: not used below.
    against_gold = rightness(kind, [g or own for g, own in zip(gold, given, strict=True)], given)
    like_served = rightness(kind, [s or own for s, own in zip(served, given, strict=True)], given)
    least, most = np.zeros(len(rows)), np.ones(len(rows))
    for place, row in enumerate(rows):
        if gold[place] is not None:
            least[place] = most[place] = against_gold[place]
        elif row.score is None or served[place] is None:
            continue
        elif like_served[place] == 1:
            least[place] = most[place] = row.score
        elif row.score == 1:  # there is one right answer, and this is how like it is
            least[place] = most[place] = like_served[place]
    return least, most
