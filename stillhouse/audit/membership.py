"""Whether a model tells texts that it learned from from others of the same kind.

Two scores: Min-K%++ over the tokens of the text (Zhang et al., "Min-K%++", 2024), and over those of
the answer how much likelier the student finds it than the untrained control does (a reference model
takes out what makes an answer easy for anybody: Carlini et al., "Extracting Training Data", 2021).
Members and others must differ by nothing else: whether surface features or words alone tell them
apart is tried first (Das et al., "Blind Baselines Beat Membership Inference Attacks", 2024). If
they do, the comparison is confounded and proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.audit.bounds import Area, Bounded, area, over_tasks
from stillhouse.audit.scores import Scored
from stillhouse.tasks.common import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOWEST = 0.2
FOLDS = 5
# Below it, a classifier has nothing to learn from.
FEWEST = 10


@dataclass(frozen=True)
class Read:
    """What a model said of a pair's text, and of its answer."""

    text: Scored
    answer: Scored


def min_k(scored: Scored, lowest: float = LOWEST) -> float:
    """Min-K%++: the mean of the lowest share of tokens' log-probabilities, each in standard
    deviations from the mean of its place. Higher for texts that a model has seen."""
    import numpy as np

    if not len(scored.log_probs):
        return 0.0
    places = np.sort((scored.log_probs - scored.mean) / scored.spread)
    return float(places[: max(1, round(lowest * len(places)))].mean())


def loss_ratio(student: Scored, control: Scored) -> float:
    """By how many nats a token the student finds an answer likelier than the control."""
    return float(student.log_probs.mean() - control.log_probs.mean())


def areas(
    members: Mapping[str, Sequence[tuple[Read, Read]]],
    others: Mapping[str, Sequence[tuple[Read, Read]]],
) -> dict[str, dict[str, Area]]:
    """By score and task, how well members are told from others; of each pair there is what the
    student said and what the control did. Higher scores speak for a member."""
    scores = {
        "text": lambda student, _: min_k(student.text),
        "answer": lambda student, control: loss_ratio(student.answer, control.answer),
    }
    return {
        name: {
            task: area([score(*x) for x in members[task]], [score(*x) for x in others[task]])
            for task in members
        }
        for name, score in scores.items()
    }


def confounds(
    members: Mapping[str, Sequence[Row]], others: Mapping[str, Sequence[Row]], seed: int
) -> dict[str, Bounded]:
    """How well members are told from others by what no model says: by "surface" (length, letters,
    digits, source, date), and by their "words". Areas of a classifier on texts that it has not
    seen; tasks of fewer than 10 texts on a side are left out."""
    found: dict[str, list[Area]] = {"surface": [], "words": []}
    for task in members:
        one, two = members[task], others[task]
        if min(len(one), len(two)) < FEWEST:
            continue
        member = [True] * len(one) + [False] * len(two)
        rows = [*one, *two]
        for name, scores in (
            ("surface", _predicted(_surface(rows), member, seed)),
            ("words", _predicted(_words(rows), member, seed)),
        ):
            found[name].append(area(scores[: len(one)], scores[len(one) :]))
    return {name: over_tasks(areas) for name, areas in found.items() if areas}


def confounded(found: Mapping[str, Bounded]) -> bool:
    """Whether one of the classifiers is better than chance explains."""
    return any(bounded.low > 0.5 for bounded in found.values())


def _predicted(features: Any, member: Sequence[bool], seed: int) -> NDArray[Any]:
    """Each text's score by a logistic regression that has not seen it."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found: NDArray[Any] = cross_val_predict(
        model, features, member, cv=folds, method="decision_function"
    )
    return found


def _surface(rows: Sequence[Row]) -> NDArray[Any]:
    """Float [n, k], each column with mean 0 and deviation 1."""
    import numpy as np

    sources = sorted({row["source"] for row in rows})
    columns = [
        [
            *_counts(row["input"]),
            *_counts(row["response"]),
            _day(row["created_at"]),
            *(float(row["source"] == source) for source in sources[1:]),
        ]
        for row in rows
    ]
    values = np.array(columns, dtype=float)
    known = ~np.isnan(values)
    # A text without a date is as old as the others are on average.
    means = np.where(known, values, 0).sum(axis=0) / np.maximum(1, known.sum(axis=0))
    values = np.where(known, values, means)
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def _counts(text: str) -> list[float]:
    """Length, and shares of digits, capitals and what is neither letter nor digit."""
    length = max(1, len(text))
    kinds = (str.isdigit, str.isupper, lambda c: not c.isalnum() and not c.isspace())
    return [float(len(text)), *(sum(map(kind, text)) / length for kind in kinds)]


def _day(created: str | None) -> float:
    from datetime import datetime

    try:
        return datetime.fromisoformat(str(created)).timestamp() / 86_400
    except ValueError:
        return float("nan")


def _words(rows: Sequence[Row]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    maker = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\w+")  # noqa: S106 - of words
    return maker.fit_transform([row["input"] for row in rows])
