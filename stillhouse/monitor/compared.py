"""The tests of one task's texts: traffic against what was learned from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.config.monitor import Drift
from stillhouse.monitor.chance import higher_mean, kolmogorov_smirnov, more_in_tail, psi
from stillhouse.monitor.domain import Domain, components, told_apart, vectors
from stillhouse.monitor.texts import Texts

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

# What is farther from all known texts than all but this share of the reference is novel.
TAIL = 0.05
# So many times as many texts of the reference as of traffic: more cost time and tell little.
ENOUGH = 3
_WORD = re.compile(r"\b[^\W\d_]{2,}\b")


@dataclass(frozen=True)
class Test:
    """A test by name: its `effect`, which the setting `limit` of `drift` limits, and its p."""

    name: str
    limit: str
    effect: float
    p: float


@dataclass(frozen=True)
class TextDrift:
    """The tests, the classifier, and how like a known text each request is, float [requests] 0..1,
    with the likeness below which it is novel."""

    tests: list[Test]
    domain: Domain
    likeness: NDArray[Any]
    novel_below: float


def compare_texts(reference: Texts, traffic: Texts, settings: Drift) -> TextDrift:
    """All tests of these texts.

    What is known is learned from one part of the reference; how the rest of it and traffic fare
    against that part is compared, as neither has been seen. Raises ValueError for less than two
    texts on a side.
    """
    import numpy as np

    if len(reference) < 2 or len(traffic) < 2:
        raise ValueError(f"need texts on both sides; got {len(reference)} and {len(traffic)}")
    seed = settings.seed
    new = traffic.texts
    old = reference.texts[: min(settings.texts, max(settings.min_texts, ENOUGH * len(new)))]
    features, names = vectors([*old, *new])
    is_new = np.arange(len(old) + len(new)) >= len(old)
    keys = [*reference.keys[: len(old)], *traffic.keys]
    domain = told_apart(features, names, keys, is_new, seed=seed)
    long, now = (np.array([len(text.split()) for text in side], float) for side in (old, new))
    tests = [
        Test("domain", "auc", domain.area, domain.p),
        Test("length", "psi", psi(long, now), kolmogorov_smirnov(long, now)),
    ]
    for number, column in enumerate(components(features, seed=seed).T, start=1):
        sides = column[~is_new], column[is_new]
        tests.append(Test(f"component_{number}", "psi", psi(*sides), kolmogorov_smirnov(*sides)))
    held = min(settings.texts, len(reference) // 2)
    rest, known = reference.texts[:held], reference.texts[held:]
    unknown = _unknown_words(known, rest, new)
    rise = max(0.0, float(unknown[1].mean() - unknown[0].mean()))
    tests.append(Test("unknown_words", "unknown_words", rise, higher_mean(*unknown, seed=seed)))
    like = _likeness(known, rest, new)
    below = float(np.quantile(like[0], TAIL))
    novel = float((like[1] < below).mean())
    tests.append(Test("novel", "novel", novel, more_in_tail(*like)))
    return TextDrift(tests, domain, like[1], below)


def _unknown_words(
    known: Sequence[str], rest: Sequence[str], new: Sequence[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The share of each text's words that no known text has; numbers are no words."""
    import numpy as np

    vocabulary = {word for text in known for word in _words(text)}

    def share(text: str) -> float:
        words = _words(text)
        return sum(word not in vocabulary for word in words) / max(1, len(words))

    return np.array([share(text) for text in rest]), np.array([share(text) for text in new])


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _likeness(
    known: Sequence[str], rest: Sequence[str], new: Sequence[str]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The cosine of each text to the known one that is most like it."""
    features, _ = vectors([*known, *rest, *new])
    first, second = len(known), len(known) + len(rest)
    known_ones: csr_matrix = features[:first]

    def best(rows: csr_matrix) -> NDArray[Any]:
        found: NDArray[Any] = (rows @ known_ones.T).max(axis=1).toarray().ravel()
        return found

    return best(features[first:second]), best(features[second:])
