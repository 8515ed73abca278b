"""What a report says of confidence and of the cascade, from the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from stillhouse.report import findings, trust_plots
from stillhouse.tasks.results import prose_name, shipped
from stillhouse.tasks.sections import Figure, Section, Table
from stillhouse.wording import MISSING

TITLE = "Calibration and cascade"
HEADER = ["Model", "ECE before", "ECE-15", "ECE, equal mass", "Brier", "NLL", "AURC"]
MODEL_NOTE = (
    "Of each model's confidence on the test split, with 95% intervals; lower is better. What they "
    "mean is said in docs/evaluation.md."
)

Evaluation = Mapping[str, Any]


def trust_sections(evaluation: Evaluation, task: str) -> list[Section]:
    """The section of one task; empty where no model states a confidence."""
    found = evaluation.get("calibration", {}).get(task)
    if not found:
        return []
    names = {model: findings.shown_name(evaluation, model) for model in found}
    curves = {m: x["risk_coverage"] for m, x in found.items() if x["risk_coverage"]}
    figures = []
    if curves:
        draw = partial(trust_plots.risk_coverage, curves, names)
        figures.append(Figure(draw, "Share of wrong answers by the share that is answered"))
    pair, model = evaluation["cascade"].get(task), shipped(found)
    if pair and model:
        metric = _headline(evaluation, task)
        draw = partial(trust_plots.cascade_curve, pair, model, metric.capitalize())
        figures.append(Figure(draw, f"{metric} of the pair by the share escalated"))
    return [
        Section(
            TITLE,
            trust_readings(evaluation, task),
            figures,
            [Table(*table(evaluation, task), MODEL_NOTE)],
        )
    ]


def table(evaluation: Evaluation, task: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text, of what each model's confidence is worth."""
    rows = []
    for model, found in (evaluation.get("calibration", {}).get(task) or {}).items():
        after, before = found["after"], found["before"]
        rows.append(
            [
                findings.shown_name(evaluation, model),
                MISSING if before is None else f"{before['ece']:.3f}",
                *(
                    _with_interval(after, name)
                    for name in ("ece", "ece_equal_mass", "brier", "nll")
                ),
                MISSING if found["aurc"] is None else f"{found['aurc']:.3f}",
            ]
        )
    return HEADER, rows


def _with_interval(values: Mapping[str, Any], name: str) -> str:
    low, high = values[f"{name}_ci"]
    return f"{values[name]:.3f} ({low:.3f}–{high:.3f})"


def trust_readings(evaluation: Evaluation, task: str) -> list[str]:
    """What there is to say of the shipped model, a paragraph each."""
    found = evaluation.get("calibration", {}).get(task) or {}
    model = shipped(found)
    if model is None:
        return []
    own = found[model]
    said = [_calibrated(model, own), _threshold(model, own)]
    if pair := evaluation["cascade"].get(task):
        said += _cascade(pair, _headline(evaluation, task))
    return [sentence for sentence in said if sentence]


def _headline(evaluation: Evaluation, task: str) -> str:
    return next(t["headline"] for t in evaluation["about"]["tasks"] if t["name"] == task)


def _calibrated(model: str, own: Mapping[str, Any]) -> str:
    name, fitted = prose_name(model), own["fitted"]
    temperature, n = fitted.get("temperature"), own["validation"]
    if temperature is not None:
        sure = "surer than it is right" if temperature > 1 else "less sure than it is right"
        if abs(temperature - 1) < 5e-3:
            sure = "as sure as it is right"
        how = f"by a temperature of {temperature:.2f}: on these it was {sure}"
    elif any(fitted.get(part) for part in ("answer", "fields")):
        how = "by a logistic curve of its answers' likelihood (a temperature needs classes)"
    else:
        few = "are no" if not n else "is only 1" if n == 1 else f"are only {n:,}"
        return (
            f"The {name}'s confidence is as the model states it: there {few} validation "
            f"example{'s' if n != 1 else ''} to learn from how far to trust it."
        )
    after, before = own["after"], own["before"]
    text = f"The {name}'s confidence was calibrated on {n:,} validation examples, {how}."
    if before is not None:
        change = after["ece"] - before["ece"]
        moved = "as before" if abs(change) < 5e-4 else "lower" if change < 0 else "higher"
        text += (
            f" On the test split its calibration error is {moved}: {before['ece']:.3f} without, "
            f"{after['ece']:.3f} with it"
        )
        apart = before["ece_ci"][0] > after["ece_ci"][1] or after["ece_ci"][0] > before["ece_ci"][1]
        text += "." if apart or moved == "as before" else "; the intervals overlap."
    return text


