"""How answers in free text are scored: question answering and summarization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.bootstrap import mean_interval
from stillhouse.metrics.calibration import confidence_metrics
from stillhouse.metrics.text import abstention, corpus_chrf, exact_match, rouge_l, token_f1
from stillhouse.tasks.common import Predictions
from stillhouse.tasks.results import Scored
from stillhouse.tasks.writing import FREE, Written, confidence

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Texts:
    """What a `Scored` of these kinds holds in `detail`: answers as they are used and the gold ones;
    `values` float [n], 0..1, says how good each is. `means` has the mean of `values` for each way
    to decode, the one that is used last."""

    gold: list[str]
    said: list[str]
    values: NDArray[Any]
    means: dict[str, float]
    confidence: NDArray[Any] | None


def score_answers(
    gold: Sequence[str],
    predictions: Predictions,
    *,
    no_answer: str,
    decodings: Sequence[str],
    calibration: Sequence[float] | None,
) -> Scored:
    """Answers to questions: the F1 of words and exact matches, as SQuAD has them."""
    import numpy as np

    written = [Written.of(prediction) for prediction in predictions]
    golds = [_unless(no_answer, text) for text in gold]
    said = [_unless(no_answer, w.text) for w in written]
    values = np.array([token_f1(s, g) for s, g in zip(said, golds, strict=True)])
    right = np.array([exact_match(s, g) for s, g in zip(said, golds, strict=True)])
    sure = np.array([confidence(w.log_prob, calibration) for w in written])
    means = {}
    for decoding in (FREE, *decodings):
        texts = [_unless(no_answer, w.as_decoded(decoding)) for w in written]
        means[decoding] = float(
            np.mean([token_f1(s, g) for s, g in zip(texts, golds, strict=True)])
        )
    trust = confidence_metrics(sure, right)
    figures = {"f1": float(values.mean()), "exact_match": float(right.mean())}
    return Scored(
        n=len(golds),
        score=figures["f1"],
        right=right,
        figures=figures | {"ece": trust.ece},
        metrics=figures
        | {"n": len(golds), "f1_ci": mean_interval(values), "f1_free": means[FREE]}
        | {"abstention": asdict(abstention(said, golds))}
        | {"ece": trust.ece, "brier": trust.brier},
        table={
            "F1 (95% CI)": "f1",
            "Exact": "exact_match",
            "F1, free": "f1_free",
            "ECE": "ece",
        },
        calibration_error=trust.ece,
        detail=Texts(golds, said, values, means, sure),
        headline="F1",
        values=values,
    )


def score_summaries(gold: Sequence[str], predictions: Predictions) -> Scored:
    """Summaries: ROUGE-L and chrF. No confidence says whether one is right."""
    import numpy as np

    said = [Written.of(prediction).text for prediction in predictions]
    values = np.array([rouge_l(s, g) for s, g in zip(said, gold, strict=True)])
    figures = {"rouge_l": float(values.mean()), "chrf": corpus_chrf(said, gold)}
    return Scored(
        n=len(said),
        score=figures["rouge_l"],
        right=np.array([exact_match(s, g) for s, g in zip(said, gold, strict=True)]),
        figures=figures,
        metrics=figures | {"n": len(said), "rouge_l_ci": mean_interval(values)},
        table={"ROUGE-L (95% CI)": "rouge_l", "chrF": "chrf"},
        calibration_error=None,
        detail=Texts(list(gold), said, values, {FREE: figures["rouge_l"]}, None),
        headline="ROUGE-L",
        values=values,
    )


def _unless(no_answer: str, text: str) -> str:
    return "" if text.strip().casefold() == no_answer.casefold() else text
