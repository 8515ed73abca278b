from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.evaluate.predictions import predict
from stillhouse.lm.prompts import Encoder
from stillhouse.storage.tables import read_table
from stillhouse.tasks.prompting import Prompter
from stillhouse.tasks.results import Scored

ZERO_SHOT = TeacherPrompt(shots=0, max_tokens=256)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pairs that models were asked."""
    keys: list[str] = []
    original, asked_in_words = Encoder.prompts, Prompter.prompts

    def prompts(self: Encoder, rows: Any) -> Any:
        keys.extend(row["pair_id"] for row in rows)
        return original(self, rows)

    def in_words(self: Prompter, rows: Any) -> Any:
        keys.extend(row["pair_id"] for row in rows)
        return asked_in_words(self, rows)

    monkeypatch.setattr(Encoder, "prompts", prompts)
    monkeypatch.setattr(Prompter, "prompts", in_words)
    return keys


Ask = Callable[..., dict[str, Scored]]


@pytest.fixture
def ask(tiny_teacher: Path, routing: Task, tmp_path: Path) -> Ask:
    def call(dataset: Path, tasks: list[Task] | None = None, **changes: Any) -> dict[str, Scored]:
        settings = {"model_digest": "one", "max_tokens": 64, **changes}
        store = tmp_path / "predictions" / "teacher.parquet"
        found = predict(tiny_teacher, dataset, tasks or [routing], "test", store, **settings)
        return {task: x.kind.score(x.gold, x.predictions) for task, x in found.items()}

    return call


def test_each_pair_is_asked_once(
    ask: Ask,
    asked: list[str],
    routing_pairs: list[dict[str, Any]],
    routing_dataset: Path,
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    first = ask(routing_dataset)["routing"]
    assert first.n == len(asked) == 5
    assert all(key.startswith("test-") for key in asked)
    asked.clear()
    again = ask(routing_dataset)["routing"]
    assert asked == []
    assert again.metrics == first.metrics
    np.testing.assert_array_equal(again.right, first.right)

    new = routing_pairs[-1] | {"pair_id": "test-new", "input": "Something else."}
    changed = write_dataset(tmp_path / "d", [*routing_pairs[1:-1], new])
    assert ask(changed)["routing"].n == 5
    assert asked == ["test-new"]
    stored = read_table(tmp_path / "predictions" / "teacher.parquet")
    kept = {row["pair_id"] for row in routing_pairs[1:-1] if row["split"] == "test"}
    assert set(stored["pair_id"].to_pylist()) == kept | {"test-new"}


@pytest.mark.parametrize(
    "change", [{"model_digest": "two"}, {"max_tokens": 65}, {"prompt": ZERO_SHOT}]
)
def test_what_another_model_said_does_not_count(
    ask: Ask, asked: list[str], routing_dataset: Path, change: dict[str, Any]
) -> None:
    ask(routing_dataset)
    ask(routing_dataset, **change)
    assert len(asked) == 10


def test_answers_of_other_tasks_stay(
    ask: Ask,
    asked: list[str],
    routing: Task,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    other = routing.model_copy(update={"name": "other"})
    rows = [r | {"task": "other"} for r in routing_pairs]
    dataset = write_dataset(tmp_path / "d", [*routing_pairs, *rows])
    ask(dataset)
    ask(dataset, [other], prompt=ZERO_SHOT)
    asked.clear()
    ask(dataset)
    ask(dataset, [other], prompt=ZERO_SHOT)
    assert asked == []


def test_gold_answers_are_not_seen_by_the_model(
    ask: Ask,
    routing_pairs: list[dict[str, Any]],
    routing_dataset: Path,
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    other = {"billing": "hardware", "hardware": "billing"}
    lied = [
        r | {"label": other[r["label"]], "response": "something that is no token at all"}
        if r["split"] == "test"
        else r
        for r in routing_pairs
    ]
    told = ask(write_dataset(tmp_path / "d", lied), model_digest="two")["routing"]
    true = ask(routing_dataset)["routing"]
    np.testing.assert_array_equal(told.right, ~true.right)


def test_a_split_without_pairs_is_told(
    ask: Ask,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    dataset = write_dataset(tmp_path / "d", [r for r in routing_pairs if r["split"] != "test"])
    with pytest.raises(UserError, match="no pair in its test split"):
        ask(dataset)
