"""A teacher left as it came, on the tiny random model."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stillhouse.config.dataset import ClassificationTask
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.facts import AdaptedTeacherFacts
from stillhouse.lm.prompts import Encoder
from stillhouse.models.importing import describe
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.tasks.common import rows_of
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.models import InWords, answers_in_words
from stillhouse.tasks.prompting import Prompter
from stillhouse.teacher.unadapted import leave_as_it_came

Pairs = list[dict[str, Any]]
Leave = Callable[..., tuple[Path, AdaptedTeacherFacts]]


@pytest.fixture
def leave(
    tiny_base: Path, routing: ClassificationTask, routing_dataset: Path, tmp_path: Path
) -> Leave:
    """Leaves the teacher in a folder of its own each time; `classes` are described."""
    count = iter(range(100))

    def call(
        dataset: Path = routing_dataset, *, classes: dict[str, str] | None = None, **settings: Any
    ) -> tuple[Path, AdaptedTeacherFacts]:
        folder = tmp_path / f"teacher-{next(count)}"
        folder.mkdir()
        task = routing.model_copy(update={"classes": classes or {}})
        prompt = TeacherPrompt.model_validate({"shots": 2, **settings})
        facts = leave_as_it_came(tiny_base, folder, dataset, open_tasks(dataset, [task]), prompt)
        return folder, facts

    return call


def test_it_has_the_weights_it_came_with_and_says_how_it_is_asked(
    leave: Leave, tiny_base: Path
) -> None:
    folder, facts = leave(choose="nearest")
    before, after = (load_file(f / "model.safetensors") for f in (tiny_base, folder))
    for name, weight in before.items():
        assert (after[name][: len(weight)] == weight).all()
    how = answers_in_words(folder)
    assert isinstance(how, InWords)
    assert how.prompt == TeacherPrompt(shots=2, choose="nearest")
    assert how.vocabulary == len(load_tokenizer(tiny_base)) == len(load_tokenizer(folder)) - 2
    assert (facts.method, facts.best_epoch, facts.history) == ("none", 0, [])
    assert facts.bytes == describe(folder).bytes


def test_its_score_is_that_of_its_answers_on_validation_with_and_without_shots(
    leave: Leave, tiny_base: Path, routing: ClassificationTask, routing_dataset: Path
) -> None:
    _, facts = leave(choose="nearest")
    (kind,) = open_tasks(routing_dataset, [routing])
    encoder = Encoder(load_tokenizer(tiny_base), 64)
    model = load_model(tiny_base, torch.device("cpu"), torch.float32)
    rows = [r for batch in rows_of(routing_dataset, "routing", "validation") for r in batch]
    expected = {}
    for name, shots in (("", 2), ("zero_shot_", 0)):
        prompt = TeacherPrompt(shots=shots, choose="nearest")
        asked = Prompter(encoder, prompt, kind, routing_dataset).prompts(rows)
        scored = kind.score([r["label"] for r in rows], kind.predict_untrained(model, asked, []))
        expected |= {f"{name}{figure}": value for figure, value in scored.figures.items()}
        if shots:
            assert facts.score == scored.score
            assert facts.prompt_tokens == sum(e.response_start for e in asked.examples) / len(rows)
    assert facts.scores == pytest.approx(expected)
    assert facts.chance == 0.6
    assert facts.shots == 2.0


def test_without_shots_it_is_asked_once(leave: Leave) -> None:
    _, facts = leave(shots=0)
    assert facts.shots == 0.0
    assert not any(name.startswith("zero_shot") for name in facts.scores)


def test_its_digest_is_that_of_what_decides_its_answers(
    leave: Leave, routing_pairs: Pairs, write_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    base = leave()[1].digest
    assert leave()[1].digest == base
    new = routing_pairs[0] | {"pair_id": "new", "group_id": "new", "input": "A new invoice."}
    held = write_dataset(tmp_path / "a", [*routing_pairs, new | {"split": "test"}])
    shown = write_dataset(tmp_path / "b", [*routing_pairs, new | {"split": "train"}])
    assert leave(held)[1].digest == base
    others = [
        leave(shown),
        leave(shots=1),
        leave(choose="random"),
        leave(calibrate=True),
        leave(classes={"billing": "invoices"}),
    ]
    assert len({base, *(facts.digest for _, facts in others)}) == 6


def test_classes_without_a_description_are_counted_and_named_once(
    leave: Leave, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        _, facts = leave(classes={"billing": "invoices"})
    assert facts.undescribed == 1
    (line,) = [r.getMessage() for r in caplog.records if "description" in r.getMessage()]
    assert "1 without a description" in line
    assert line.endswith("hardware")
    caplog.clear()
    _, facts = leave(classes={"billing": "invoices", "hardware": "screens"})
    assert facts.undescribed == 0
    assert "description" not in caplog.text


def test_what_is_wrong_with_its_prompt_is_told_before_the_model_is_read(
    leave: Leave, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillhouse.teacher import unadapted

    monkeypatch.setattr(unadapted, "open_model", lambda *_: pytest.fail("the model is read"))
    with pytest.raises(UserError, match="no chat template"):
        leave(form="chat")
    with pytest.raises(UserError, match=r"prompt\.max_tokens is 64"):
        leave(max_tokens=64)
