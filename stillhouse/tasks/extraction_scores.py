"""How answers of an extraction are scored, and what it takes no model to answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import AnswerField
from stillhouse.metrics.bootstrap import f1_interval
from stillhouse.metrics.calibration import confidence_metrics
from stillhouse.metrics.extraction import ExtractionMetrics, extraction_metrics, right_fields
from stillhouse.tasks.common import Predictions, Row
from stillhouse.tasks.extraction_grammar import parsed
from stillhouse.tasks.results import Scored
from stillhouse.tasks.writing import FREE, Written, as_written, confidence

if TYPE_CHECKING:
    from numpy.typing import NDArray

Answer = dict[str, Any]

HEADLINE = "field F1"
TABLE = {
    "Field F1 (95% CI)": "field_f1",
    "Exact": "exact_match",
    "Valid JSON": "valid",
    "Field F1, free": "field_f1_free",
    "ECE": "ece",
}


@dataclass(frozen=True, eq=False)
class Found:
    """What a `Scored` of this kind holds in `detail`.

    `said` [n] are the answers as they are used, None where one is none of the schema; `confidence`
    float [n] that all of an answer is right, `of_fields` the same for each of its fields.
    `by_decoding` has the metrics of each way to decode, the one that is used last.
    """

    gold: list[Answer]
    said: list[Answer | None]
    texts: list[str]
    metrics: ExtractionMetrics
    by_decoding: dict[str, ExtractionMetrics]
    confidence: NDArray[Any]
    of_fields: list[dict[str, float]]

    def fields_right(self) -> list[dict[str, bool]]:
        return [right_fields(g, s) for g, s in zip(self.gold, self.said, strict=True)]


def scored(
    fields: Mapping[str, AnswerField],
    decodings: Sequence[str],
    gold: Sequence[str],
    predictions: Predictions,
    calibration: Mapping[str, Any] | None,
) -> Scored:
    """Score written answers against gold ones; `calibration` as `calibrated` gives it."""
    import numpy as np

    golds = [json.loads(answer) for answer in gold]
    written = [Written.of(prediction) for prediction in predictions]
    known = calibration or {"answer": None, "fields": None}
    by_decoding = {
        decoding: extraction_metrics(
            golds, [parsed(w.as_decoded(decoding), fields) for w in written], fields
        )
        for decoding in (FREE, *decodings)
    }
    said = [parsed(w.text, fields) for w in written]
    metrics = by_decoding[list(by_decoding)[-1]]
    sure = np.array([confidence(w.log_prob, known["answer"]) for w in written])
    found = Found(
        golds,
        said,
        [w.text for w in written],
        metrics,
        by_decoding,
        sure,
        [{n: confidence(p, known["fields"]) for n, p in w.parts.items()} for w in written],
    )
    trust = confidence_metrics(sure, metrics.exact)
    others = {
        f"{name}_{decoding}": getattr(by_decoding[decoding], name)
        for decoding in by_decoding
        for name in ("field_f1", "exact_match", "valid")
        if by_decoding[decoding] is not metrics
    }
    figures = {name: getattr(metrics, name) for name in ("field_f1", "exact_match", "valid")}
    return Scored(
        n=metrics.n,
        score=metrics.field_f1,
        right=metrics.exact,
        figures=figures | {"ece": trust.ece},
        metrics=metrics.to_json()
        | others
        | {"field_f1_ci": f1_interval(metrics.counts), "ece": trust.ece, "brier": trust.brier},
        table=TABLE,
        calibration_error=trust.ece,
        detail=found,
        headline=HEADLINE,
        counts=metrics.counts,
    )


def calibrated(
    fields: Mapping[str, AnswerField], gold: Sequence[str], predictions: Predictions
) -> dict[str, Any]:
    """What held-out answers teach of confidence: slope and intercept for whole answers, and for
    single fields (None where no answer has one); see `metrics.calibration.fit_platt`."""
    from stillhouse.metrics.calibration import fit_platt

    answers, fields_seen = [], []
    for answer, prediction in zip(gold, predictions, strict=True):
        wanted, written = json.loads(answer), Written.of(prediction)
        said = parsed(written.text, fields)
        right = right_fields(wanted, said)
        exact = said is not None and all(right.values()) and right.keys() == wanted.keys()
        answers.append((written.log_prob, exact))
        fields_seen += [(p, right[name]) for name, p in written.parts.items() if name in right]
    return {
        "answer": fit_platt(*zip(*answers, strict=True)),
        "fields": fit_platt(*zip(*fields_seen, strict=True)) if fields_seen else None,
    }


def majority(answers: Sequence[Answer]) -> Answer:
    """Each field's most common value, left out where most answers leave it out."""
    names = dict.fromkeys(name for answer in answers for name in answer)
    found = {}
    for name in names:
        counts = Counter(json.dumps(answer.get(name)) for answer in answers)
        value = json.loads(min(counts, key=lambda v: (-counts[v], v)))
        if value is not None:
            found[name] = value
    return found


def baseline(training: Sequence[Row], rows: Sequence[Row]) -> tuple[str, Predictions]:
    """The nearest training text's answer, or each field's most common value: whichever does better
    on the training texts, each left out once. Nearest by the cosine of TF-IDF."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    answers = [json.loads(row["response"]) for row in training]
    constant = majority(answers)
    tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    known = tfidf.fit_transform(row["input"] for row in training)
    among = (known @ known.T).toarray()
    np.fill_diagonal(among, -1.0)
    left_out = [answers[i] for i in among.argmax(axis=1)]
    by_nearest = extraction_metrics(answers, left_out).field_f1
    by_majority = extraction_metrics(answers, [constant] * len(answers)).field_f1
    if by_majority >= by_nearest:
        return "each field's most common value", [_written(constant) for _ in rows]
    nearest = (tfidf.transform(row["input"] for row in rows) @ known.T).toarray().argmax(axis=1)
    return "the nearest text's answer", [_written(answers[i]) for i in nearest]


def _written(answer: Answer) -> dict[str, Any]:
    return as_written(json.dumps(answer, separators=(",", ":"), ensure_ascii=False))
