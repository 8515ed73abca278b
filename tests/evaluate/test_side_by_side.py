"""Models and a baseline on the same held-out pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import Task
from stillhouse.evaluate.side_by_side import Candidate, SideBySide, side_by_side


@pytest.fixture
def compare(tiny_teacher: Path, routing: Task, tmp_path: Path) -> Callable[..., SideBySide]:
    def call(dataset: Path, tasks: list[Task] | None = None) -> SideBySide:
        candidates = [
            Candidate(
                name,
                tiny_teacher,
                digest="one",
                parameters=10,
                bytes=20,
                max_tokens=64,
                store=tmp_path / f"{name}.parquet",
                display=display,
            )
            for name, display in (("teacher", "Teacher, 4 shots"), ("student", None))
        ]
        return side_by_side(dataset, tasks or [routing], candidates)

    return call


def test_the_baseline_comes_first_and_has_learned_from_the_training_split(
    compare: Callable[..., SideBySide], routing_dataset: Path
) -> None:
    found = compare(routing_dataset)
    assert list(found.scored) == ["baseline", "teacher", "student"]
    assert found.baselines == {"routing": "TF-IDF with logistic regression"}
    baseline = found.scored["baseline"]["routing"]
    assert (baseline.n, baseline.score) == (5, 1.0)  # the test texts are those of training
    assert {s["routing"].n for s in found.scored.values()} == {5}


def test_what_a_teacher_answered_teaches_no_baseline(
    compare: Callable[..., SideBySide],
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Else it would be the teacher's student as well; what is left is one class."""
    pairs = [
        r | {"origin": "teacher"} if r["split"] == "train" and r["label"] == "hardware" else r
        for r in routing_pairs
    ]
    found = compare(write_dataset(tmp_path / "d", pairs)).scored["baseline"]["routing"]
    said = found.detail.predicted
    assert {found.detail.labels[i] for i in said} == {"billing"}


def test_without_gold_to_learn_from_there_is_no_baseline(
    compare: Callable[..., SideBySide],
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    pairs = [r | {"origin": "teacher"} if r["split"] == "train" else r for r in routing_pairs]
    found = compare(write_dataset(tmp_path / "d", pairs))
    assert list(found.scored) == ["teacher", "student"]
    assert found.baselines == {}


def test_families_come_in_the_order_of_the_answers(
    compare: Callable[..., SideBySide],
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    found = compare(write_dataset(tmp_path / "d", routing_pairs[::-1]))
    test = sorted((r for r in routing_pairs if r["split"] == "test"), key=lambda r: r["pair_id"])
    assert found.families == {"routing": [r["group_id"] for r in test]}
    gold = found.scored["teacher"]["routing"].detail
    assert [gold.labels[i] for i in gold.gold] == [r["label"] for r in test]


def test_sections_call_models_as_they_are_to_be_called(
    compare: Callable[..., SideBySide], routing_dataset: Path
) -> None:
    found = compare(routing_dataset)
    assert found.scored["teacher"]["routing"].display == "Teacher, 4 shots"
    (samples,) = [s for s in found.sections["routing"] if s.title == "Sample predictions"]
    answers = samples.samples[0].samples[0].answers
    assert [answer.model for answer in answers] == ["Teacher, 4 shots", "Student"]
