"""Answers of models to traffic, against those to held-out pairs; two random models will do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.dataset import Task
from stillhouse.config.monitor import Drift
from stillhouse.evaluate.side_by_side import Candidate
from stillhouse.monitor.answers import answer_tests, compare_answers
from stillhouse.tasks.running import Runner
from tests.monitor.test_drift import SETTINGS, pair, reported, row, sentence

SETTINGS = SETTINGS.model_copy(update={"teacher_requests": 3})


def candidate(name: str, folder: Path, store: Path) -> Candidate:
    return Candidate(name, folder, "digest", 1, 1, 64, store / f"{name}.parquet")


def test_models_are_asked_once_and_agree_with_themselves(
    tiny_teacher: Path, routing: Task, routing_dataset: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    asked: list[int] = []
    predict = Runner.predict

    def counting(self: Runner, kind: Any, rows: Any) -> Any:
        asked.append(len(rows))
        return predict(self, kind, rows)

    monkeypatch.setattr(Runner, "predict", counting)
    models = [candidate(name, tiny_teacher, tmp_path) for name in ("student", "teacher")]
    requests = {"routing": ["Where is my bill?", "The screen is dark.", "Help!", "Hello?"]}

    def compare(settings: Drift = SETTINGS) -> Any:
        return compare_answers(routing_dataset, [routing], *models, requests, settings)["routing"]

    found = compare()
    # Five held-out pairs and the requests; the teacher answers as many of them as it may.
    assert asked == [5, 4, 5, 3]
    assert {test.name for test in found.tests} == {"confidence", "answers", "disagreement"}
    assert found.disagreed == [0.0, 0.0, 0.0] and len(found.given) == 4
    assert sum(share for _, share in found.mix.values()) == pytest.approx(1)
    asked.clear()
    assert "disagreement" not in {t.name for t in compare(replace_of(0)).tests}
    assert asked == [4]  # what held-out pairs are answered with is kept, with the reports'


def replace_of(teacher_requests: int) -> Drift:
    return SETTINGS.model_copy(update={"teacher_requests": teacher_requests})


def test_a_model_that_lacks_the_task_is_told_and_the_texts_are_compared_all_the_same(
    tiny_base: Path, routing: Task, tmp_path: Path, write_dataset: Callable[..., Path]
) -> None:
    import random

    from stillhouse.monitor.drift import report_drift

    pairs = [pair(n, sentence(random.Random(n))) for n in range(100)]
    pairs += [pair(n, sentence(random.Random(n)), split="test") for n in range(100, 110)]
    dataset = write_dataset(tmp_path / "pairs.parquet", pairs)
    traffic = [row(n, sentence(random.Random(900 + n))) for n in range(40)]
    reported(tmp_path, dataset, routing, traffic)
    models = [candidate(name, tiny_base, tmp_path) for name in ("student", "teacher")]
    facts = report_drift(
        tmp_path / "traffic.parquet",
        dataset,
        [routing],
        "router",
        tuple(models),
        SETTINGS,
        tmp_path,
    )
    assert facts.not_compared["routing"] and facts.tests
    assert "confidence" not in {test.name for test in facts.tests}


def test_answers_that_change_are_found() -> None:
    of = np.random.default_rng(0)
    sure, unsure = of.beta(9, 1, 200), of.beta(4, 2, 200)
    said = (["a"] * 150 + ["b"] * 50, ["a"] * 60 + ["b"] * 140)
    apart = (of.random(200) < 0.05, of.random(200) < 0.4)
    tests, mix = answer_tests((sure, unsure), said, apart, seed=0)
    assert all(test.p < 0.01 for test in tests)
    assert mix == {"a": [0.75, 0.3], "b": [0.25, 0.7]}
    same, _ = answer_tests((sure, sure), (said[0], said[0]), (apart[0], apart[0]), seed=0)
    assert all(test.p > 0.3 and test.effect < 0.01 for test in same)
