"""What else a student is put to the proof by: calibration, the cascade, edge cases."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stillhouse.assets.common import Work
from stillhouse.config.dataset import Task
from stillhouse.dataset.review.masked import CorrectionMasker
from stillhouse.evaluate.asking import CALIBRATION, SERVED
from stillhouse.evaluate.cascade import cascade
from stillhouse.evaluate.edge_cases import (
    ASKED_MODELS,
    TaskCases,
    ask_cases,
    cases_lacking,
    plan,
    results,
    too_many,
)
from stillhouse.evaluate.edge_file import read_cases
from stillhouse.evaluate.graded import SPLIT, TEACHER, said_of_outputs
from stillhouse.evaluate.predictions import Answers
from stillhouse.evaluate.side_by_side import Candidate, SideBySide
from stillhouse.evaluate.together import Lack
from stillhouse.evaluate.trust import all_worth, served
from stillhouse.storage.files import write_json
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner


def edge_cases(work: Work, tasks: Sequence[Task], max_tokens: int) -> dict[str, TaskCases]:
    """What is asked beside the test split: made from it, and the project's own."""
    project = work.project
    mask = CorrectionMasker(project, work.layout).mask
    known = [task.name for task in project.tasks]
    own = read_cases(project.root, open_tasks(work.dataset, tasks), known, mask)
    planned = plan(work.dataset, tasks, project.edge_cases, own, max_tokens=max_tokens)
    return {name: task for name, task in planned.items() if task.cases}


def ask_edges(
    planned: Mapping[str, TaskCases],
    candidate: Candidate,
    runner: Runner,
    answers: Mapping[str, Answers],
    calibrations: Mapping[str, Any],
) -> None:
    """Ask one of the models; its answers are kept beside those to the test split."""
    if candidate.name in ASKED_MODELS and planned:
        ask_cases(
            planned, _store(candidate), candidate.name, runner, answers, calibrations,
            model_digest=candidate.digest,
        )  # fmt: skip


def edges_ahead(
    planned: Mapping[str, TaskCases], candidate: Candidate, runner: Runner
) -> list[Lack]:
    """What `ask_edges` will ask."""
    if candidate.name not in ASKED_MODELS:
        return []
    return cases_lacking(planned, _store(candidate), runner, model_digest=candidate.digest)


def _store(candidate: Candidate) -> Path:
    return candidate.store.with_stem(f"{candidate.store.stem}.edge_cases")


def proof_of(
    work: Work,
    sizes: Mapping[str, int | None],
    found: SideBySide,
    planned: Mapping[str, TaskCases],
) -> dict[str, Any]:
    """All that was found, as evaluation.json says it; `sizes` are the models' parameters. What is
    known of models' confidence is kept for what serves them."""
    worth = _trust(work, found)
    _keep_calibrations(work, worth)
    limit = work.project.edge_cases.max_failures
    edges = {name: results(task) | {"limit": limit} for name, task in planned.items()}
    return {
        "test_sets": found.test_sets,
        "calibration": worth,
        "cascade": _cascades(work, sizes, found, worth),
        "edge_cases": {
            name: values | {"too_many": too_many(values, limit)} for name, values in edges.items()
        },
    }


def people(work: Work, tasks: Sequence[Task], compared: Sequence[Candidate]) -> dict[str, Any]:
    """By task, what people said of the outputs of the quantized student and of its teacher."""
    stores = {
        c.name: c.store.with_stem(f"{c.store.stem}.{SPLIT}")
        for c in compared
        if c.name in (TEACHER, "student_quantized")
    }
    return said_of_outputs(work.dataset, tasks, stores, work.layout.reviews)


def _trust(work: Work, found: SideBySide) -> dict[str, dict[str, Any]]:
    """By task and model what its confidence is worth, and what a server is told of it."""
    precision = work.project.calibration.precision
    worth = all_worth(found.scored, found.before, found.validation, found.families, precision)
    for task, of in worth.items():
        for model, values in of.items():
            values["fitted"] = served(found.calibrations.get(model, {}).get(task), values)
    return worth


def _keep_calibrations(work: Work, worth: Mapping[str, Mapping[str, Any]]) -> None:
    """Of all models by task, and by task the thresholds of the one that is served: beside the
    report, from where they go into a release."""
    models = dict.fromkeys(model for of in worth.values() for model in of)
    of_models = {
        model: {task: of[model]["fitted"] for task, of in worth.items() if model in of}
        for model in models
    }
    quantized = of_models.get(SERVED, {})
    thresholds = {task: {"threshold": known["threshold"]} for task, known in quantized.items()}
    write_json(work.folder / CALIBRATION, thresholds | of_models)


def _cascades(
    work: Work,
    sizes: Mapping[str, int | None],
    found: SideBySide,
    worth: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """By task, the quantized student with its teacher behind it, where it states a confidence."""
    how = work.project.calibration
    first, second = "student_quantized", "teacher"
    small, large = sizes[first], sizes[second]
    # A server doesn't say how large its model is; beside one that had to be served, the student
    # costs next to nothing.
    ratio = small / large if small and large else 0.0
    pairs: dict[str, Any] = {}
    for task in found.families:
        held = [found.validation.get(model, {}).get(task) for model in (first, second)]
        threshold = worth[task].get(first, {}).get("threshold") or {}
        pairs[task] = cascade(
            found.scored[first][task],
            found.scored[second][task],
            (held[0], held[1]) if held[0] and held[1] else None,
            found.families[task],
            cost_ratio=ratio,
            threshold=threshold.get("value"),
            person_cost=how.person_cost,
        )
    return {task: pair for task, pair in pairs.items() if pair is not None}
