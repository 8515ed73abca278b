"""Can a classifier tell traffic from the reference, and by which words.

Headline is the cross-validated area under the ROC curve of a logistic regression on TF-IDF: 0.5
where nothing has changed, 1 where every request gives itself away (Lopez-Paz and Oquab 2017,
"Revisiting Classifier Two-Sample Tests"). How likely so much is by chance is told by ridge
regression on the same features and folds, whose predictions for thousands of rearranged labels are
one product of matrices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.monitor.chance import CHUNK, REPEATS, area_interval, areas

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

FOLDS, RIDGE, FEATURES = 5, 1.0, 20_000
COMPONENTS = 5
# A word is shown if so many texts of its side have it: what fewer say may tell who they are.
ANONYMOUS = 5
WORDS = 15


@dataclass(frozen=True)
class Word:
    """`weight` above 0 speaks for traffic; so many texts of each side have it."""

    word: str
    weight: float
    reference: int
    traffic: int


@dataclass(frozen=True)
class Domain:
    """`area` with its 95 % interval, `p` by chance; `scores` float [traffic texts] how much each
    looks like traffic, by a model that has not seen it; the words that speak loudest."""

    area: float
    low: float
    high: float
    p: float
    scores: NDArray[Any]
    words: list[Word]


def vectors(texts: Sequence[str]) -> tuple[csr_matrix, list[str]]:
    """TF-IDF [n, words] of length 1, and the words. Numbers are no words."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    maker = TfidfVectorizer(
        sublinear_tf=True,
        max_features=FEATURES,
        token_pattern=r"(?u)\b[^\W\d_]{2,}\b",  # noqa: S106 - of words
    )
    try:
        return maker.fit_transform(texts), maker.get_feature_names_out().tolist()
    except ValueError:  # no text has a word
        from scipy.sparse import csr_matrix

        return csr_matrix((len(texts), 1)), [""]


def components(features: csr_matrix, *, seed: int) -> NDArray[Any]:
    """Latent semantic analysis [n, COMPONENTS], of both sides alike."""
    from sklearn.decomposition import TruncatedSVD

    width = min(COMPONENTS, min(features.shape) - 1)
    if width < 1:
        return features.toarray()[:, :1]
    found: NDArray[Any] = TruncatedSVD(width, random_state=seed).fit_transform(features)
    return found


def told_apart(
    features: csr_matrix, names: Sequence[str], keys: Sequence[str], current: NDArray[Any],
    *, seed: int,
) -> Domain:  # fmt: skip
    """How well rows of `features` [n, words] are told apart, bool [n] saying which are traffic.

    Rows of one key (the same text on both sides) are in one fold: else each would vouch for the
    other side.
    """
    import numpy as np

    random = np.random.default_rng(seed)
    _, group = np.unique(np.asarray(keys), return_inverse=True)
    fold = (random.permutation(group.max() + 1) % FOLDS)[group]
    scores = _regression_scores(features, current, fold)
    held = [fold == number for number in range(FOLDS)]
    by_fold = [float(areas(scores[x, None], current[x, None])[0]) for x in held]
    area = float(np.average(by_fold, weights=[x.sum() for x in held]))
    low, high = area_interval(area, int((~current).sum()), int(current.sum()))
    return Domain(
        area=area,
        low=low,
        high=high,
        p=_by_chance(features, current, fold, random),
        scores=scores[current],
        words=_words(features, names, current),
    )


def _regression(features: csr_matrix, current: NDArray[Any]) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=1.0, solver="liblinear", class_weight="balanced").fit(
        features, current
    )


def _regression_scores(
    features: csr_matrix, current: NDArray[Any], fold: NDArray[Any]
) -> NDArray[Any]:
    import numpy as np

    scores = np.zeros(len(current))
    for number in range(FOLDS):
        held = fold == number
        if held.any() and len(np.unique(current[~held])) == 2:
            model = _regression(features[~held], current[~held])
            scores[held] = model.decision_function(features[held])
    return scores


def _by_chance(
    features: csr_matrix, current: NDArray[Any], fold: NDArray[Any], random: Any
) -> float:
    """The share of rearranged labels that are told apart as well as the true ones."""
    import numpy as np

    kernel = (features @ features.T).toarray()
    solved = []
    for number in range(FOLDS):
        held = fold == number
        if not held.any():
            continue
        rest = ~held
        ridged = kernel[np.ix_(rest, rest)] + RIDGE * np.eye(int(rest.sum()))
        solved.append((held, rest, np.linalg.solve(ridged, kernel[np.ix_(rest, held)]).T))

    def area(labels: NDArray[Any]) -> NDArray[Any]:
        found = [
            areas(weights @ (labels[rest] - labels[rest].mean(axis=0)), labels[held]) * held.sum()
            for held, rest, weights in solved
        ]
        return np.sum(found, axis=0) / len(labels)

    seen, higher = float(area(current[:, None])[0]), 0
    for start in range(0, REPEATS, CHUNK):
        columns = min(CHUNK, REPEATS - start)
        drawn = random.permuted(np.tile(current, (columns, 1)), axis=1).T
        higher += int((area(drawn) >= seen - 1e-9).sum())
    return (higher + 1) / (REPEATS + 1)


def _words(features: csr_matrix, names: Sequence[str], current: NDArray[Any]) -> list[Word]:
    """Those that speak loudest for each side; only such as enough texts of that side have."""
    import numpy as np

    weights = _regression(features, current).coef_[0]
    has = features > 0
    traffic = np.asarray(has[current].sum(axis=0)).ravel()
    reference = np.asarray(has[~current].sum(axis=0)).ravel()
    found = []
    for sign, side in ((1, traffic), (-1, reference)):
        order = np.argsort(-sign * weights)
        shown = [i for i in order if side[i] >= ANONYMOUS and sign * weights[i] > 0][:WORDS]
        found += [
            Word(names[i], float(weights[i]), int(reference[i]), int(traffic[i])) for i in shown
        ]
    return found
