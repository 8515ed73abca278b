"""What a report says of `evaluation.json`, in words and as tables of text.

The page, the terminal and Dagster's UI all say it from those numbers, so they agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from stillhouse.evaluate.telling import Test
from stillhouse.facts import GateFacts
from stillhouse.metrics.bootstrap import SIGNIFICANCE
from stillhouse.metrics.paired import FEWEST_THAT_TELL, BootstrapTest, PairedTest
from stillhouse.report.production import production_said
from stillhouse.report.results import Comparison
from stillhouse.report.slices import worse_of
from stillhouse.tasks.results import BASELINE, display_name, prose_name, shipped
from stillhouse.wording import MISSING, human_bytes, human_count

Evaluation = Mapping[str, Any]


def gates(evaluation: Evaluation) -> list[GateFacts]:
    """Those that hold a student back."""
    return [_gate(gate) for gate in evaluation["gates"]]


def against_production(evaluation: Evaluation) -> GateFacts | None:
    """What is told beside them, where a release is in production and could be compared."""
    found = (evaluation.get("production") or {}).get("gate")
    return _gate(found) if found else None


def _gate(values: Mapping[str, Any]) -> GateFacts:
    known = [field.name for field in fields(GateFacts)]
    return GateFacts(**{name: value for name, value in values.items() if name in known})


def models_of(evaluation: Evaluation, task: str) -> list[str]:
    return [name for name in evaluation["about"]["models"] if task in evaluation[name]]


def comparisons_of(evaluation: Evaluation, task: str) -> list[Comparison]:
    return [Comparison.of_json(found) for found in evaluation["comparisons"][task]]


def shown_name(evaluation: Evaluation, model: str) -> str:
    """What a model is called in headings."""
    return display_name(model, evaluation["about"].get("display", {}).get(model))


def table(evaluation: Evaluation, task: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text, of the table of models on a task of `about`."""
    models = models_of(evaluation, task["name"])
    return ["Model", *(column for column, _ in task["table"]), "Params", "Size"], [
        [
            shown_name(evaluation, model),
            *(_figure(evaluation[model][task["name"]], metric) for _, metric in task["table"]),
            human_count(evaluation[model]["parameters"]),
            human_bytes(evaluation[model]["bytes"]),
        ]
        for model in models
    ]


def _figure(metrics: Mapping[str, Any], name: str) -> str:
    value, interval = metrics.get(name), metrics.get(f"{name}_ci")
    if value is None:
        return MISSING
    said = f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
    return f"{said} ({interval[0]:.2f}–{interval[1]:.2f})" if interval else said


def headlines(evaluation: Evaluation) -> list[str]:
    """What there is to say first, a sentence each: where the shipped model tells no example from
    another; which baselines it doesn't beat, and which it does; what it keeps of its teacher, and
    at what size; where it is worse; and how it stands to the release in production."""
    about = evaluation["about"]
    model = shipped(about["models"])
    if model is None or "teacher" not in about["models"]:
        return ["There is no student and teacher to compare."]
    unbeaten, beaten = _against_baselines(evaluation, model)
    if beaten:
        unbeaten.append(f"The {prose_name(model)} beats {'; '.join(beaten)}.")
    said = [
        *_alike(evaluation, model),
        *unbeaten,
        _against_teacher(evaluation, model),
        _where_worse(evaluation, model),
    ]
    said.append(production_said(evaluation, against_production(evaluation)))
    return [sentence for sentence in said if sentence]


def headline(evaluation: Evaluation) -> str:
    """`headlines` as one text."""
    return " ".join(headlines(evaluation))


def _alike(evaluation: Evaluation, model: str) -> list[str]:
    """A sentence for each task of whose examples it answers all alike, though they differ."""
    found = evaluation.get("test_sets", {})
    return [
        f"The {prose_name(model)} gives all {values['n']:,} test examples of {task} the same "
        "answer: it tells none from another, and scores what this answer alone does."
        for task, values in found.items()
        if model in values.get("alike", ()) and values["answers"] > 1
    ]


def _against_baselines(evaluation: Evaluation, model: str) -> tuple[list[str], list[str]]:
    """A sentence for each task whose baseline isn't beaten, and a phrase for each other."""
    unbeaten, beaten = [], []
    for task in evaluation["about"]["tasks"]:
        name, metric = task["name"], task["headline"]
        if name not in evaluation.get(BASELINE, {}) or name not in evaluation[model]:
            continue
        what = task.get("baseline") or "the baseline"
        ours, theirs = (evaluation[m][name]["score"] for m in (model, BASELINE))
        chance = _chance(comparisons_of(evaluation, name), model, BASELINE)
        figures = f"{ours:.3f} against {theirs:.3f}"
        if ours > theirs:
            doubt = "; chance may explain the difference" if chance else ""
            points = f"{(ours - theirs) * 100:.1f} points of {metric}"
            beaten.append(f"{what} on {name} by {points} ({figures}{doubt})")
        else:
            verdict = "as well" if chance or ours == theirs else "better"
            unbeaten.append(
                f"The {prose_name(model)} doesn't beat {what} on {name} ({figures}): so simple a "
                f"method does this task {verdict}."
            )
    return unbeaten, beaten


def _where_worse(evaluation: Evaluation, model: str) -> str:
    parts = [
        f"{slice_} on {task['name']}"
        for task in evaluation["about"]["tasks"]
        for slice_ in worse_of(evaluation, task["name"])
    ]
    if not parts:
        return ""
    return (
        f"In some slices the {prose_name(model)} is worse than its teacher by more than chance "
        f"explains: {'; '.join(parts)}."
    )


