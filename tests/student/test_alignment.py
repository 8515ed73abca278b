"""Teacher's hidden states for a student: the right ones, computed once, and drawn to."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse.config.dataset import Task
from stillhouse.config.student import Distillation, Student, StudentInit
from stillhouse.config.teacher import SoftLabels
from stillhouse.facts import CheckpointFacts
from stillhouse.lm import hidden_cache
from stillhouse.lm.batches import collate, layered_hidden
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models import precision
from stillhouse.models.importing import describe
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.student import alignment, distil
from stillhouse.student.alignment import TeacherStates
from stillhouse.student.initialise import StudentInfo, cut_student
from stillhouse.student.vocabulary import PrunedVocabulary, prune_tokenizer
from stillhouse.tasks import models
from stillhouse.tasks.common import training_examples
from stillhouse.tasks.kinds import open_tasks
from stillhouse.teacher.labelling import label_pairs
from stillhouse.training import loop
from stillhouse.training.losses import hidden_distance

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def cut(
    tiny_teacher: Path,
    routing: Task,
    routing_dataset: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, StudentInfo, PrunedVocabulary, list[Example], list[Example]]:
    """A student of the teacher's layers 0 and 2, and the pairs in its and its teacher's tokens."""
    tokenizer = load_tokenizer(tiny_teacher)
    (kind,) = open_tasks(routing_dataset, [routing])
    theirs = training_examples(kind, routing_dataset, Encoder(tokenizer, 64)).examples
    vocabulary = prune_tokenizer(tokenizer, {i for e in theirs for i in e.ids})
    folder = tmp_path_factory.mktemp("cut") / "student"
    info = cut_student(tiny_teacher, layers=2, vocabulary=vocabulary, target=folder)
    ours = training_examples(kind, routing_dataset, Encoder(load_tokenizer(folder), 64)).examples
    return folder, info, vocabulary, ours, theirs


def states_of(cut: Any, teacher: Path, folder: Path) -> TeacherStates:
    _, info, vocabulary, ours, _ = cut
    return TeacherStates(
        teacher, info.kept_layers, ours, folder, "f",
        teacher_ids=vocabulary.student_to_teacher, pad_id=0,
    )  # fmt: skip


def plainly(teacher: Path, example: Example) -> torch.Tensor:
    """Outputs of layers 0 and 2, by the library's own means, before the last norm."""
    model = load_model(teacher, CPU, torch.float32)
    model.model.norm = torch.nn.Identity()
    with torch.no_grad():
        found = model(torch.tensor([example.ids[:-1]]), output_hidden_states=True).hidden_states
    return torch.cat([found[1], found[3]])


def test_they_are_those_of_the_layers_the_student_was_cut_from(
    cut: Any, tiny_teacher: Path, tmp_path: Path
) -> None:
    _, info, _, ours, theirs = cut
    assert info.kept_layers == (0, 2)
    assert [e.ids for e in ours] != [e.ids for e in theirs]
    found = states_of(cut, tiny_teacher, tmp_path / "states")(ours)
    for states, example in zip(found, theirs, strict=True):
        expected = plainly(tiny_teacher, example)
        assert states.dtype == torch.bfloat16 and states.shape == expected.shape
        torch.testing.assert_close(states.float(), expected, atol=0.02, rtol=0.01)


