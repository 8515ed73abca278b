from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.evaluate.predictions import predict, texts_per_second
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.storage.tables import read_table
from stillhouse.tasks.common import Kind, rows_of
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.prompting import Prompter
from stillhouse.tasks.results import Scored
from stillhouse.tasks.running import Runner
from stillhouse.teacher.unadapted import leave_as_it_came

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
        settings = {"model_digest": "one", "max_tokens": 64, "prompt": None, **changes}
        runner = Runner(tiny_teacher, dataset, settings["max_tokens"], settings["prompt"])
        store = tmp_path / "predictions" / "teacher.parquet"
        found = predict(
            runner, tasks or [routing], "test", store, model_digest=settings["model_digest"]
        )
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


@pytest.fixture
def second(routing: Task) -> Task:
    """Another task over the same texts, which the model has to be asked in words."""
    return routing.model_copy(update={"name": "second"})


@pytest.fixture
def of_two(
    routing_pairs: list[dict[str, Any]], write_dataset: Callable[..., Path], tmp_path: Path
) -> Path:
    """A dataset of `routing` and `second`."""
    rows = [r | {"task": "second"} for r in routing_pairs]
    return write_dataset(tmp_path / "of_two", [*routing_pairs, *rows])


def test_answers_of_other_tasks_stay(
    ask: Ask, asked: list[str], second: Task, of_two: Path
) -> None:
    ask(of_two)
    ask(of_two, [second], prompt=ZERO_SHOT)
    asked.clear()
    ask(of_two)
    ask(of_two, [second], prompt=ZERO_SHOT)
    assert asked == []


def test_a_killed_run_keeps_the_tasks_that_it_had_finished(
    ask: Ask,
    asked: list[str],
    routing: Task,
    second: Task,
    of_two: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Runner.predict

    def killed(self: Runner, kind: Kind, rows: Any) -> Any:
        if kind.task.name == second.name:
            raise KeyboardInterrupt
        return original(self, kind, rows)

    with monkeypatch.context() as patch:
        patch.setattr(Runner, "predict", killed)
        with pytest.raises(KeyboardInterrupt):
            ask(of_two, [routing, second], prompt=ZERO_SHOT)
    assert len(asked) == 5
    ask(of_two, [routing, second], prompt=ZERO_SHOT)
    assert len(asked) == 10


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


@pytest.fixture
def unadapted(tiny_base: Path, routing: Task, routing_dataset: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "unadapted"
    folder.mkdir()
    prompt = TeacherPrompt(shots=2, choose="nearest", max_tokens=256)
    leave_as_it_came(
        tiny_base, folder, routing_dataset, open_tasks(routing_dataset, [routing]), prompt
    )
    return folder


def test_a_teacher_that_was_not_adapted_is_asked_as_it_says_itself(
    unadapted: Path, tiny_base: Path, routing: Task, routing_dataset: Path, tmp_path: Path
) -> None:
    runner = Runner(unadapted, routing_dataset, 64)
    found = predict(runner, [routing], "test", tmp_path / "p", model_digest="one")["routing"]
    (kind,) = open_tasks(routing_dataset, [routing])
    encoder = Encoder(load_tokenizer(tiny_base), 64)
    model = load_model(tiny_base, torch.device("cpu"), torch.float32)
    rows = [r for batch in rows_of(routing_dataset, "routing", "test") for r in batch]
    for shots, alike in ((2, True), (0, False)):
        prompt = TeacherPrompt(shots=shots, choose="nearest", max_tokens=256)
        asked = Prompter(encoder, prompt, kind, routing_dataset).prompts(rows)
        expected = kind.predict_untrained(model, asked, [])
        assert np.allclose(found.predictions, expected, atol=1e-5) == alike


def test_other_shots_are_another_question(
    unadapted: Path,
    asked: list[str],
    routing: Task,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    routing_dataset: Path,
    tmp_path: Path,
) -> None:
    new = routing_pairs[0] | {"pair_id": "train-new", "group_id": "new", "input": "Refund it."}
    more = write_dataset(tmp_path / "d", [*routing_pairs, new])
    for prompt, expected in ((None, 10), (ZERO_SHOT, 5)):
        model, store = (tmp_path / "base", "zero") if prompt else (unadapted, "few")
        if prompt:
            shutil.copytree(unadapted, model)
            (model / "answering.json").unlink()
        asked.clear()
        for dataset in (routing_dataset, more, more):
            runner = Runner(model, dataset, 64, prompt)
            predict(runner, [routing], "test", tmp_path / store, model_digest="one")
        assert len(asked) == expected


def test_how_fast_it_answered_is_kept_and_a_few_texts_later_change_nothing(
    ask: Ask,
    routing_pairs: list[dict[str, Any]],
    routing_dataset: Path,
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    store = tmp_path / "predictions" / "teacher.parquet"
    assert texts_per_second(store, ["routing"]) is None
    ask(routing_dataset)
    speed = texts_per_second(store, ["routing"])
    assert speed is not None and 0 < speed < 1e6
    assert texts_per_second(store, ["routing", "other"]) is None
    ask(routing_dataset)  # nothing is asked
    new = routing_pairs[-1] | {"pair_id": "test-new", "input": "Something else."}
    ask(write_dataset(tmp_path / "d", [*routing_pairs, new]))  # one is
    assert texts_per_second(store, ["routing"]) == speed
    ask(routing_dataset, model_digest="other")
    assert texts_per_second(store, ["routing"]) != speed
