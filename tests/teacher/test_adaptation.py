"""Adaptation on the tiny random model: what its bytes depend on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import Adaptation, TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.facts import AdaptedTeacherFacts
from stillhouse.models.importing import describe
from stillhouse.tasks.models import answers_in_words
from stillhouse.teacher.adaptation import adapt_teacher

Pairs = list[dict[str, Any]]
Adapt = Callable[..., tuple[Path, AdaptedTeacherFacts]]


@pytest.fixture
def adapt(tiny_base: Path, routing: Task, routing_dataset: Path, tmp_path: Path) -> Adapt:
    """Adapts in a folder of its own each time, with a fresh cache."""
    count = iter(range(100))

    def call(
        dataset: Path = routing_dataset, *, prompt: TeacherPrompt | None = None, **settings: Any
    ) -> tuple[Path, AdaptedTeacherFacts]:
        folder = tmp_path / f"run-{next(count)}"
        (folder / "adapted").mkdir(parents=True)
        facts = adapt_teacher(
            tiny_base,
            folder / "adapted",
            dataset,
            [routing],
            Adaptation.model_validate(
                {"layers": 2, "epochs": 2, "batch_size": 2, "max_tokens": 64, **settings}
            ),
            scratch=folder / "scratch",
            cache=folder / "trunk",
            fingerprint="teacher",
            prompt=prompt,
        )
        return folder / "adapted", facts

    return call


def content(folder: Path) -> dict[str, str]:
    return {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir() if f.is_file()
    }


def test_the_same_data_and_seed_give_the_same_bytes(
    adapt: Adapt, routing_pairs: Pairs, write_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    folder, facts = adapt()
    torch.rand(7)  # whatever else the process drew
    turned, again = adapt(write_dataset(tmp_path / "turned", routing_pairs[::-1]))
    assert content(folder) == content(turned)
    assert facts.digest == again.digest == describe(folder).fingerprint
    assert content(adapt(seed=8)[0]) != content(folder)


def test_a_test_document_changes_nothing(
    adapt: Adapt, routing_pairs: Pairs, write_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    new = [
        routing_pairs[-1] | {"pair_id": f"test-new-{label}", "input": "New.", "label": label}
        for label in ("billing", "never_seen")
    ]
    assert (
        adapt()[1].digest == adapt(write_dataset(tmp_path / "d", [*routing_pairs, *new]))[1].digest
    )


def test_the_teacher_learns_and_says_how_well(adapt: Adapt, tiny_base: Path) -> None:
    folder, facts = adapt(epochs=8, patience=8, batch_size=1)
    assert facts.score == facts.scores["accuracy"] == 1.0
    assert facts.chance == 0.6
    assert len(facts.history) == 8
    assert facts.history[facts.best_epoch - 1]["validation_accuracy"] == 1.0
    assert answers_in_words(folder) is None
    assert "answer_rows" not in " ".join(load_file(folder / "model.safetensors"))
    assert facts.parameters == describe(tiny_base).parameters + 2 * 32


def test_a_prompt_without_room_is_told_before_time_is_spent(
    adapt: Adapt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of a teacher that is adapted: a report asks its weights as they came."""
    from stillhouse.models import loading
    from stillhouse.teacher import adaptation

    for room in (adaptation, loading):
        monkeypatch.setattr(room, "load_model", lambda *_: pytest.fail("a model is read"))
    for method in ("lora", "none"):
        with pytest.raises(UserError, match=r"prompt\.max_tokens is 64"):
            adapt(method=method, prompt=TeacherPrompt(max_tokens=64))


def test_an_empty_split_is_told_before_time_is_spent(
    adapt: Adapt, routing_pairs: Pairs, write_dataset: Callable[..., Path], tmp_path: Path
) -> None:
    rows = [r for r in routing_pairs if r["split"] != "validation"]
    with pytest.raises(UserError, match="no pair in its validation split"):
        adapt(write_dataset(tmp_path / "d", rows))
    assert not list((tmp_path / "run-0" / "adapted").iterdir())


@pytest.mark.parametrize("layers", [1, 3, 8])
def test_only_the_layers_asked_for_change_cached_or_not(
    adapt: Adapt, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, layers: int
) -> None:
    """Also where all are asked for, and where the lower ones' hidden states fill the cache."""
    from stillhouse.teacher import adaptation

    before = load_file(tiny_base / "model.safetensors")
    for fits in (True, False):
        monkeypatch.setattr(adaptation, "fits_cache", lambda *_, fits=fits: fits)
        folder, _ = adapt(layers=layers)
        after = load_file(folder / "model.safetensors")
        changed = {
            int(name.split(".")[2])
            for name, weight in before.items()
            if ".layers." in name and not weight.equal(after[name])
        }
        assert changed == set(range(max(0, 3 - layers), 3)), (layers, fits)


@pytest.mark.parametrize("fits", [True, False])
def test_in_bfloat16_a_teacher_learns_as_in_float32(
    adapt: Adapt, tiny_base: Path, monkeypatch: pytest.MonkeyPatch, fits: bool
) -> None:
    """Its own weights are rounded, the trained ones kept in float32 until they are merged."""
    from stillhouse.models import precision
    from stillhouse.teacher import adaptation

    monkeypatch.setattr(adaptation, "fits_cache", lambda *_: fits)
    settings = {"epochs": 8, "patience": 8, "batch_size": 1}
    _, exact = adapt(**settings)
    kept: set[str] = set()
    monkeypatch.setattr(precision, "fast_dtype", lambda _: torch.bfloat16)
    original = adaptation._AnswerRows.stored
    monkeypatch.setattr(
        adaptation._AnswerRows,
        "stored",
        lambda rows: (kept.add(str(rows.rows.dtype)), original(rows))[1],
    )
    folder, rounded = adapt(**settings)
    assert kept == {"torch.bfloat16", "torch.float32"}  # in training, and when all is done
    assert rounded.score == exact.score == 1.0
    assert (exact.computed_in, rounded.computed_in) == ("float32", "bfloat16")
    for ours, theirs in zip(rounded.history, exact.history, strict=True):
        assert ours["ce"] == pytest.approx(theirs["ce"], rel=0.05, abs=0.02)
    stored = {w.dtype for w in load_file(folder / "model.safetensors").values()}
    assert stored == {w.dtype for w in load_file(tiny_base / "model.safetensors").values()}


def test_a_killed_adaptation_in_bfloat16_goes_on_to_the_same_teacher(
    tiny_base: Path,
    routing: Task,
    routing_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from stillhouse.models import precision
    from stillhouse.tasks import models

    monkeypatch.setattr(precision, "fast_dtype", lambda _: torch.bfloat16)
    settings = Adaptation.model_validate(
        {"layers": 2, "epochs": 3, "patience": 3, "batch_size": 2, "max_tokens": 64}
    )

    def run(name: str) -> str:
        (tmp_path / name / "adapted").mkdir(parents=True, exist_ok=True)
        return adapt_teacher(
            tiny_base, tmp_path / name / "adapted", routing_dataset, [routing], settings,
            scratch=tmp_path / name / "scratch", cache=tmp_path / name / "trunk",
            fingerprint="teacher",
        ).digest  # fmt: skip

    whole = run("whole")
    scored, calls = models.figures_of_epoch, []

    def dies(found: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return scored(found)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(models, "figures_of_epoch", dies)
        run("broken")
    assert run("broken") == whole
