"""What a student's layers are drawn to: its teacher's, on the same tokens."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from stillhouse.config.dataset import Task
from stillhouse.config.student import Distillation, Student, StudentInit
from stillhouse.config.teacher import SoftLabels
from stillhouse.facts import CheckpointFacts
from stillhouse.lm.prompts import Example
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.student import alignment
from stillhouse.student.alignment import TeacherStates
from stillhouse.student.distil import distil_student
from stillhouse.teacher.labelling import label_pairs

LAYERS = (0, 2)
EXAMPLES = [Example("a", [5, 9, 30, 7, 11], 3), Example("b", [40, 41, 6], 2)]


def direct(teacher: Path, ids: list[int]) -> torch.Tensor:
    """[layers, length, hidden], without a last norm."""
    model = load_model(teacher, torch.device("cpu"), torch.float32)
    found: list[torch.Tensor] = []
    for number in LAYERS:
        model.base_model.layers[number].register_forward_hook(
            lambda _, __, out: found.append(out[0] if out.ndim == 3 else out)
        )
    with torch.inference_mode():
        model(input_ids=torch.tensor([ids]))
    return torch.stack(found)


@pytest.mark.parametrize("fits", [True, False])
def test_they_are_the_outputs_of_the_teachers_layers(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fits: bool
) -> None:
    names = np.arange(len(load_tokenizer(tiny_base)))[
        ::-1
    ].copy()  # of the student's tokens, as the teacher has them
    monkeypatch.setattr(alignment.HiddenCache, "fits", lambda *_: fits)
    folder = tmp_path / "states" / "teacher"
    for _ in range(2):  # computed, then read
        states = TeacherStates(
            tiny_base, LAYERS, EXAMPLES, folder, teacher_ids=names,
            pad_id=load_tokenizer(tiny_base).pad_token_id,
        )  # fmt: skip
        for example, found in zip(EXAMPLES, states(EXAMPLES), strict=True):
            expected = direct(tiny_base, names[example.ids[:-1]].tolist())
            assert found.shape == expected.shape
            torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)
    assert folder.exists() == fits


def test_a_student_comes_nearer_to_its_teacher_and_is_then_left_alone(
    tiny_teacher: Path, routing: Task, routing_dataset: Path, tmp_path: Path
) -> None:
    labels = label_pairs(
        tiny_teacher, tmp_path / "labels", routing_dataset, [routing], SoftLabels(), [1.0],
        teacher_digest="t", max_tokens=64, top_layers=None, cache=tmp_path / "trunk",
    )  # fmt: skip

    def distilled(name: str, weight: float) -> CheckpointFacts:
        student = Student(
            name="router",
            tasks=["routing"],
            init=StudentInit(layers=2),
            distillation=Distillation(
                temperature=1.0, epochs=10, patience=10, batch_size=5, max_tokens=64,
                learning_rate=5e-3, alignment=weight,
            ),
        )  # fmt: skip
        (tmp_path / name).mkdir()
        return distil_student(
            tiny_teacher, tmp_path / "labels", labels.headers, tmp_path / name, routing_dataset,
            [routing], student, scratch=tmp_path / f"{name}-state", fingerprint=name,
        )  # fmt: skip

    drawn = [e.get("alignment") for e in distilled("drawn", 5.0).history]
    during = [value for value in drawn if value is not None]
    assert 4 <= len(during) <= 7  # it fades out after 60 % of the steps
    assert during[-1] < during[0]
    assert all("alignment" not in e for e in distilled("free", 0.0).history)
