"""What student and teacher answer to traffic, against what they answer to held-out pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import Task
from stillhouse.config.monitor import Drift
from stillhouse.evaluate.predictions import predict
from stillhouse.evaluate.side_by_side import Candidate
from stillhouse.monitor.chance import (
    higher_mean,
    kolmogorov_smirnov,
    other_mix,
    psi_of_counts,
)
from stillhouse.monitor.compared import Test
from stillhouse.tasks.common import Answered, Kind, Predictions, Row, texts_of
from stillhouse.tasks.kinds import kind_of, open_tasks
from stillhouse.tasks.running import Runner

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

# Pairs that no model has learned from, which the report of the student has answered already.
SPLIT = "test"


@dataclass(frozen=True)
class AnswerDrift:
    """The tests of one task's answers; `mix` has by answer its share of held-out pairs and of
    traffic. `given` are the student's answers to the requests, with confidences, `disagreed` says
    of the first of them whether the teacher answers otherwise (0..1). `confidences` are those of
    held-out pairs and of traffic."""

    tests: list[Test]
    mix: dict[str, list[float]]
    given: list[Answered]
    disagreed: list[float]
    confidences: tuple[list[float], list[float]]


@dataclass(frozen=True)
class _Said:
    """A model's answers to held-out pairs and to requests of a task."""

    kind: Kind
    held_inputs: list[str]
    held: Predictions
    inputs: list[str]
    new: Predictions


def compare_answers(
    dataset: Path,
    tasks: Sequence[Task],
    student: Candidate,
    teacher: Candidate,
    asked: Mapping[str, Sequence[str]],
    settings: Drift,
) -> dict[str, AnswerDrift]:
    """By task the tests of the answers to `asked`, masked texts; one model runs after the other.

    Where answers are written out, the student too answers only as many as the teacher is asked.
    Raises `UserError` as `predict` does.
    """
    teachers = settings.teacher_requests
    limited = {
        task.name: list(asked[task.name][: None if kind_of(task).countable else max(1, teachers)])
        for task in tasks
    }
    of_student = _asked(dataset, tasks, student, limited)
    few = {name: inputs[:teachers] for name, inputs in limited.items()}
    of_teacher = _asked(dataset, tasks, teacher, few) if teachers else {}
    return {
        task.name: _compare(of_student[task.name], of_teacher.get(task.name), settings.seed)
        for task in tasks
    }


def _asked(
    dataset: Path, tasks: Sequence[Task], model: Candidate, asked: Mapping[str, list[str]]
) -> dict[str, _Said]:
    runner = Runner(model.folder, dataset, model.max_tokens, model.prompt, model.access)
    store = model.store.with_stem(f"{model.store.stem}.{SPLIT}")
    held = predict(runner, tasks, SPLIT, store, model_digest=model.digest)
    found = {}
    for kind in open_tasks(dataset, tasks):
        task, inputs = kind.task, asked[kind.task.name]
        rows: list[Row] = [
            {
                "pair_id": f"request {number}",
                "instruction": task.instruction,
                "input": text,
                "response": "",
                "label": None,
            }
            for number, text in enumerate(inputs)
        ]
        answers = held[task.name]
        new = runner.predict(kind, rows)
        found[task.name] = _Said(
            answers.kind, texts_of(dataset, task.name, SPLIT), answers.predictions, inputs, new
        )
    return found


def _compare(student: _Said, teacher: _Said | None, seed: int) -> AnswerDrift:
    held = student.kind.answers(student.held_inputs, student.held)
    given = student.kind.answers(student.inputs, student.new)
    sure = [a.confidence for a in held], [a.confidence for a in given]
    said = None
    if student.kind.countable:
        said = (
            [str(a.label or a.response) for a in held],
            [str(a.label or a.response) for a in given],
        )
    apart = None
    if teacher is not None and teacher.inputs:
        few = len(teacher.inputs)
        apart = (
            _disagreement(student, teacher, student.held_inputs, student.held, teacher.held),
            _disagreement(student, teacher, teacher.inputs, student.new[:few], teacher.new),
        )
    tests, mix = answer_tests(sure, said, apart, seed=seed)
    return AnswerDrift(tests, mix, given, [*map(float, apart[1])] if apart else [], sure)


def answer_tests(
    sure: tuple[Sequence[float], Sequence[float]],
    said: tuple[Sequence[str], Sequence[str]] | None,
    apart: tuple[ArrayLike, ArrayLike] | None,
    *,
    seed: int,
) -> tuple[list[Test], dict[str, list[float]]]:
    """The tests of confidences, of answers where they are few, and of disagreements with the
    teacher where it was asked, of held-out pairs and of traffic; and the shares of each answer."""
    import numpy as np

    drop = max(0.0, float(np.mean(sure[0]) - np.mean(sure[1])))
    tests = [Test("confidence", "confidence", drop, kolmogorov_smirnov(*sure))]
    mix: dict[str, list[float]] = {}
    if said is not None:
        counted = [Counter(side) for side in said]
        names = sorted({*counted[0], *counted[1]})
        old, new = ([side[name] for name in names] for side in counted)
        tests.append(
            Test("answers", "psi", psi_of_counts(old, new), other_mix(old, new, seed=seed))
        )
        mix = {n: [round(x[n] / max(1, x.total()), 4) for x in counted] for n in names}
    if apart is not None:
        before, now = (np.asarray(side, float) for side in apart)
        rise = max(0.0, float(now.mean() - before.mean()))
        p = higher_mean(before, now, seed=seed)
        tests.append(Test("disagreement", "disagreement", rise, p))
    return tests, mix


def _disagreement(
    student: _Said, teacher: _Said, inputs: list[str], own: Predictions, others: Predictions
) -> NDArray[Any]:
    """0..1 for each input: how wrong the student is, if the teacher is right."""
    import numpy as np

    said = teacher.kind.answers(inputs, others)
    gold = [a.response if a.label is None else a.label for a in said]
    scored = student.kind.score(gold, own)
    agreed = scored.right if scored.values is None else scored.values
    found: NDArray[Any] = 1.0 - np.asarray(agreed, float)
    return found
