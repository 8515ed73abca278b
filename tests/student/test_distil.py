"""A student learns from every kind of soft label, in a vocabulary of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.dataset import Task
from stillhouse.config.student import Distillation, Student, StudentInit
from stillhouse.config.teacher import Adaptation, SoftLabels
from stillhouse.errors import UserError
from stillhouse.evaluate.predictions import predict
from stillhouse.facts import CheckpointFacts, SoftLabelsFacts
from stillhouse.models.importing import describe
from stillhouse.student.alignment import TeacherStates
from stillhouse.student.distil import distil_student
from stillhouse.tasks.running import Runner
from stillhouse.teacher.adaptation import adapt_teacher
from stillhouse.teacher.labelling import label_pairs
from tests.written import written_pairs, written_task

Pairs = list[dict[str, Any]]
WriteDataset = Callable[[Path, Pairs], Path]


@pytest.fixture(scope="module")
def contrary(routing_pairs: Pairs) -> Pairs:
    """The same pairs with the two departments exchanged."""
    other = {"billing": "hardware", "hardware": "billing"}
    token = {r["label"]: r["response"] for r in routing_pairs}
    return [
        r | {"label": other[r["label"]], "response": token[other[r["label"]]]}
        for r in routing_pairs
    ]


def adapted_to(base: Path, folder: Path, dataset: Path, task: Task, method: str = "lora") -> Path:
    (folder / "teacher").mkdir(parents=True)
    settings = {"layers": 2, "epochs": 8, "patience": 8, "batch_size": 1, "max_tokens": 64}
    adapt_teacher(
        base,
        folder / "teacher",
        dataset,
        [task],
        Adaptation.model_validate({"method": method, **settings}),
        scratch=folder / "state",
        cache=folder / "trunk",
        fingerprint="teacher",
    )
    return folder / "teacher"


@pytest.fixture(scope="module")
def adapted(
    tiny_base: Path,
    routing: Task,
    contrary: Pairs,
    write_dataset: WriteDataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A teacher that has learned the opposite of the gold labels."""
    folder = tmp_path_factory.mktemp("adapted")
    return adapted_to(tiny_base, folder, write_dataset(folder / "d", contrary), routing)


@pytest.fixture
def label(routing: Task, tmp_path: Path) -> Callable[..., SoftLabelsFacts]:
    def call(
        teacher: Path,
        dataset: Path,
        *,
        tasks: Sequence[Task] = (routing,),
        softly: Set[str] | None = None,
        **settings: Any,
    ) -> SoftLabelsFacts:
        return label_pairs(
            teacher,
            tmp_path / "labels",
            dataset,
            tasks,
            SoftLabels.model_validate(settings),
            [1.0],
            softly=softly,
            teacher_digest="teacher",
            max_tokens=64,
            top_layers=2,
            cache=tmp_path / "trunk",
        )

    return call


@pytest.fixture
def distil(routing: Task, tmp_path: Path) -> Callable[..., CheckpointFacts]:
    def call(
        teacher: Path,
        dataset: Path,
        labels: SoftLabelsFacts,
        epochs: int = 12,
        *,
        tasks: Sequence[Task] = (routing,),
        temperature: float = 1.0,
        alpha: float | None = 1.0,  # the soft labels alone
    ) -> CheckpointFacts:
        student = Student(
            name="router",
            tasks=[task.name for task in tasks],
            init=StudentInit(layers=2),
            distillation=Distillation(
                temperature=temperature,
                alpha=alpha,
                epochs=epochs,
                patience=epochs,
                batch_size=1,
                max_tokens=64,
                learning_rate=2e-3,
            ),
        )
        (tmp_path / "student").mkdir(exist_ok=True)
        return distil_student(
            teacher,
            tmp_path / "labels",
            labels.headers,
            tmp_path / "student",
            dataset,
            tasks,
            student,
            scratch=tmp_path / "state",
            fingerprint="student",
        )

    return call


@pytest.mark.parametrize(
    "settings",
    [
        {"encoding": "labels"},
        {"encoding": "top_k", "k": 4},
        {"encoding": "top_k", "k": 10**6},
        {"encoding": "sampled", "draws": 32},
        {"encoding": "hidden"},
    ],
    ids=lambda settings: " ".join(str(value) for value in settings.values()),
)
def test_a_student_learns_from_soft_labels_what_the_gold_ones_deny(
    adapted: Path,
    routing: Task,
    routing_pairs: Pairs,
    contrary: Pairs,
    routing_dataset: Path,
    write_dataset: WriteDataset,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
    settings: dict[str, Any],
) -> None:
    # The gold labels of the training pairs are in its way; the others choose the best epoch.
    pairs = [r for r in routing_pairs if r["split"] == "train"]
    pairs += [r for r in contrary if r["split"] != "train"]
    dataset = write_dataset(tmp_path / "d", pairs)
    facts = distil(adapted, dataset, label(adapted, dataset, **settings))
    assert facts.vocabulary < facts.teacher_vocabulary
    assert facts.layers == 2
    assert facts.digest == describe(tmp_path / "student").fingerprint
    assert facts.history[-1]["kl"] < facts.history[0]["kl"] / 2
    assert facts.score == 1.0
    for model in (adapted, tmp_path / "student"):
        store = tmp_path / f"{model.name}.parquet"
        runner = Runner(model, routing_dataset, 64)
        found = predict(runner, [routing], "test", store, model_digest="m")["routing"].scored()
        assert found.n == 5
        assert not found.right.any()


