"""What a report shows of written answers: sections of extraction, question answering, summaries.

Each kind's `sections` calls one of `extraction_sections`, `answer_sections` and `summary_sections`
with results whose `detail` is a `generative_scores.Written`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from stillhouse.tasks.generative_scores import DECODINGS, Written
from stillhouse.tasks.plots import share_reached
from stillhouse.tasks.results import BASELINE, Scored, names_of
from stillhouse.tasks.samples import Given, sample_groups
from stillhouse.tasks.section_builders import (
    COMPARED_MODELS,
    calibration_section,
    check_same_examples,
    f1_sections,
)
from stillhouse.tasks.sections import Figure, Section, Table
from stillhouse.wording import MISSING

LONG_TEXT = 900

INTERVAL = "In brackets stands the interval in which the true figure lies 95 times in 100."
EXTRACTION_MEANS = (
    "An answer is an object of fields. Field F1 counts pairs of a field and a value over all "
    "texts: it is the balance of finding what a text says and not claiming what it doesn't; each "
    "item of a list counts. Values must match to the letter, upper and lower case included. Exact "
    "is the share of texts with every field right and none too many. An answer that is no JSON of "
    f"the schema finds nothing. {INTERVAL}"
)
ANSWERS_MEAN = (
    "F1 weighs the words that an answer and the gold answer share against those that only one of "
    "them has, and is the mean over all questions; case, punctuation and articles don't count. "
    "Exact is the share of answers that are the gold answer. Where a passage holds no answer, no "
    f"answer is the right one. {INTERVAL}"
)
SUMMARIES_MEAN = (
    "ROUGE-L is the longest sequence of words, gaps allowed, that a summary and its reference "
    "share, weighed against the length of both; chrF does the like with short pieces of words. "
    "Both ask how close a summary is to one reference, not whether it is true or well written. A "
    "good summary in other words scores low: compare models, and read the samples. "
    f"{INTERVAL}"
)
TRUST = (
    " ECE, the expected calibration error, is how far confidence and the share of right {counted} "
    "lie apart on average; 0 is ideal, and small test sets show a little more than that even for "
    "an ideal model."
)


def extraction_sections(results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
    """Of `score_extraction`, by model, on the examples `texts`.

    Raises UserError when the models were tested on different examples.
    """
    found, compared = _details(results)
    names = names_of(results)
    shown = [_help(EXTRACTION_MEANS, found, "fields")]
    if compared:
        shown += f1_sections(
            {model: x.per_field for model, x in compared.items()},
            names,
            thing=("field", "fields"),
            counted="values",
            explained="F1 is the balance of finding a field's values and not making others up.",
        )
    shown += decoding_sections(results, {"Field F1": "field_f1", "Valid": "valid"})
    shown += _calibration(found, names, "fields")
    says = "of a wrong answer, what differs from gold (–: nothing was found)"
    return shown + _samples(compared, names, texts, says)


def answer_sections(results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
    """Of `score_answers`; see `extraction_sections`. `texts` hold question and passage."""
    found, compared = _details(results)
    names = names_of(results)
    return [
        _help(ANSWERS_MEAN, found, "answers"),
        *_distribution(found, names, "F1"),
        *_abstention(results, names),
        *decoding_sections(results, {"F1": "f1", "Exact": "exact_match"}),
        *_calibration(found, names, "answers"),
        *_samples(compared, names, texts),
    ]


def summary_sections(results: Mapping[str, Scored], texts: Sequence[str]) -> list[Section]:
    """Of `score_summaries`; see `extraction_sections`."""
    found, compared = _details(results)
    names = names_of(results)
    header = ["Model", "Words in a summary", "Words in its reference"]
    lengths = Table(
        header,
        [
            [names[model], *(f"{x.metrics[key]:.1f}" for key in ("words", "words_gold"))]
            for model, x in results.items()
        ],
        "Means. Summaries far longer or shorter than their references score low for that alone.",
    )
    return [
        _help(SUMMARIES_MEAN, found, ""),
        *_distribution(found, names, "ROUGE-L"),
        Section("How long the summaries are", tables=[lengths]),
        *_samples(compared, names, texts, "with the ROUGE-L of each answer", marked=False),
    ]


def _abstention(results: Mapping[str, Scored], names: Mapping[str, str]) -> list[Section]:
    """How often no answer was given, and rightly so; nothing where it never was nor should be."""
    metrics = {model: x.metrics for model, x in results.items()}
    counted = ("without_answer", "left_unanswered")
    if not any(x[name] for x in metrics.values() for name in counted):
        return []
    table = Table(
        ["Model", "Left unanswered", "Of these, no answer to find", "Unanswerable ones left so"],
        [
            [
                names[model],
                f"{x['left_unanswered']:,}",
                _number(x["abstention_precision"]),
                _number(x["abstention_recall"]),
            ]
            for model, x in metrics.items()
        ],
        "The last two columns are the precision and the recall of abstaining.",
    )
    first = next(iter(metrics.values()))
    says = (
        f"{first['without_answer']:,} of {first['n']:,} questions "
        f"{'has' if first['without_answer'] == 1 else 'have'} no answer in the passage."
    )
    return [Section("Does it know when there is no answer?", [says], tables=[table])]


def decoding_sections(results: Mapping[str, Scored], metrics: Mapping[str, str]) -> list[Section]:
    """The same models decoded in other ways, side by side: a table for each of `metrics` (title ->
    name), from `metrics["decodings"]` of each model; nothing where no model has that. A baseline
    writes nothing that a constraint could change."""
    names = names_of(results)
    found: dict[str, Any] = {
        model: x.metrics["decodings"]
        for model, x in results.items()
        if "decodings" in x.metrics and model != BASELINE
    }
    modes = [m for m in DECODINGS if any(m in of for of in found.values())]
    modes += [m for of in found.values() for m in of if m not in modes]
    if not modes:
        return []
    modes = list(dict.fromkeys(modes))
    tables = [
        Table(
            [f"{title}, decoded", *(_mode(mode)[0] for mode in modes)],
            [
                [names[model], *(_number(of.get(mode, {}).get(metric)) for mode in modes)]
                for model, of in found.items()
            ],
        )
        for title, metric in metrics.items()
    ]
    says = "; ".join(f"{name.lower()}: {what}" for name, what in map(_mode, modes) if what)
    return [
        Section(
            "With and without constraints",
            [
                f"The same models, decoded in different ways ({says}). A constraint can hide what "
                "a model has not learned: the more it gains from one, the less it knows of itself."
            ],
            tables=tables,
        )
    ]


def _mode(mode: str) -> tuple[str, str]:
    return DECODINGS.get(mode, (mode, ""))


def _number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


def _details(results: Mapping[str, Scored]) -> tuple[dict[str, Written], dict[str, Written]]:
    """Of all models, and of those that are compared example by example."""
    found: dict[str, Written] = {model: x.detail for model, x in results.items()}
    check_same_examples([x.gold for x in found.values()])
    return found, {model: found[model] for model in COMPARED_MODELS if model in found}


def _help(means: str, found: Mapping[str, Written], counted: str) -> Section:
    trust = TRUST.format(counted=counted) if any(_trusted(x) for x in found.values()) else ""
    return Section("What the figures mean", [means + trust])


def _trusted(written: Written) -> bool:
    return written.trusted is not None and len(written.trusted[0]) > 0


def _calibration(
    found: Mapping[str, Written], names: Mapping[str, str], counted: str
) -> list[Section]:
    trusted = {m: x.trusted for m, x in found.items() if x.trusted is not None and _trusted(x)}
    return [calibration_section(trusted, names, counted=counted)] if trusted else []


def _distribution(
    found: Mapping[str, Written], names: Mapping[str, str], metric: str
) -> list[Section]:
    values = {model: x.values for model, x in found.items() if x.values is not None}
    draw = partial(share_reached, values, names, metric)
    return [
        Section(
            "How good the answers are",
            [
                "A mean hides whether all answers are middling, or some perfect and some useless. "
                f"Each curve says which share of the examples reaches {_a(metric)} of at least so "
                "much: it lies higher where a model is better, and where it falls steeply, many "
                "answers are about as good."
            ],
            [Figure(draw, f"Share of examples that reach {_a(metric)}")],
        )
    ]


def _samples(
    compared: Mapping[str, Written],
    names: Mapping[str, str],
    texts: Sequence[str],
    says: str = "",
    *,
    marked: bool = True,
) -> list[Section]:
    """`says` adds how to read them; where answers aren't `marked` right or wrong, their values are
    shown."""
    if not compared:
        return []
    given = {
        names[model]: Given(x.given, x.right, confidence=x.confidence)
        if marked
        else Given(x.given, None, values=x.values)
        for model, x in compared.items()
    }
    how = ["✓ right, ✗ wrong"] if marked else []
    if any(x.confidence is not None for x in given.values()):
        how.append("with the model's confidence")
    how += [says] if says else []
    gold = next(iter(compared.values())).gold
    return [
        Section(
            "Sample answers",
            [f"Test examples, in the masked form that the models saw: {', '.join(how)}."],
            samples=sample_groups(texts, gold, given, text_length=LONG_TEXT),
        )
    ]


def _a(metric: str) -> str:
    return f"an {metric}" if metric.startswith("F") else f"a {metric}"
