"""What an extraction's confidence is worth, and what it takes no model to answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.config.dataset import AnswerField
from stillhouse.metrics.extraction import extraction_metrics, right_fields
from stillhouse.tasks.common import Predictions, Row
from stillhouse.tasks.extraction_grammar import parsed
from stillhouse.tasks.writing import Written, as_written

Answer = dict[str, Any]


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
