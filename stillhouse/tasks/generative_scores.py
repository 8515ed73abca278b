"""Written answers scored, one function a kind: what their modules need beyond the answers.

Confidences are calibrated probabilities of being right, 0..1 (`metrics.calibration.apply_platt`);
NaN where nothing says how sure an answer is.
`decodings` holds the answers of the same model decoded in other ways, by the names of DECODINGS, so
that a grammar cannot hide what was not learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stillhouse.metrics import text
from stillhouse.metrics.bootstrap import f1_interval, mean_interval
from stillhouse.metrics.calibration import confidence_metrics
from stillhouse.metrics.extraction import (
    FieldScores,
    extraction_metrics,
    right_fields,
    values_of,
)
from stillhouse.tasks.results import Scored
from stillhouse.wording import MISSING

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Ways of decoding: what each is called, and what it does.
DECODINGS = {
    "free": ("Free", "as the model writes of itself"),
    "schema": ("Schema", "only what keeps to the schema can be written"),
    "grounded": ("Grounded", "what must stand in the text is written as a piece of it"),
}
NO_JSON = "(no valid JSON)"
NO_ANSWER = "(no answer)"
NOTHING = "(no field)"
ALL_RIGHT, OTHERS_RIGHT = "(all right)", "(others right)"

# Column title of the report's table -> metric; as many as a terminal has room for.
EXTRACTION_TABLE = {"Field F1 (95% CI)": "field_f1", "Exact": "exact_match", "ECE": "ece"}
ANSWER_TABLE = {"F1 (95% CI)": "f1", "Exact": "exact_match", "ECE": "ece"}
SUMMARY_TABLE = {"ROUGE-L (95% CI)": "rouge_l", "chrF": "chrf"}
# What is said of each way of decoding.
OF_EXTRACTION = ("field_f1", "exact_match", "valid")
OF_ANSWERS = ("f1", "exact_match", "abstention_precision", "abstention_recall")

Object = Mapping[str, Any]
# As `Scored.trusted` has it.
Trusted = tuple["NDArray[Any]", "NDArray[Any]", "NDArray[Any]"]


@dataclass(frozen=True, eq=False)
class Written:
    """What a `Scored` of written answers holds in `detail`.

    `gold` and `given` are texts as a person reads them side by side; `right` bool [n] says which
    answers are right. `confidence` float [n] is that of whole answers, NaN where there is none.
    `trusted` holds confidences and whether each was right: of answers, or of the fields that
    answers fill. `values` float [n] where some answers are better than others.
    """

    gold: list[str]
    given: list[str]
    right: NDArray[Any]
    confidence: NDArray[Any] | None = None
    trusted: tuple[NDArray[Any], NDArray[Any]] | None = None
    values: NDArray[Any] | None = None
    per_field: dict[str, FieldScores] = field(default_factory=dict)

    def said(self) -> tuple[list[str], list[str]]:
        """Gold and given answers."""
        return self.gold, self.given


def score_extraction(
    gold: Sequence[Object],
    predicted: Sequence[Object | None],
    *,
    fields: Iterable[str] = (),
    confidence: ArrayLike | None = None,
    field_confidence: Sequence[Mapping[str, float]] | None = None,
    decodings: Mapping[str, Sequence[Object | None]] | None = None,
) -> Scored:
    """Objects against gold objects; None is an answer that is no JSON of the schema.

    `confidence` float [n] is that of whole answers; `field_confidence` has one for each field that
    an answer fills, and is what calibration is measured by where it is given. `fields` are those of
    the schema, in the order in which they are shown. Raises ValueError as `extraction_metrics`.
    """
    import numpy as np

    names = list(fields)
    found = extraction_metrics(gold, predicted, names)
    trusted = _of_answers(confidence, found.exact)
    if field_confidence is not None:
        trusted = _of_fields(gold, predicted, field_confidence)
        if confidence is None:  # an answer is no surer than its least sure field
            confidence = [min(x.values(), default=float("nan")) for x in field_confidence]
    modes = {
        mode: _only(extraction_metrics(gold, other, names).to_json(), OF_EXTRACTION)
        for mode, other in (decodings or {}).items()
    }
    metrics = found.to_json() | {"field_f1_ci": list(f1_interval(found.counts))}
    return _scored(
        metrics,
        trusted,
        modes,
        headline="field F1",
        score=found.field_f1,
        right=found.exact,
        counts=found.counts,
        table=EXTRACTION_TABLE,
        detail=Written(
            [in_words(x, names) for x in gold],
            [difference(x, y, names) for x, y in zip(gold, predicted, strict=True)],
            found.exact,
            None if confidence is None else np.asarray(confidence, float),
            trusted and trusted[:2],
            per_field=found.per_field,
        ),
    )


def score_answers(
    gold: Sequence[str],
    predicted: Sequence[str],
    *,
    confidence: ArrayLike | None = None,
    decodings: Mapping[str, Sequence[str]] | None = None,
) -> Scored:
    """Answers to questions; an empty one says that there is none. At least one."""
    import numpy as np

    found, right, values = _answers(gold, predicted)
    trusted = _of_answers(confidence, right)
    modes = {
        mode: _only(_answers(gold, other)[0], OF_ANSWERS)
        for mode, other in (decodings or {}).items()
    }
    return _scored(
        found | {"f1_ci": list(mean_interval(values))},
        trusted,
        modes,
        headline="F1",
        score=found["f1"],
        right=right,
        values=values,
        table=ANSWER_TABLE,
        detail=Written(
            [x.strip() or NO_ANSWER for x in gold],
            [x.strip() or NO_ANSWER for x in predicted],
            right,
            None if confidence is None else np.asarray(confidence, float),
            trusted and trusted[:2],
            values,
        ),
    )


def _answers(
    gold: Sequence[str], predicted: Sequence[str]
) -> tuple[dict[str, Any], NDArray[Any], NDArray[Any]]:
    import numpy as np

    pairs = list(zip(predicted, gold, strict=True))
    right = np.array([text.exact_match(*pair) for pair in pairs])
    values = np.array([text.token_f1(*pair) for pair in pairs])
    left_out = text.abstention(predicted, gold)
    metrics = {
        "n": len(pairs),
        "f1": float(values.mean()),
        "exact_match": float(right.mean()),
        "abstention_precision": left_out.precision,
        "abstention_recall": left_out.recall,
        "without_answer": left_out.without_answer,
        "left_unanswered": left_out.left_unanswered,
    }
    return metrics, right, values


def score_summaries(
    gold: Sequence[str], predicted: Sequence[str], *, confidence: ArrayLike | None = None
) -> Scored:
    """Summaries against reference summaries; at least one. `confidence` float [n] is only kept.

    A summary is better or worse, not right or wrong: `right` says where it is word for word the
    reference, and no calibration is measured.
    """
    import numpy as np

    pairs = list(zip(predicted, gold, strict=True))
    values = np.array([text.rouge_l(*pair) for pair in pairs])
    right = np.array([text.exact_match(*pair) for pair in pairs])
    words = [sum(len(x.split()) for x in side) / len(pairs) for side in (predicted, gold)]
    return _scored(
        {
            "n": len(pairs),
            "rouge_l": float(values.mean()),
            "rouge_l_ci": list(mean_interval(values)),
            "chrf": text.corpus_chrf(predicted, gold),
            "words": words[0],
            "words_gold": words[1],
        },
        None,
        {},
        headline="ROUGE-L",
        score=float(values.mean()),
        right=right,
        values=values,
        table=SUMMARY_TABLE,
        detail=Written(
            [x.strip() for x in gold],
            [x.strip() for x in predicted],
            right,
            None if confidence is None else np.asarray(confidence, float),
            values=values,
        ),
    )


def _scored(
    metrics: dict[str, Any],
    trusted: Trusted | None,
    decodings: dict[str, dict[str, Any]],
    **rest: Any,
) -> Scored:
    trust: dict[str, Any] = {"ece": None}
    if trusted is not None and len(trusted[0]):
        trust = asdict(confidence_metrics(*trusted[:2]))
    metrics = metrics | trust | ({"decodings": decodings} if decodings else {})
    table = rest["table"]
    detail: Written = rest["detail"]
    return Scored(
        n=metrics["n"],
        confidence=detail.confidence,
        trusted=trusted,
        figures={k: float(metrics[k]) for k in table.values() if metrics[k] is not None},
        metrics=metrics,
        calibration_error=trust["ece"],
        **rest,
    )


def _only(metrics: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: metrics[name] for name in names}


def _of_answers(confidence: ArrayLike | None, right: NDArray[Any]) -> Trusted | None:
    """Those that have a confidence, whether they are right, and which they are."""
    import numpy as np

    if confidence is None:
        return None
    sure = np.asarray(confidence, float)
    known = ~np.isnan(sure)
    return sure[known], right[known], np.flatnonzero(known)


def _of_fields(
    gold: Sequence[Object],
    predicted: Sequence[Object | None],
    confidence: Sequence[Mapping[str, float]],
) -> Trusted:
    """Of each field that an answer fills and has a confidence of: the confidence, if it is right,
    and whose it is."""
    import numpy as np

    found = [
        (sure[name], right, place)
        for place, (wanted, said, sure) in enumerate(zip(gold, predicted, confidence, strict=True))
        for name, right in right_fields(wanted, said).items()
        if name in sure
    ]
    sure, right, place = zip(*found, strict=True) if found else ((), (), ())
    return np.array(sure, float), np.array(right, bool), np.array(place, int)


def in_words(answer: Object | None, fields: Sequence[str] = ()) -> str:
    """An object as a person reads it, a line a field: those of `fields` first, in their order.

    Fields that say nothing are left out.
    """
    if answer is None:
        return NO_JSON
    said = {name: answer[name] for name in [*fields, *answer] if values_of(answer.get(name))}
    return "\n".join(f"{name}: {_value(value)}" for name, value in said.items()) or NOTHING


def difference(gold: Object, said: Object | None, fields: Sequence[str] = ()) -> str:
    """What an answer says otherwise than the gold one, a line a field: in a report both stand side
    by side, and equal fields would hide what is wrong."""
    if said is None:
        return NO_JSON
    wrong, right = {}, 0
    for name in dict.fromkeys([*fields, *gold, *said]):
        wanted, found = values_of(gold.get(name)), values_of(said.get(name))
        if wanted != found:
            wrong[name] = _value(said[name]) if found else MISSING
        elif wanted:
            right += 1
    if not wrong:
        return ALL_RIGHT
    lines = [f"{name}: {value}" for name, value in wrong.items()]
    return "\n".join([*lines, *([OTHERS_RIGHT] if right else [])])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_value(x) for x in value)
    return str(value)