def _chance(comparisons: Sequence[Comparison], first: str, second: str) -> bool:
    """Whether the two models were compared, and no difference shows that chance can't explain."""
    return any(
        not found.test.significant
        for found in comparisons
        if (found.first, found.second) == (first, second)
    )


def _against_teacher(evaluation: Evaluation, model: str) -> str:
    ours, theirs = evaluation[model], evaluation["teacher"]
    parts = [
        _kept(evaluation, model, task)
        for task in evaluation["about"]["tasks"]
        if task["name"] in ours and task["name"] in theirs
    ]
    sizes = [
        f"1/{round(theirs[key] / ours[key])} of its {what}"
        for key, what in (("parameters", "parameters"), ("bytes", "size on disk"))
        if ours[key] and theirs[key] and theirs[key] >= 1.5 * ours[key]
    ]
    if not parts:
        return "There is no task that both student and teacher answered."
    with_size = f", with {' and '.join(sizes)}" if sizes else ""
    return f"The {prose_name(model)} {'; '.join(parts)}{with_size}."


def _kept(evaluation: Evaluation, model: str, task: Mapping[str, Any]) -> str:
    """The share of the teacher's score, and whether the difference may be chance: the readings
    below must not take back what the headline says."""
    name, metric = task["name"], task["headline"]
    ours, theirs = (evaluation[m][name]["score"] for m in (model, "teacher"))
    if ours == theirs == 0:
        return f"has nothing right on {name}, nor has its teacher ({metric} 0 of both)"
    share = "all" if ours >= theirs else f"{ours / theirs:.1%}" if ours else "nothing"
    chance = _chance(comparisons_of(evaluation, name), model, "teacher")
    doubt = "; chance may explain the difference" if chance and ours != theirs else ""
    figures = f"({ours:.3f} against {theirs:.3f}{doubt})"
    return f"keeps {share} of its teacher's {metric} on {name} {figures}"


def readings(evaluation: Evaluation, task: str) -> list[str]:
    """The paired tests of a task in plain words."""
    metrics = {x["name"]: x["headline"] for x in evaluation["about"]["tasks"]}
    return [
        reading(found.first, found.second, found.test, metrics[task])
        for found in comparisons_of(evaluation, task)
    ]


def reading(first: str, second: str, test: Test, metric: str = "score") -> str:
    """A paired test in plain words, for someone who knows no statistics."""
    a, b = prose_name(first), prose_name(second)
    if isinstance(test, PairedTest):
        return _reading_of_right(a, b, test)
    return _reading_of_scores(a, b, test, metric)


def _reading_of_right(a: str, b: str, test: PairedTest) -> str:
    split = test.differing
    if not split:
        return f"The {a} and the {b} are right and wrong on the very same examples."
    evidence = f"exact McNemar {_p(test)}; only the {a} right: {test.only_first}, only the {b} "
    evidence += f"right: {test.only_second}"
    if test.low is not None and test.high is not None:
        evidence += f"; {_interval(test.low, test.high)}"
    if test.p_value < SIGNIFICANCE and not test.significant:
        # The test takes each example for itself.
        evidence += f", with {test.groups:,} families of examples drawn as one"
    if test.significant:
        better = "more" if test.difference > 0 else "less"
        return (
            f"The {a} is right {better} often than the {b}, by {abs(test.difference) * 100:.1f} "
            f"points: more than chance explains ({evidence})."
        )
    if test.smallest_significant is None:
        resolution = f"They differ on {split} of them: no test can tell from so little."
    else:
        resolution = (
            "With so much disagreement, a difference below "
            f"{test.smallest_significant * 100:.1f} points cannot be told from chance."
        )
    return _too_few(a, b, test.n, evidence, resolution)


def _reading_of_scores(a: str, b: str, test: BootstrapTest, metric: str) -> str:
    if not test.differing:
        return f"The {a} and the {b} have the same {metric} on every example."
    low, high = test.low * 100, test.high * 100
    evidence = f"paired bootstrap {_p(test)}; {_interval(test.low, test.high)}"
    if test.groups < test.n:
        evidence += f", {test.groups:,} families of examples drawn as one"
    if test.significant:
        better = "higher" if test.difference > 0 else "lower"
        return (
            f"The {a}'s {metric} is {better} than the {b}'s, by {abs(test.difference) * 100:.1f} "
            f"points: more than chance explains ({evidence})."
        )
    if test.differing < FEWEST_THAT_TELL:
        resolution = f"They differ on {test.differing} of them: no test can tell from so little."
    else:
        resolution = (
            "With so much variation, a difference below about "
            f"{(high - low) / 2:.1f} points cannot be told from chance."
        )
    return _too_few(a, b, test.n, evidence, resolution)


def _interval(low: float, high: float) -> str:
    return f"95% interval of the difference: {low * 100:+z.1f} to {high * 100:+z.1f} points"


def _p(test: Test) -> str:
    return "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.2g}"


def _too_few(a: str, b: str, n: int, evidence: str, resolution: str) -> str:
    few = f"{n:,} test examples are" if n != 1 else "One test example is"
    return (
        f"{few} too few to tell the {a} from the {b} ({evidence}). "
        f"{resolution} That is not proof that they are equal."
    )
