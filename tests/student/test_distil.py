"""A student learns from every kind of soft label, in a vocabulary of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.student import Distillation, Student, StudentInit
from stillhouse.config.teacher import Adaptation, SoftLabels
from stillhouse.evaluate.predictions import read_predictions
from stillhouse.lm.prompts import label_token
from stillhouse.lm.tasks import TaskData
from stillhouse.student.distil import PREDICTIONS, distil_student
from stillhouse.teacher import adaptation
from stillhouse.teacher.labelling import label_pairs


@pytest.fixture(scope="module")
def contrary(routing: TaskData) -> TaskData:
    """The same task with the two departments exchanged."""
    other = dict(zip(routing.labels, reversed(routing.labels), strict=True))
    rows = {
        split: [
            r | {"label": other[r["label"]], "response": label_token("routing", other[r["label"]])}
            for r in rows
        ]
        for split, rows in routing.rows.items()
    }
    return TaskData(routing.name, routing.labels, rows)


@pytest.fixture(scope="module")
def adapted(
    short_teacher: Path, contrary: TaskData, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A teacher that has learned the opposite of the gold labels."""
    folder = tmp_path_factory.mktemp("adapted")
    adaptation.adapt_teacher(
        short_teacher,
        folder / "teacher",
        [contrary],
        Adaptation(layers=2, epochs=8, patience=8, batch_size=1, max_tokens=64),
        state_folder=folder / "state",
        cache=folder / "trunk",
        fingerprint="teacher",
    )
    return folder / "teacher"


@pytest.mark.parametrize(
    "settings",
    [
        {"encoding": "labels"},
        {"encoding": "top_k", "k": 4},
        {"encoding": "top_k", "k": 10**6},
        {"encoding": "sampled", "draws": 32},
    ],
    ids=lambda settings: " ".join(str(value) for value in settings.values()),
)
def test_a_student_learns_from_soft_labels_what_the_gold_ones_deny(
    adapted: Path, routing: TaskData, contrary: TaskData, tmp_path: Path, settings: dict[str, Any]
) -> None:
    temperature, epochs = 1.0, 12
    # The gold labels of the training pairs are in its way; the others choose the best epoch.
    task = TaskData(routing.name, routing.labels, {**contrary.rows, "train": routing.rows["train"]})
    store, _ = label_pairs(
        adapted,
        tmp_path / "labels",
        [task],
        SoftLabels.model_validate(settings),
        [temperature],
        fingerprint="teacher",
        tokenizer_fingerprint="tokenizer",
        max_tokens=64,
        top_layers=2,
        cache=tmp_path / "trunk",
    )
    student = Student(
        name="router",
        tasks=["routing"],
        init=StudentInit(layers=2),
        distillation=Distillation(
            temperature=temperature,
            alpha=1.0,  # the soft labels alone
            epochs=epochs,
            patience=epochs,
            batch_size=1,
            max_tokens=64,
        ),
    )
    report = distil_student(
        adapted,
        store,
        tmp_path / "student",
        [task],
        student,
        state_folder=tmp_path / "state",
        fingerprint="student",
    )
    assert report.vocabulary < report.teacher_vocabulary / 100
    history = report.training.history
    assert history[-1]["kl"] < history[0]["kl"] / 2
    answers, expected = (
        read_predictions(folder / file)["routing"]
        for folder, file in ((tmp_path / "student", PREDICTIONS), (adapted, adaptation.PREDICTIONS))
    )
    assert answers.keys() == expected.keys() and len(answers) == 5
    gold = {row["pair_id"]: row["label"] for row in routing.rows["test"]}
    for key, probabilities in answers.items():
        assert routing.labels[int(np.argmax(expected[key]))] != gold[key]
        assert routing.labels[int(np.argmax(probabilities))] != gold[key]
