"""Steps that a GPU repeats write what steps one by one write."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from stillhouse.lm import decoder, replayed
from stillhouse.lm.generation import Generated, generate
from stillhouse.lm.replayed import Replayed
from stillhouse.models.loading import load_model

VOCABULARY, END = 256, 60


def written(model: Any) -> list[Generated]:
    """Answers of many lengths, which begin alike, five side by side."""
    drawn = random.Random(0)
    prompts = [
        [7] * 3 + drawn.choices(range(VOCABULARY), k=drawn.randint(1, 30)) for _ in range(20)
    ]
    limits = [drawn.randint(1, 40) for _ in prompts]
    return generate(
        model, prompts, end_ids=[END], max_new_tokens=limits, vocabulary=VOCABULARY, batch_size=5
    )


def require_same(found: list[Generated], expected: list[Generated]) -> None:
    assert [one.ids for one in found] == [one.ids for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)


def test_rows_and_columns_that_fill_a_recording_up_change_nothing(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With recordings that, on a CPU, run the step again over the places they know."""
    model = load_model(tiny_base, torch.device("cpu"), torch.float32)
    expected = written(model)
    sizes = []

    class Again:
        def __init__(self, run: Any, inputs: torch.Tensor, hidden: torch.Tensor, columns: int):
            self.run, self.inputs, self.hidden, self.columns = run, inputs, hidden, columns

        def replay(self) -> None:
            self.hidden.copy_(self.run(self.inputs[0], self.inputs[1], self.columns))

    def record(self: Replayed, run: Any, size: tuple[int, int]) -> None:
        rows, columns = size
        sizes.append(size)
        inputs = torch.zeros(2, rows, 1, dtype=torch.long)
        hidden = run(inputs[0], inputs[1] + columns - 1, columns).clone()
        graph = Again(run, inputs, hidden, columns)
        self._recorded[size] = replayed._Recording(graph, inputs, hidden)

    monkeypatch.setattr(Replayed, "_record", record)
    monkeypatch.setattr(replayed, "LEAST_COLUMNS", 4)
    monkeypatch.setattr(
        decoder.Decoder,
        "_replayed",
        lambda self: Replayed(self.kept.shape[2], self.kept.shape[4], self.model.device),
    )
    require_same(written(model), expected)
    # Rows up to the five and columns up to the 70 that there is room for.
    assert {rows for rows, _ in sizes} == {1, 2, 4, 5}
    assert {columns for _, columns in sizes} <= {4, 8, 16, 32, 64, 70}


def test_what_cannot_be_recorded_is_written_step_by_step(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model = load_model(tiny_base, torch.device("cpu"), torch.float32)
    expected = written(model)
    tried = []

    def record(self: Replayed, run: Any, size: tuple[int, int]) -> None:
        tried.append(size)
        self._gave_up = True

    monkeypatch.setattr(Replayed, "_record", record)
    monkeypatch.setattr(
        decoder.Decoder,
        "_replayed",
        lambda self: Replayed(self.kept.shape[2], self.kept.shape[4], self.model.device),
    )
    require_same(written(model), expected)
    assert len(tried) == 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_writes_what_a_processor_writes(
    tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = written(load_model(tiny_base, torch.device("cpu"), torch.float32))
    recorded = []
    record = Replayed._record

    def seen(self: Replayed, run: Any, size: tuple[int, int]) -> None:
        record(self, run, size)
        recorded.append(not self._gave_up)

    monkeypatch.setattr(Replayed, "_record", seen)
    require_same(written(load_model(tiny_base, torch.device("cuda"), torch.float32)), expected)
    assert recorded and all(recorded)
