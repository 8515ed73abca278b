"""A student beside its release that is in production: both are models that are really asked."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stillhouse.assets import production
from stillhouse.assets.common import Work
from stillhouse.config.base import settings_of
from stillhouse.config.dataset import ExtractionTask, SummarizationTask
from stillhouse.evaluate.predictions import predict
from stillhouse.release.promote import Asked, release, rollback
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.tables import read_table
from stillhouse.tasks.running import Runner
from tests.release.conftest import (
    answering,
    change,
    finished,
    opposite,
    state,
    with_pairs,
)

__all__ = ["finished", "state"]
WHY = Asked("it is good")
NOTHING = {"same": False, "tasks": {}, "not_compared": {}}
Pairs = list[dict[str, Any]]


@pytest.fixture
def models(state: State, tiny_teacher: Path, routing_dataset: Path) -> State:
    """Students of two teachers that can be asked; the newer one answers everything otherwise."""
    answering(state, tiny_teacher)
    opposite(state.layout.student("router", "t-2") / "quantized")
    return with_pairs(state, routing_dataset)


@pytest.fixture
def compared(models: State, tmp_path: Path) -> Callable[..., Any]:
    """What the report of the newer student says of the release, and where either does better."""

    def run(of: State | None = None) -> Any:
        state = of or models
        report = Artefact(STEPS["evaluation_report"], "t-2", "router")
        work = Work(state, report, state.folder(report), state.recipe(report))
        task = state.project.task("routing")
        runner = Runner(state.layout.student("router", "t-2") / "quantized", work.dataset, 64)
        own = predict(runner, [task], "test", tmp_path / "own.parquet", model_digest="own")
        ours = own["routing"].scored()
        scored = {"student_quantized": {"routing": ours}}
        families = {"routing": [f"f{number}" for number in range(ours.n)]}
        found: Any = SimpleNamespace(scored=scored, families=families)
        return production.against_production(work, [task], found)

    return run


def released(state: State, version: str = "t-1") -> str:
    return release(state, "router", WHY, version=version).release


def test_without_a_release_nothing_is_asked(compared: Any) -> None:
    assert compared() == (NOTHING | {"release": None}, {})


def test_the_released_model_answers_the_same_pairs(
    models: State, compared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = released(models)
    said, samples = compared()
    of = said["tasks"]["routing"]
    assert (said["release"], said["teacher_version"], said["same"]) == (name, "t-1", False)
    assert (of["first"], of["second"], of["n"]) == ("student_quantized", "production", 5)
    # Of two classes one of the two models is right: never both, never neither.
    assert of["only_first"] + of["only_second"] == 5
    assert of["difference"] == pytest.approx(2 * of["score"] - 1)
    assert of["low"] <= of["difference"] <= of["high"] and of["p_holm"] == of["p_value"]
    won = {group.title: group.total for group in samples["routing"]}
    both = {
        "Quantized student does better": of["only_first"],
        "Release in production does better": of["only_second"],
    }
    assert won == {title: n for title, n in both.items() if n}
    first = samples["routing"][0].samples[0]
    assert first.gold in ("billing", "hardware") and first.text.endswith((".", "?", "!"))
    assert {answer.given for answer in first.answers} == {"billing", "hardware"}
    # What it answered is kept: another report asks nothing again.
    monkeypatch.setattr(Runner, "model", property(lambda _: pytest.fail("asked again")))
    store = models.layout.student_predictions("router", "t-2") / "production.test.parquet"
    assert read_table(store).num_rows == 5
    assert compared()[0]["tasks"] == said["tasks"]


def test_the_release_is_the_student(models: State, compared: Any) -> None:
    name = released(models, "t-2")
    assert compared() == (NOTHING | {"release": name, "same": True}, {})


def test_a_channel_that_is_rolled_back_is_asked_for_what_it_leads_to(
    models: State, compared: Any
) -> None:
    first = released(models)
    second = released(models, "t-2")
    assert compared()[0]["same"]
    rollback(models.layout, "router", WHY)
    said, _ = compared()
    assert said["release"] == first != second
    assert said["tasks"]["routing"]["n"] == 5


def test_a_damaged_release_breaks_no_report(models: State, compared: Any) -> None:
    name = released(models)
    folder = models.layout.release("router", name)
    (folder / "quantized" / "model.safetensors").write_text("others")
    assert compared()[0] == NOTHING | {
        "release": name,
        "not_compared": {"routing": "the release is damaged"},
    }
    shutil.rmtree(folder)
    assert compared()[0]["not_compared"] == {"routing": "the files of the release are gone"}


def test_weights_that_no_library_of_now_opens_break_no_report(models: State, compared: Any) -> None:
    config = models.layout.student("router", "t-1") / "quantized" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"model_type": "of-the-past"}))
    released(models)
    said = {"routing": "the released student can't answer it"}
    assert compared()[0]["not_compared"] == said


def test_a_class_that_the_release_never_learned_is_wrong_of_it(
    models: State, compared: Any, routing_pairs: Pairs, write_dataset: Any, tmp_path: Path
) -> None:
    """And it is asked for the classes that it knows, as a server asks it."""
    released(models)
    change(models, "dataset_splits")
    newer = [
        {**row, "label": "other", "response": "<|routing:other|>"}
        if row["label"] == "billing"
        else row
        for row in routing_pairs
    ]
    add_class(models.layout.student("router", "t-2") / "quantized", "<|routing:other|>")
    state = with_pairs(models, write_dataset(tmp_path / "newer.parquet", newer))
    of = compared(state)[0]["tasks"]["routing"]
    assert of["never_learned"] == 2
    assert round((of["score"] - of["difference"]) * 5) <= 3


def test_a_release_of_other_classes_is_not_compared(
    models: State, compared: Any, routing_pairs: Pairs, write_dataset: Any, tmp_path: Path
) -> None:
    released(models)
    others = {"billing": "a", "hardware": "b"}
    newer = [
        {**row, "label": of, "response": f"<|routing:{of}|>"}
        for row in routing_pairs
        if (of := others[row["label"]])
    ]
    for name in others.values():
        add_class(models.layout.student("router", "t-2") / "quantized", f"<|routing:{name}|>")
    state = with_pairs(models, write_dataset(tmp_path / "newer.parquet", newer))
    said = {"routing": "the released student learned other classes"}
    assert compared(state)[0]["not_compared"] == said


def add_class(folder: Path, token: str) -> None:
    import torch

    from stillhouse.lm.tokens import add_tokens
    from stillhouse.models.loading import load_model, load_tokenizer

    model = load_model(folder, torch.device("cpu"), torch.float32)
    tokenizer = load_tokenizer(folder)
    add_tokens(model, tokenizer, {token: "other"})
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def test_a_task_that_was_another_is_not_compared(state: State) -> None:
    def refused(task: Any, manifest: Any) -> str:
        with pytest.raises(production._NotComparedError) as caught:
            production._as_released(task, manifest)
        return str(caught.value)

    routing = state.project.task("routing")
    assert "does not know it" in refused(routing, {"tasks": {}})
    known: dict[str, Any] = {"tasks": {"routing": routing.kind}}  # of an older release
    assert production._as_released(routing, known) == routing
    other = routing.model_copy(update={"instruction": "Another one."})
    known["task_settings"] = {"routing": settings_of(other)}
    assert refused(routing, known) == "it was another task then"
    gist = SummarizationTask(name="routing", kind="summarization", sources=["s"])
    settings = {"task_settings": {"routing": settings_of(gist)}}
    assert refused(routing, {"tasks": {"routing": gist.kind}} | settings) == (
        "it was another task then"
    )


def test_a_released_task_is_asked_by_its_settings_of_then() -> None:
    """Other fields make another task; how long an answer may be, and what a field means, don't."""

    def order(tokens: int = 8, **fields: Any) -> ExtractionTask:
        values: dict[str, Any] = {
            "name": "order",
            "kind": "extraction",
            "sources": ["s"],
            "instruction": "Which?",
        }
        values |= {"answers": "order", "max_answer_tokens": tokens, "fields": fields}
        return ExtractionTask.model_validate(values)

    then = order(number={"optional": True}, date={})
    manifest = {
        "tasks": {"order": "extraction"},
        "task_settings": {"order": settings_of(then)},
    }
    said = {"optional": True, "description": "the number of the order"}
    now = order(16, date={}, number=said)
    assert production._as_released(now, manifest) == then
    with pytest.raises(production._NotComparedError, match="another task"):
        production._as_released(order(number={}, day={}), manifest)


def test_answers_that_are_taken_over_are_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, store = tmp_path / "kept.parquet", tmp_path / "production.parquet"
    kept.write_bytes(b"answers")

    def killed(_: Path, target: Path) -> None:
        target.write_bytes(b"ans")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(shutil, "copyfile", killed)
        production._begin_with(kept, store)
    assert not store.exists()
    production._begin_with(kept, store)
    assert store.read_bytes() == b"answers"
