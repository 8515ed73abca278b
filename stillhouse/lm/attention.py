"""Causal attention whose gradient a CPU works out in 16 bits as fast as the rest.

PyTorch's own prepares each of its many small products anew: at 8 texts of 48 tokens, 9 heads of 64,
its backward takes 10 ms, the one here 2 to 3, with the same error. From some 320 tokens on there is
nothing in it.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import scaled_dot_product_attention

LONGEST = 320

# Scores worked on at once, so that they stay in a processor's cache.
HELD = 1 << 19


def is_short(query: Tensor) -> bool:
    """Whether `short_attention` is the faster way to the gradient of `query` [..., length, _]."""
    few = query.shape[-2] <= LONGEST and query.device.type == "cpu"
    return few and query.dtype == torch.bfloat16 and torch.is_grad_enabled()


def short_attention(query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
    """Causal attention of texts [texts, heads, length, width], where key and value may have fewer
    heads, each for as many of the query's. Keeps no scores for backward."""
    found: Tensor = _ShortAttention.apply(query, key, value, scale)
    return found


class _ShortAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float) -> Tensor:
        gqa = query.shape[1] != key.shape[1]
        found = scaled_dot_product_attention(
            query, key, value, is_causal=True, scale=scale, enable_gqa=gqa
        )
        ctx.save_for_backward(query, key, value)
        ctx.scale = scale
        return found

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value = ctx.saved_tensors
        texts, heads, length, width = query.shape
        shared = heads // key.shape[1]  # of a key's head
        grads = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        later = torch.full((length, length), -torch.inf).triu(1).repeat(shared, 1)
        step = max(1, HELD // (heads * length * length))
        for start in range(0, texts, step):
            part = slice(start, start + step)
            q, g = (x[part].reshape(-1, shared * length, width) for x in (query, upstream))
            k, v = (x[part].reshape(-1, length, width) for x in (key, value))
            # In float32, as in the forward pass: what 16 bits cut off a large score is a lot of its
            # exponential.
            scores = torch.baddbmm(later, q.float(), k.float().transpose(1, 2), alpha=ctx.scale)
            p = scores.softmax(-1).to(q.dtype)
            dv = torch.bmm(p.transpose(1, 2), g)
            dp = torch.bmm(g, v.transpose(1, 2))
            # Less the sum of these very products: taken from the output, what was rounded off the
            # largest of them would stay.
            ds = torch._softmax_backward_data(dp, p, -1, dp.dtype).mul_(ctx.scale)
            dq, dk = torch.bmm(ds, k), torch.bmm(ds.transpose(1, 2), q)
            for grad, new in zip(grads, (dq, dk, dv), strict=True):
                grad[part] = new.view(grad[part].shape)
        return *grads, None
