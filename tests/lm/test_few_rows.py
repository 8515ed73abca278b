from __future__ import annotations

import pytest
import torch
from torch.nn.functional import linear

from stillhouse.lm import few_rows
from stillhouse.lm.few_rows import FewRows


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the products that were taken the other way round."""
    shapes: list[tuple[int, ...]] = []
    mm = torch.mm
    monkeypatch.setattr(
        few_rows.torch, "mm", lambda a, b: (shapes.append((*a.shape, b.shape[1])), mm(a, b))[1]
    )
    return shapes


@pytest.mark.parametrize("shape", [(16, 1), (2, 4), (48,)])
@pytest.mark.parametrize("bias", [True, False])
def test_few_rows_give_what_they_give_otherwise(
    turned: list[tuple[int, ...]], shape: tuple[int, ...], bias: bool
) -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(24, 10, bias=bias)
    rows = torch.randn(*shape, 24)
    expected = layer(rows)
    assert not turned
    with FewRows():
        found = layer(rows)
    torch.testing.assert_close(found, expected)
    assert turned == [(10, 24, rows[..., 0].numel())]
    assert found.view(*shape, 2, 5).shape == (*shape, 2, 5)  # as attention takes heads apart


@pytest.mark.parametrize(
    ("count", "dtype"),
    [(1, torch.float32), (64, torch.float32), (16, torch.float64), (16, torch.bfloat16)],
)
def test_others_are_left_alone(
    turned: list[tuple[int, ...]], count: int, dtype: torch.dtype
) -> None:
    rows, weight = torch.randn(count, 24, dtype=dtype), torch.randn(10, 24, dtype=dtype)
    with FewRows():
        found = linear(rows, weight)
    assert found.equal(linear(rows, weight))
    assert not turned
