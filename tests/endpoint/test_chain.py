"""From an endpoint to a student, and the same from the same weights here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.dataset import ClassificationTask, Task
from stillhouse.config.student import Student
from stillhouse.config.teacher import SoftLabels, TeacherPrompt
from stillhouse.endpoint.client import Access
from stillhouse.endpoint.kept import forget
from stillhouse.evaluate.predictions import predict
from stillhouse.facts import AdaptedTeacherFacts, SoftLabelsFacts
from stillhouse.soft_labels.reader import LabelReader
from stillhouse.student.distil import distil_student
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner
from stillhouse.teacher.labelling import label_pairs
from stillhouse.teacher.unadapted import leave_as_it_came
from tests.written import written_pairs, written_task

Imported = Callable[..., tuple[Path, Access]]
PROMPT = TeacherPrompt(shots=2)


def labelled(
    weights: Path, folder: Path, dataset: Path, tasks: list[Task], reach: Access | None, **how: Any
) -> tuple[AdaptedTeacherFacts, SoftLabelsFacts, Path]:
    """A teacher that is left as it came, and its soft labels, below `folder`."""
    adapted = folder / "adapted"
    adapted.mkdir(parents=True)
    left = leave_as_it_came(weights, adapted, dataset, open_tasks(dataset, tasks), PROMPT, reach)
    labels = label_pairs(
        adapted,
        folder / "labels",
        dataset,
        tasks,
        SoftLabels.model_validate(how),
        [1.0],
        teacher_digest=left.digest,
        max_tokens=64,
        top_layers=None,
        cache=folder / "trunk",
        access=reach,
    )
    return left, labels, adapted


def test_a_student_learns_from_an_endpoint_what_it_learns_from_its_weights(
    server: Any,
    imported: Imported,
    tiny_base: Path,
    write_tiny_model: Callable[..., Path],
    routing: ClassificationTask,
    routing_dataset: Path,
    tmp_path: Path,
) -> None:
    folder, reach = imported()
    student = Student.model_validate(
        {
            "name": "router",
            "tasks": ["routing"],
            "init": {"from": "base", "license": "MIT", "layers": "all"},
            "distillation": {
                "alpha": 1.0, "temperature": 1.0, "epochs": 2, "batch_size": 1,
                "max_tokens": 96, "learning_rate": 2e-3,
            },
        }
    )  # fmt: skip
    # It cuts texts into other tokens than its teacher.
    base = write_tiny_model(tmp_path / "base", seed=3)
    answers, targets = [], []
    for name, weights, access in (("there", folder, reach), ("here", tiny_base, None)):
        left, labels, adapted = labelled(
            weights, tmp_path / name, routing_dataset, [routing], access
        )
        assert labels.encodings == {"routing": "labels"}
        reader = LabelReader.open(tmp_path / name / "labels", labels.headers, 1.0)
        targets.append([reader.targets([key]).probs.numpy() for key in sorted(reader.stores[0])])
        facts = distil_student(
            adapted,
            tmp_path / name / "labels",
            labels.headers,
            tmp_path / name / "student",
            routing_dataset,
            [routing],
            student,
            scratch=tmp_path / name / "scratch",
            fingerprint="x" * 20,
            base=base,
        )
        assert facts.layers == 2
        runner = Runner(tmp_path / name / "student", routing_dataset, 96)
        found = predict(
            runner, [routing], "test", tmp_path / name / "p.parquet", model_digest="student"
        )
        answers.append(np.array(found["routing"].predictions))
        assert left.method == "none"
    assert len(targets[0]) == 5
    assert np.ptp(targets[0]) > 0.01
    assert np.array(targets[0]) == pytest.approx(np.array(targets[1]), abs=1e-4)
    assert answers[0] == pytest.approx(answers[1], abs=1e-3)
    # What a document says leaves the answers with its pairs.
    assert forget(reach.cache, lambda pairs: set(pairs)) >= 5
    server.behave()
    labelled(folder, tmp_path / "again", routing_dataset, [routing], reach)
    assert server.seen["asked"] > 5


def test_written_answers_are_labelled_with_the_servers_likeliest_tokens(
    server: Any,
    imported: Imported,
    tiny_base: Path,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """By their ids, or by what they spell."""
    task = written_task()
    dataset = write_dataset(tmp_path / "d.parquet", written_pairs(routing_pairs))
    found = []
    for name, refuses in (("ids", []), ("spelt", ["return_tokens_as_token_ids"])):
        server.behave(refuses=refuses)
        weights, reach = imported()
        weights = weights.rename(tmp_path / f"model-{name}")
        _, labels, _ = labelled(
            weights, tmp_path / name, dataset, [task], reach, encoding="top_k", k=12
        )
        found.append((tmp_path / name / "labels", labels))
    _, expected, _ = labelled(
        tiny_base, tmp_path / "here", dataset, [task], None, encoding="top_k", k=12
    )
    here = LabelReader.open(tmp_path / "here" / "labels", expected.headers, 1.0)
    keys = sorted(here.stores[0])
    assert keys
    wanted = here.targets(keys)
    exact, spelt = (
        LabelReader.open(folder, labels.headers, 1.0).targets(keys) for folder, labels in found
    )
    assert found[0][1].encodings == {task.name: "top_k"}
    assert exact.tail.numpy() == pytest.approx(wanted.tail.numpy(), abs=1e-3)
    assert exact.probs.numpy() == pytest.approx(wanted.probs.numpy(), abs=1e-3)
    assert (exact.ids == wanted.ids).float().mean() > 0.95
    # Bytes that spell no letter can't be told apart: what they weigh is with all the others.
    known = 0
    for row, tokens in enumerate(spelt.ids.tolist()):
        likely = dict(zip(exact.ids[row].tolist(), exact.probs[row].tolist(), strict=True))
        told = dict(zip(tokens, spelt.probs[row].tolist(), strict=True))
        told = {token: value for token, value in told.items() if value}
        assert all(value == pytest.approx(likely[token], abs=1e-3) for token, value in told.items())
        assert sum(told.values()) + float(spelt.tail[row]) == pytest.approx(1.0, abs=1e-3)
        known += len(told)
    assert known > len(spelt.ids)
