"""What an extraction's confidence is worth, and what it takes no model to answer."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.config.dataset import AnswerField
from stillhouse.metrics.extraction import extraction_metrics, right_fields
from stillhouse.tasks.common import Predictions, Row
from stillhouse.tasks.extraction_grammar import compact, parsed
from stillhouse.tasks.writing import Written, as_written

Answer = dict[str, Any]

ROWS_AT_ONCE = 1024
TOKENS = re.compile(r"\w+|[^\w\s]+")  # a text of marks alone has some, too


def calibrated(
    fields: Mapping[str, AnswerField], gold: Sequence[str], predictions: Predictions
) -> dict[str, Any]:
    """What held-out answers teach of confidence: slope and intercept for whole answers, and for
    single fields (None where no answer has one); see `metrics.calibration.fit_platt`."""
    from stillhouse.metrics.calibration import fit_platt

    written = [Written.of(prediction) for prediction in predictions]
    golds = [json.loads(answer) for answer in gold]
    said = [parsed(w.text, fields) for w in written]
    exact = extraction_metrics(golds, said).exact
    rights = [right_fields(g, s) for g, s in zip(golds, said, strict=True)]
    seen = [
        (log_prob, right[name])
        for w, right in zip(written, rights, strict=True)
        for name, log_prob in w.parts.items()
        if name in right
    ]
    return {
        "answer": fit_platt([w.log_prob for w in written], exact),
        "fields": fit_platt(*zip(*seen, strict=True)) if seen else None,
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
    from sklearn.feature_extraction.text import TfidfVectorizer

    answers = [json.loads(row["response"]) for row in training]
    constant = majority(answers)
    tfidf = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, tokenizer=TOKENS.findall, token_pattern=None
    )
    known = tfidf.fit_transform(row["input"] for row in training)
    left_out = [answers[i] for i in _nearest(known, known, others=True)]
    by_nearest = extraction_metrics(answers, left_out).field_f1
    by_majority = extraction_metrics(answers, [constant] * len(answers)).field_f1
    if by_majority >= by_nearest:
        return "each field's most common value", [_written(constant) for _ in rows]
    nearest = _nearest(tfidf.transform(row["input"] for row in rows), known)
    return "the nearest text's answer", [_written(answers[i]) for i in nearest]


def _nearest(texts: Any, known: Any, *, others: bool = False) -> list[int]:
    """The row of `known` nearest to each of `texts`, some at a time; with `others`, not itself."""
    found: list[int] = []
    for start in range(0, texts.shape[0], ROWS_AT_ONCE):
        near = (texts[start : start + ROWS_AT_ONCE] @ known.T).toarray()
        if others:
            for row in range(len(near)):
                near[row, start + row] = -1.0
        found += near.argmax(axis=1).tolist()
    return found


def _written(answer: Answer) -> dict[str, Any]:
    return as_written(compact(answer))