def _threshold(model: str, own: Mapping[str, Any]) -> str:
    found, name = own["threshold"], prose_name(model)
    if found is None:
        return ""
    wanted = f"{found['wanted']:.0%}" if found["wanted"] < 0.995 else f"{found['wanted']:.1%}"
    if found["value"] is None:
        few, n = found["fewest"], own["validation"]
        answers = "answer, if it is" if few == 1 else "answers, all of them"
        enough = f"it takes at least {few:,} validation {answers} right, and there are {n:,} in all"
        if n >= few:
            enough = f"of {n:,} validation answers too many that it is surest of are wrong"
        return (
            f"From no confidence on is it shown that {wanted} of the {name}'s answers are right: "
            f"{enough}. Lower `calibration.precision`, or give more validation examples."
        )
    answers = f"{found['covered']:,} such validation answer{'s' if found['covered'] > 1 else ''}"
    text = (
        f"From a confidence of {found['value']:.3f} on, at least {wanted} of the {name}'s answers "
        f"are right: of {answers} {found['right']:,} {'are' if found['right'] != 1 else 'is'}, at "
        f"least {found['bound']:.1%} with 95% certainty."
    )
    test = found["test"]
    if test is None:
        return f"{text} No test answer is that sure."
    low, high = test["precision_ci"]
    less = " That is less than was promised." if high < found["wanted"] else ""
    return (
        f"{text} On the test split {test['coverage']:.0%} are answered so, and "
        f"{test['precision']:.1%} of these are right (95% interval {low:.1%} to {high:.1%}).{less}"
    )


def _cascade(pair: Mapping[str, Any], metric: str) -> list[str]:
    unsure, point = pair["unsure"], pair["recommended"]
    least = "test example" if unsure["n"] == 1 else f"{unsure['n']:,} test examples"
    evidence = (
        f"Of the {least} that the student is least sure of, it has "
        f"{unsure['student_right']:,} right and its teacher {unsure['teacher_right']:,}"
    )
    said = []
    if point is None:
        said.append(
            f"{evidence}. With fewer than {pair['rule']['fewest']} validation examples no "
            "threshold is recommended below which the teacher should answer."
        )
    elif not point["validation"]["escalated"]:
        said.append(
            "Escalating to the teacher gains nothing: on validation examples the student alone "
            f"does about as well as any pair of the two. {evidence}."
        )
    elif point["test"]["gain"]["difference"] <= 0:
        said.append(
            "Escalating to the teacher gains nothing: the threshold that did best on validation "
            f"examples makes {metric} no higher on the test split. {evidence}."
        )
    else:
        said.append(_pair(pair, point, metric))
    if (person := pair["person"]) is not None:
        cost = f", at {person['cost']:.2f} times the teacher's cost" if person["cost"] else ""
        said.append(
            f"With a person in the teacher's place, below the threshold of the wanted precision: "
            f"{person['escalated']:.0%} are asked of people, and {metric} of the pair is "
            f"{person['score']:.3f}{cost}, if people are always right."
        )
    return said


def _pair(pair: Mapping[str, Any], point: Mapping[str, Any], metric: str) -> str:
    test, gain = point["test"], point["test"]["gain"]
    low, high = gain["ci"]
    doubt = "" if gain["significant"] else " Chance may explain the gain."
    return (
        f"Recommended: below a confidence of {test['threshold']:.3f} the teacher answers. It is "
        f"the least that is escalated for {metric} within {pair['rule']['given_up'] * 100:.0f} "
        f"point of the best on {point['validation_n']:,} validation examples. On the test split "
        f"the teacher then answers {test['escalated']:.0%}, and {metric} of the pair is "
        f"{test['score']:.3f} (student alone {pair['student']:.3f}, teacher alone "
        f"{pair['teacher']:.3f}; gain {low * 100:+z.1f} to {high * 100:+z.1f} points).{doubt} It "
        f"costs {test['cost']:.2f} of what the teacher alone does, as a student's answer costs "
        f"{_ratio(pair['cost_ratio'])}."
    )


def _ratio(cost: float) -> str:
    if not cost:
        return "nothing beside a teacher's, whose size is not known"
    return f"{cost:.3f} of a teacher's (the ratio of their parameters)"
