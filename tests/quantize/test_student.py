"""A student quantized, on a tiny random model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.config.student import Quantization, Student
from stillhouse.evaluate.predictions import predict
from stillhouse.facts import QuantizedModelFacts
from stillhouse.models.importing import describe
from stillhouse.quantize.student import quantize_student
from stillhouse.tasks.running import Runner


def test_a_quantized_student_answers_and_no_test_document_shaped_it(
    tiny_teacher: Path,
    routing: Task,
    routing_pairs: list[dict[str, Any]],
    routing_dataset: Path,
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    settings = Student(
        name="router", tasks=["routing"], quantization=Quantization(calibration_texts=8)
    )

    def quantized(name: str, dataset: Path) -> QuantizedModelFacts:
        (tmp_path / name).mkdir()
        return quantize_student(tiny_teacher, tmp_path / name, dataset, [routing], settings)

    facts = quantized("first", routing_dataset)
    assert facts.digest == describe(tmp_path / "first").fingerprint
    assert (facts.bits, facts.group_size, facts.quantized_layers) == (4, 32, 3 * 7)
    assert facts.bytes < describe(tiny_teacher).bytes
    new = routing_pairs[-1] | {"pair_id": "test-new", "input": "Sehr geehrte Damen"}
    more = write_dataset(tmp_path / "more", [new, *routing_pairs[::-1]])
    assert quantized("second", more) == facts
    runner, store = Runner(tmp_path / "first", more, 64), tmp_path / "p.parquet"
    found = predict(runner, [routing], "test", store, model_digest=facts.digest)
    assert found["routing"].scored().n == 6
