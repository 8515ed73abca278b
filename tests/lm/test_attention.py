"""The gradient of attention over short texts in 16 bits is that of PyTorch's own."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from stillhouse.lm import attention
from stillhouse.lm.attention import is_short, short_attention

SCALE = 0.125


def drawn(heads: int, length: int) -> torch.Tensor:
    """As `packing` lays them out: heads beside each other in a row."""
    return torch.randn(5, length, heads, 64).transpose(1, 2)


def own(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    return scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=SCALE, enable_gqa=True
    )


@pytest.mark.parametrize("kept", [6, 3, 1])
@pytest.mark.parametrize("held", [1, 1 << 12, 1 << 19])
def test_gradients_are_those_of_the_formula(
    kept: int, held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "HELD", held)
    torch.manual_seed(kept)
    # Long vectors: their scores are large, and 16 bits hold those badly.
    inputs = [3 * drawn(6, 21), 3 * drawn(kept, 21), drawn(kept, 21)]
    upstream = drawn(6, 21).bfloat16()
    rounded = [x.bfloat16().requires_grad_() for x in inputs]
    found = short_attention(rounded[0], rounded[1], rounded[2], SCALE)
    exact = [x.detach().double().requires_grad_() for x in rounded]
    expected = own(exact[0], exact[1], exact[2])

    found.backward(upstream)
    expected.backward(upstream.double())

    assert (found - expected).norm() < 0.01 * expected.norm()
    for one, other in zip(rounded, exact, strict=True):
        assert one.grad is not None and other.grad is not None
        assert (one.grad - other.grad).norm() < 0.01 * other.grad.norm()


def test_it_is_for_short_texts_in_16_bits_that_are_learned_from() -> None:
    query = torch.zeros(1, 2, attention.LONGEST, 4, dtype=torch.bfloat16)

    assert is_short(query)
    assert not is_short(query.float())
    assert not is_short(torch.cat([query, query[:, :, :1]], dim=2))
    with torch.no_grad():
        assert not is_short(query)
