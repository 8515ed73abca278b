"""Kinds whose answers are written out, with tiny models that learn a handful of them by heart."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ExtractionTask, Task
from stillhouse.config.student import Distillation, Student, StudentInit
from stillhouse.config.teacher import Adaptation, SoftLabels
from stillhouse.evaluate.predictions import predict
from stillhouse.facts import AdaptedTeacherFacts
from stillhouse.student.distil import distil_student
from stillhouse.tasks.common import Examples
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner
from stillhouse.teacher.adaptation import adapt_teacher
from stillhouse.teacher.labelling import label_pairs

FIELDS = {"item": "string", "count": {"type": "integer", "optional": True}}
ORDERS = [
    ("Send 3 of the pump", {"item": "pump", "count": 3}),
    ("A new valve please", {"item": "valve"}),
    ("We want 7 of the rotor", {"item": "rotor", "count": 7}),
    ("Where is my seal", {"item": "seal"}),
]


@pytest.fixture(scope="module")
def order() -> ExtractionTask:
    return ExtractionTask.model_validate(
        {"name": "order", "kind": "extraction", "sources": ["t"], "fields": FIELDS}
        | {"max_answer_tokens": 40, "instruction": "Extract the order."}
    )


@pytest.fixture(scope="module")
def pairs(routing_pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The orders, in every split; and tickets to be routed."""
    orders = [
        routing_pairs[0]
        | {"task": "order", "instruction": "Extract the order.", "label": None, "split": split}
        | {"pair_id": f"{split}-{i}", "input": text}
        | {"response": json.dumps(values, separators=(",", ":"))}
        for split in ("train", "validation", "test")
        for i, (text, values) in enumerate(ORDERS)
    ]
    return [*orders, *routing_pairs]


@pytest.fixture(scope="module")
def dataset(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
) -> Path:
    return write_dataset(tmp_path_factory.mktemp("orders") / "dataset.parquet", pairs)


@pytest.fixture(scope="module")
def dataset_thrice(
    tmp_path_factory: pytest.TempPathFactory,
    pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
) -> Path:
    """Each pair three times to learn from: an epoch costs less than its validation."""
    again = [
        pair | {"pair_id": f"{pair['pair_id']}-{copy}"}
        for pair in pairs
        for copy in range(2)
        if pair["split"] == "train"
    ]
    return write_dataset(tmp_path_factory.mktemp("orders") / "dataset.parquet", [*pairs, *again])


@pytest.fixture(scope="module")
def adapted(
    tiny_base: Path,
    dataset: Path,
    order: ExtractionTask,
    routing: Task,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, AdaptedTeacherFacts]:
    folder = tmp_path_factory.mktemp("adapted")
    facts = adapt_teacher(
        tiny_base,
        folder / "model",
        dataset,
        [order, routing],
        Adaptation(
            rank=16, epochs=60, patience=60, learning_rate=2e-2, batch_size=5, max_tokens=96
        ),
        scratch=folder / "scratch",
        cache=folder / "trunk",
        fingerprint="teacher",
    )
    return folder / "model", facts


def test_one_teacher_learns_a_task_of_each_kind(
    adapted: tuple[Path, AdaptedTeacherFacts],
) -> None:
    _, facts = adapted
    assert facts.by_task["order"] > 0.9
    assert facts.by_task["routing"] > 0.7
    assert facts.score > facts.chance


def test_a_student_learns_both_from_soft_labels(
    adapted: tuple[Path, AdaptedTeacherFacts],
    dataset_thrice: Path,
    order: ExtractionTask,
    routing: Task,
    tmp_path: Path,
) -> None:
    teacher, _ = adapted
    labels = label_pairs(
        teacher,
        tmp_path / "labels",
        dataset_thrice,
        [order, routing],
        SoftLabels(),
        [1.0],
        teacher_digest="teacher",
        max_tokens=96,
        top_layers=None,
        cache=tmp_path / "trunk",
    )
    student = Student(
        name="both",
        tasks=["order", "routing"],
        init=StudentInit(layers=2),
        distillation=Distillation(
            temperature=1.0, epochs=20, patience=20, batch_size=5, max_tokens=96, learning_rate=5e-3
        ),
    )
    (tmp_path / "student").mkdir()
    distil_student(
        teacher,
        tmp_path / "labels",
        labels.headers,
        tmp_path / "student",
        dataset_thrice,
        [order, routing],
        student,
        scratch=tmp_path / "scratch",
        fingerprint="student",
    )
    runner = Runner(tmp_path / "student", dataset_thrice, 96)
    store = tmp_path / "store.parquet"
    answers = predict(runner, [order, routing], "test", store, model_digest="student")
    found = {task: x.kind.score(x.gold, x.predictions) for task, x in answers.items()}
    assert found["order"].score > 0.7
    assert found["routing"].score > 0.7


def test_an_answer_under_constraints_is_one_of_the_schema_from_the_text(
    tiny_base: Path, order: ExtractionTask, dataset: Path
) -> None:
    """Of a model that has learned nothing, which says so freely."""
    (kind,) = open_tasks(dataset, [order])
    rows = [
        {
            "pair_id": str(i),
            "instruction": "",
            "input": text,
            "response": json.dumps(v),
            "label": None,
        }
        for i, (text, v) in enumerate(ORDERS)
    ]
    runner = Runner(tiny_base, dataset, 96)
    predictions = runner.predict(kind, rows)
    texts = [row["input"] for row in rows]
    for text, answered, prediction in zip(
        texts, kind.answers(texts, predictions), predictions, strict=True
    ):
        assert answered.refused is not None
        assert "free" in prediction["by_decoding"]
        if prediction["ended"]:
            assert answered.value["item"] in text
            assert answered.parts.keys() == answered.value.keys()
    scored = kind.score([row["response"] for row in rows], predictions)
    assert scored.metrics["decodings"]["free"]["valid"] == 0
    assert scored.metrics["valid"] > 0
    calibration = kind.calibrate([row["response"] for row in rows], predictions)
    again = kind.score([row["response"] for row in rows], predictions, calibration)
    assert again.metrics["ece"] <= scored.metrics["ece"] + 0.5


def test_validation_of_an_epoch_decodes_freely_alone(
    tiny_base: Path, order: ExtractionTask, dataset: Path
) -> None:
    (kind,) = open_tasks(dataset, [order])
    runner = Runner(tiny_base, dataset, 96)
    rows = [
        {"pair_id": "1", "instruction": "", "input": "Send it", "response": "{}", "label": None}
    ]
    asked = Examples(kind, runner.encoder.prompts(rows), ["Send it"], ["{}"])
    (found,) = kind.predict(runner.model, runner.encoder, asked, thorough=False)
    assert found["by_decoding"] == {}
