"""Which type a machine computes in, and that its figures don't hang on it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import token_probabilities
from stillhouse.models import precision
from stillhouse.models.loading import pick_dtype

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def asked_anew(
    probed_dtype: Callable[..., torch.dtype], monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    monkeypatch.setattr(precision, "fast_dtype", probed_dtype)
    precision._fast_dtype.cache_clear()
    yield
    precision._fast_dtype.cache_clear()


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.2, torch.float32), (1.1, torch.float32), (2.2, torch.bfloat16)],
)
def test_the_faster_type_is_taken_and_said_once(
    ratio: float,
    expected: torch.dtype,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked = []
    monkeypatch.setattr(precision, "bfloat16_speed", lambda: asked.append(1) or ratio)
    with caplog.at_level(logging.INFO, "stillhouse"):
        assert [pick_dtype(CPU) for _ in range(3)] == [expected] * 3
    assert len(asked) == 1
    (line,) = caplog.messages
    assert str(expected).removeprefix("torch.") in line and f"{ratio:.1f}" in line


def test_both_types_are_timed_and_threads_left_as_they_were() -> None:
    threads = torch.get_num_threads()
    ratio = precision.bfloat16_speed()
    assert 0.01 < ratio < 20
    assert torch.get_num_threads() == threads


def test_products_that_take_longer_in_bfloat16_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the work in one of the types halves its speed."""
    linear, slow = torch.nn.functional.linear, torch.bfloat16

    def twenty_times(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        for _ in range(20 if left.dtype == slow else 1):
            found = linear(left, right)
        return found

    monkeypatch.setattr(torch.nn.functional, "linear", twenty_times)
    slowed = precision.bfloat16_speed()
    slow = torch.float32
    assert precision.bfloat16_speed() > 20 * slowed


@pytest.mark.parametrize(("rows", "expected"), [(1, 32), (32, 32), (33, 64)])
def test_rows_of_16_bits_come_in_few_numbers(rows: int, expected: int) -> None:
    multiple = precision.rows_multiple(torch.bfloat16, CPU)
    assert rows + -rows % multiple == expected
    assert precision.rows_multiple(torch.float32, CPU) == 1
    assert precision.rows_multiple(torch.bfloat16, torch.device("cuda")) == 1


def test_scores_in_bfloat16_are_those_in_float32_within_rounding() -> None:
    """On a model that is sure of some answers and torn about others."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=64, intermediate_size=96, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, initializer_range=0.15,
        )
    ).eval()  # fmt: skip
    generator = torch.Generator().manual_seed(1)
    examples = [
        Example(str(n), [*torch.randint(3, 60, (5 + n,), generator=generator).tolist(), 60], 5 + n)
        for n in range(40)
    ]
    exact, rounded = (
        token_probabilities(model.to(dtype), examples, [60, 61, 62, 63], pad_id=0)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert exact.max() > 0.9 and exact.max(axis=1).min() < 0.5
    assert 0 < np.abs(exact - rounded).max() < 0.05
    assert np.abs(exact - rounded).mean() < 0.01
    assert (exact.argmax(1) == rounded.argmax(1)).mean() >= 0.95