def test_a_test_document_changes_no_student(
    adapted: Path,
    routing_pairs: Pairs,
    routing_dataset: Path,
    write_dataset: WriteDataset,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
) -> None:
    labels = label(adapted, routing_dataset)
    first = distil(adapted, routing_dataset, labels, epochs=1)
    new = routing_pairs[-1] | {"pair_id": "test-new", "input": "Sehr geehrte Damen", "label": "new"}
    more = write_dataset(tmp_path / "d", [new, *routing_pairs[::-1]])
    assert label(adapted, more).digest == labels.digest
    assert distil(adapted, more, labels, epochs=1).digest == first.digest


def test_a_pair_without_a_soft_label_is_told_before_time_is_spent(
    adapted: Path,
    routing_pairs: Pairs,
    routing_dataset: Path,
    write_dataset: WriteDataset,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
) -> None:
    labels = label(adapted, routing_dataset)
    arrived = [routing_pairs[0] | {"pair_id": f"new-{n}"} for n in range(2)]
    dataset = write_dataset(tmp_path / "d", [*routing_pairs, *arrived])
    with pytest.raises(UserError, match="2 training pairs have no soft label") as error:
        distil(adapted, dataset, labels)
    assert "soft_labels" in error.value.remedy
    assert not list((tmp_path / "student").iterdir())


def test_an_empty_test_split_is_told_before_training(
    adapted: Path,
    routing_pairs: Pairs,
    routing_dataset: Path,
    write_dataset: WriteDataset,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
) -> None:
    labels = label(adapted, routing_dataset)
    dataset = write_dataset(tmp_path / "d", [r for r in routing_pairs if r["split"] != "test"])
    with pytest.raises(UserError, match="no pair in its test split"):
        distil(adapted, dataset, labels)


def test_a_student_learns_from_a_teacher_that_was_left_as_it_came(
    tiny_base: Path,
    routing: Task,
    routing_dataset: Path,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
) -> None:
    """It answers by tokens as its teacher does by names."""
    teacher = adapted_to(tiny_base, tmp_path / "t", routing_dataset, routing, method="none")
    facts = distil(teacher, routing_dataset, label(teacher, routing_dataset), epochs=30)
    assert facts.history[-1]["kl"] < facts.history[0]["kl"] / 2
    probabilities = [
        predict(
            Runner(model, routing_dataset, 64),
            [routing],
            "test",
            tmp_path / f"{model.name}.parquet",
            model_digest="m",
        )["routing"]
        .scored()
        .detail.probabilities
        for model in (teacher, tmp_path / "student")
    ]
    assert np.abs(probabilities[0] - probabilities[1]).max() < 0.2
    assert (probabilities[0].argmax(1) == probabilities[1].argmax(1)).all()


@pytest.mark.parametrize("encoding", [None, "top_k", "hidden"])
def test_a_student_learns_tasks_of_several_kinds_at_once(
    tiny_teacher: Path,
    routing: Task,
    routing_pairs: Pairs,
    write_dataset: WriteDataset,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    encoding: str | None,
) -> None:
    """By default one from the classes' probabilities, the other from draws."""
    tasks = [routing, written_task()]
    dataset = write_dataset(tmp_path / "d", [*routing_pairs, *written_pairs(routing_pairs)])
    labels = label(tiny_teacher, dataset, tasks=tasks, encoding=encoding)
    assert len(labels.headers) == (2 if encoding is None else 1)
    facts = distil(tiny_teacher, dataset, labels, epochs=8, tasks=tasks)
    assert facts.vocabulary < facts.teacher_vocabulary
    # Draws lack entropy that no student can give them: the divergence falls to that.
    share = 0.8 if encoding is None else 0.5
    assert facts.history[-1]["kl"] < share * facts.history[0]["kl"]


def test_a_temperature_without_soft_labels_is_told_before_time_is_spent(
    adapted: Path,
    routing_dataset: Path,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
) -> None:
    labels = label(adapted, routing_dataset, encoding="sampled")
    with pytest.raises(UserError, match=r"no soft labels at distillation\.temperature 3\n"):
        distil(adapted, routing_dataset, labels, temperature=3.0)
    assert not list((tmp_path / "student").iterdir())


def test_each_task_is_learned_as_its_kind_of_answer_is_by_default(
    tiny_teacher: Path,
    routing: Task,
    routing_pairs: Pairs,
    write_dataset: WriteDataset,
    label: Callable[..., SoftLabelsFacts],
    distil: Callable[..., CheckpointFacts],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Classes from soft labels; what is written from its words and the teacher's hidden states,
    without any soft label."""
    asked: set[str] = set()
    original = TeacherStates.__call__
    monkeypatch.setattr(
        TeacherStates,
        "__call__",
        lambda self, examples: (asked.update(e.key for e in examples), original(self, examples))[1],
    )
    written = written_pairs(routing_pairs)
    tasks = [routing, written_task()]
    dataset = write_dataset(tmp_path / "d", [*routing_pairs, *written])
    labels = label(tiny_teacher, dataset, tasks=tasks, softly={routing.name})
    assert list(labels.encodings) == [routing.name]
    facts = distil(tiny_teacher, dataset, labels, epochs=3, tasks=tasks, alpha=None)
    assert asked == {r["pair_id"] for r in written if r["split"] == "train"}
    assert [record.get("alignment", 0) > 0 for record in facts.history] == [True, True, False]
    assert facts.history[-1]["kl"] > 0
    none = label(tiny_teacher, dataset, tasks=tasks, softly=set())
    assert (none.headers, none.tokens, none.digests) == ([], 0, {})
    facts = distil(tiny_teacher, dataset, none, epochs=2, tasks=tasks[1:], alpha=None)
    assert facts.history[-1]["ce"] < facts.history[0]["ce"]
    with pytest.raises(UserError, match="no soft labels at"):
        distil(tiny_teacher, dataset, none, tasks=tasks, alpha=None)