def test_the_teacher_runs_once_and_a_killed_run_gets_the_same(
    cut: Any, tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = cut[3]
    monkeypatch.setattr(hidden_cache, "SHARD_EXAMPLES", 2)
    whole = states_of(cut, tiny_teacher, tmp_path / "whole")(ours)
    shutil.copytree(tmp_path / "whole", tmp_path / "broken")
    shards = sorted((tmp_path / "broken" / "f").iterdir())
    assert len(shards) == 3
    (tmp_path / "broken" / "another").mkdir()  # of a teacher before
    shards[1].unlink()
    loaded: list[Path] = []
    original = alignment.load_model
    monkeypatch.setattr(
        alignment, "load_model", lambda path, *more: (loaded.append(path), original(path, *more))[1]
    )
    again = states_of(cut, tiny_teacher, tmp_path / "broken")
    for _ in range(2):
        for one, other in zip(whole, again(ours), strict=True):
            assert one.equal(other)
    assert loaded == [tiny_teacher]
    assert {f.name for f in (tmp_path / "broken").iterdir()} == {"f"}
    states_of(cut, tiny_teacher, tmp_path / "broken")(ours)
    assert loaded == [tiny_teacher]


def test_what_the_cache_cannot_hold_is_computed_each_time(
    cut: Any, tiny_teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = cut[3]
    kept = states_of(cut, tiny_teacher, tmp_path / "kept")(ours[:2])
    monkeypatch.setattr(hidden_cache, "MAX_CACHE_BYTES", 100)
    found = states_of(cut, tiny_teacher, tmp_path / "none")
    for one, other in zip(kept, found(ours[:2]), strict=True):
        torch.testing.assert_close(one.float(), other.float(), atol=0.02, rtol=0.02)
    assert not (tmp_path / "none").exists()


def test_distance_is_by_position_whatever_its_length() -> None:
    torch.manual_seed(0)
    goal = torch.randn(2, 5, 8)
    goal[:, 0] *= 1_000  # as the first token's are
    share = torch.full((5,), 0.2)
    assert float(hidden_distance(list(goal), goal, share)) == 0
    assert float(hidden_distance(list(0 * goal), goal, share)) == pytest.approx(1)
    one_off = goal.clone()
    one_off[1, 3] *= 1.5
    off = float(hidden_distance(list(one_off), goal, share))
    assert off == pytest.approx(0.25 * 0.2 / 2)
    assert float(hidden_distance(list(7 * one_off), 7 * goal, share)) == pytest.approx(off)
    twice = torch.tensor([0.2, 0.2, 0.0, 0.4, 0.2])
    assert float(hidden_distance(list(one_off), goal, twice)) == pytest.approx(2 * off)


@pytest.fixture
def distilled(
    tiny_teacher: Path, routing: Task, routing_dataset: Path, tmp_path: Path
) -> Callable[..., CheckpointFacts]:
    """Distils below `tmp_path`, by name."""
    labels = label_pairs(
        tiny_teacher, tmp_path / "labels", routing_dataset, [routing], SoftLabels(), [1.0],
        teacher_digest="t", max_tokens=64, top_layers=None, cache=tmp_path / "trunk",
    )  # fmt: skip

    def call(name: str, **how: Any) -> CheckpointFacts:
        settings: dict[str, Any] = {
            "temperature": 1.0, "alpha": 1.0, "epochs": 5, "patience": 5, "batch_size": 2,
            "max_tokens": 64, "learning_rate": 2e-3, **how,
        }  # fmt: skip
        student = Student(
            name="router",
            tasks=["routing"],
            init=StudentInit(layers=2),
            distillation=Distillation.model_validate(settings),
        )
        (tmp_path / name / "student").mkdir(parents=True, exist_ok=True)
        return distil.distil_student(
            tiny_teacher, tmp_path / "labels", labels.headers, tmp_path / name / "student",
            routing_dataset, [routing], student,
            scratch=tmp_path / name / "state", fingerprint="student",
        )  # fmt: skip

    return call


def test_a_student_is_drawn_to_its_teacher_and_then_let_go(
    distilled: Callable[..., CheckpointFacts], cut: Any, tiny_teacher: Path, tmp_path: Path
) -> None:
    long = {"epochs": 20, "patience": 20, "learning_rate": 5e-3}
    drawn, left = distilled("drawn", alignment=3.0, **long), distilled("left", **long)
    found = [record.get("alignment") for record in drawn.history]
    assert all("alignment" not in record for record in left.history)
    assert None not in found[:12] and found[12:] == [None] * 8  # 0.6 of the steps
    assert found[11] < found[0] / 2
    distances = []
    for name in ("drawn", "left"):
        model = load_model(tmp_path / name / "student", CPU, torch.float32)
        batch = collate(cut[3], pad_id=0, device=CPU)
        goal = torch.cat(states_of(cut, tiny_teacher, tmp_path / "states")(cut[3]), dim=1)
        _, first, counts = batch.distinct_rows(range(len(cut[3])))
        share = counts / counts.sum()
        with torch.no_grad():
            states = layered_hidden(model, batch)[1]
        distances.append(float(hidden_distance(states, goal[:, first], share)))
    assert distances[0] < 0.7 * distances[1]


def test_the_loop_asks_for_states_only_while_they_weigh_something(
    distilled: Callable[..., CheckpointFacts], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    original = TeacherStates.__call__
    monkeypatch.setattr(
        TeacherStates,
        "__call__",
        lambda self, examples: (asked.append(len(examples)), original(self, examples))[1],
    )
    order: list[str] = []
    for module, who in ((alignment, "teacher"), (distil, "student")):
        load = module.load_model
        monkeypatch.setattr(
            module, "load_model", lambda *given, w=who, f=load: (order.append(w), f(*given))[1]
        )
    distilled("drawn", alignment=1.0)
    assert sorted(asked) == [1] * 3 + [2] * 6  # three of five epochs
    assert order == ["teacher", "student"]  # one after the other: a GPU may not hold both


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_a_killed_run_goes_on_to_the_same_student(
    distilled: Callable[..., CheckpointFacts],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    epochs: int,
    dtype: torch.dtype,
) -> None:
    """Also where the teacher has been let go already."""
    monkeypatch.setattr(precision, "fast_dtype", lambda _: dtype)
    whole = distilled("whole", alignment=2.0)
    scored, calls = models.figures_of_epoch, []

    def dies(found: Any) -> dict[str, float]:
        calls.append(1)
        if len(calls) > epochs:
            raise KeyboardInterrupt
        return scored(found)

    monkeypatch.setattr(loop, "SAVE_EVERY_SECONDS", 0.0)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(models, "figures_of_epoch", dies)
        distilled("broken", alignment=2.0)
    resumed = distilled("broken", alignment=2.0)
    assert resumed.score == whole.score
    assert resumed.digest == whole.digest == describe(tmp_path / "broken" / "student").fingerprint
    for ours, theirs in zip(resumed.history, whole.history, strict=True):
        assert {**ours, "seconds": 0} == {**theirs, "seconds": 0}
