"""What a report says of `evaluation.json`, in words and as tables of text.

The page, the terminal and Dagster's UI all say it from those numbers, so they agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stillhouse.facts import GateFacts
from stillhouse.metrics.paired import PairedTest
from stillhouse.report.results import paired_test
from stillhouse.tasks.results import display_name, prose_name, shipped
from stillhouse.wording import MISSING, human_bytes, human_count

Evaluation = Mapping[str, Any]


def gates(evaluation: Evaluation) -> list[GateFacts]:
    return [GateFacts(**gate) for gate in evaluation["gates"]]


def models_of(evaluation: Evaluation, task: str) -> list[str]:
    return [name for name in evaluation["about"]["models"] if task in evaluation[name]]


def table(evaluation: Evaluation, task: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text, of the table of models on a task of `about`."""
    models = models_of(evaluation, task["name"])
    return ["Model", *(column for column, _ in task["table"]), "Params", "Size"], [
        [
            display_name(model),
            *(_figure(evaluation[model][task["name"]], metric) for _, metric in task["table"]),
            human_count(evaluation[model]["parameters"]),
            human_bytes(evaluation[model]["bytes"]),
        ]
        for model in models
    ]


def _figure(metrics: Mapping[str, Any], name: str) -> str:
    value, interval = metrics[name], metrics.get(f"{name}_ci")
    if value is None:
        return MISSING
    said = f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
    return f"{said} ({interval[0]:.2f}–{interval[1]:.2f})" if interval else said


def headline(evaluation: Evaluation) -> str:
    """One sentence: what the shipped model keeps of its teacher, and at what size."""
    about = evaluation["about"]
    model = shipped(about["models"])
    if model is None or "teacher" not in about["models"]:
        return "There is no student and teacher to compare."
    ours, theirs = evaluation[model], evaluation["teacher"]
    parts = [
        _kept(evaluation, model, task)
        for task in about["tasks"]
        if task["name"] in ours and task["name"] in theirs
    ]
    sizes = [
        f"1/{round(theirs[key] / ours[key])} of its {what}"
        for key, what in (("parameters", "parameters"), ("bytes", "size on disk"))
        if ours[key] and theirs[key] and theirs[key] >= 1.5 * ours[key]
    ]
    with_size = f", with {' and '.join(sizes)}" if sizes else ""
    return f"The {prose_name(model)} keeps {'; '.join(parts)}{with_size}."


def _kept(evaluation: Evaluation, model: str, task: Mapping[str, Any]) -> str:
    """The share of the teacher's score, and whether the difference may be chance: the readings
    below must not take back what the headline says."""
    name, metric = task["name"], task["headline"]
    ours, theirs = (evaluation[m][name]["score"] for m in (model, "teacher"))
    share = "all" if ours >= theirs else f"{ours / theirs:.1%}"
    chance = any(
        not paired_test(found).significant
        for found in evaluation["comparisons"][name]
        if (found["first"], found["second"]) == (model, "teacher")
    )
    doubt = "; chance may explain the difference" if chance and ours != theirs else ""
    return f"{share} of its teacher's {metric} on {name} ({ours:.3f} against {theirs:.3f}{doubt})"


def readings(evaluation: Evaluation, task: str) -> list[str]:
    """The paired tests of a task in plain words."""
    return [
        reading(found["first"], found["second"], paired_test(found))
        for found in evaluation["comparisons"][task]
    ]


def reading(first: str, second: str, test: PairedTest) -> str:
    """A paired test in plain words, for someone who knows no statistics."""
    a, b = (prose_name(x) for x in (first, second))
    split = test.only_first + test.only_second
    if not split:
        return f"The {a} and the {b} are right and wrong on the very same examples."
    p = "p < 0.001" if test.p_value < 0.001 else f"p = {test.p_value:.2g}"
    evidence = f"exact McNemar {p}; only the {a} right: {test.only_first}, only the {b} right: "
    evidence += f"{test.only_second}"
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
    return (
        f"{test.n:,} test examples are too few to tell the {a} from the {b} ({evidence}). "
        f"{resolution} That is not proof that they are equal."
    )
