"""The distillation loss as one autograd function over chunks of rows.

The logits of all rows at once, their copy in float32, their softmax at two temperatures and the
gradients of these are what makes a small student's training large. Here a chunk of logits lives
only until its gradients with respect to `hidden` and `weight` are added up, in the forward pass.

How a chunk is worked out: an ID is *kept* if the soft label lists it; the others are the *rest*.
Any divergence between the buckets {each kept id, the rest} depends on the student through
log q of each bucket alone. With g_b its derivative by log q_b and s = sum of all g_b, the
derivative by a logit is

    kept i:  (g_i - s q_i) / T
    rest j:  (g_rest - s q_rest) r_j / T,    r = softmax over the rest alone

so that the dense part is one factor a row times r. r is computed around the rest's own maximum:
1 - sum(q_kept) would have no digits left when the student is sure, r and log q_rest keep all.

This module needs torch to be defined; `stillhouse.training.losses` imports it when called.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import pad

from stillhouse.models.precision import rows_multiple
from stillhouse.training.objective import NO_GOLD

if TYPE_CHECKING:
    from stillhouse.soft_labels.targets import SparseTargets
    from stillhouse.training.objective import Divergence, TrainedRows

# Logits held at once by default. Every chunk reads the whole embedding and adds to the whole of its
# gradient, so that small chunks cost time; large ones cost memory.
CHUNK_ELEMENTS = 1 << 24

# Logits that a CPU turns into gradients at once: they stay in its cache from pass to pass.
CACHED_ELEMENTS = 1 << 21


@dataclass(frozen=True)
class LossSettings:
    """The numbers of `distillation_loss`, checked; `vocab` counts the real columns, and `alpha` is
    that of all rows or [rows]."""

    alpha: float | Tensor
    temperature: float
    denominator: float
    vocab: int
    divergence: Divergence
    chunk_rows: int | None


def fused_loss(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    gold: Tensor,
    targets: SparseTargets | None,
    settings: LossSettings,
    rows: TrainedRows | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Loss, and without gradient divergence and cross-entropy, of inputs that fit together."""
    ids, values = (None, None) if rows is None else (rows.ids, rows.values)
    loss, kl, ce = _FusedLoss.apply(
        hidden, weight, bias, values, ids, gold, targets, settings, torch.is_grad_enabled()
    )
    return loss, kl, ce


class _FusedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        values: Tensor | None,
        ids: Tensor | None,
        gold: Tensor,
        targets: SparseTargets | None,
        settings: LossSettings,
        differentiate: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        # Whoever computes in 16 bits does so where they multiply faster; they are added up in
        # float32 all the same.
        factor, exact = hidden.dtype, torch.promote_types(hidden.dtype, torch.float32)
        need_hidden, need_weight, need_bias, need_values = (
            differentiate and needed for needed in ctx.needs_input_grad[:4]
        )
        rows, vocab = len(hidden), settings.vocab
        step = settings.chunk_rows or max(1, CHUNK_ELEMENTS // vocab)
        w = weight.detach()[:vocab].to(factor)
        grad_hidden = hidden.new_empty(hidden.shape, dtype=exact) if need_hidden else None
        grad_weight = torch.zeros_like(weight, dtype=exact) if need_weight else None
        grad_bias = torch.zeros_like(bias, dtype=exact) if need_bias else None
        grad_values = torch.zeros_like(values, dtype=exact) if need_values else None
        sums = hidden.new_zeros(3, dtype=exact)
        scale = 1 / settings.denominator
        # Memory used over and over: fresh pages cost a CPU more than the arithmetic on them.
        multiple = rows_multiple(factor, hidden.device)
        most = min(step, rows)
        chunk = hidden.new_empty(most + -most % multiple, vocab, dtype=exact)
        cached = len(chunk) if hidden.is_cuda else max(1, CACHED_ELEMENTS // vocab)
        spare = hidden.new_empty(min(cached, len(chunk)), vocab, dtype=exact)
        with torch.autocast(hidden.device.type, enabled=False):
            for part in _slices(0, rows, step):
                count = part.stop - part.start
                h = pad(hidden.detach()[part], (0, 0, 0, -count % multiple))
                logits = chunk[: len(h)]
                # Divided by the temperature on the way, which saves a pass over them.
                _multiply(h, w.t(), out=logits, scale=1 / settings.temperature)
                if bias is not None:
                    logits += bias.detach()[:vocab] / settings.temperature
                # They become their own gradient, not yet divided by the denominator: 16-bit
                # factors below could not hold such small numbers.
                for few in _slices(part.start, part.stop, cached):
                    z = logits[few.start - part.start : few.stop - part.start]
                    labels = None if targets is None else targets.slice(few.start, few.stop)
                    share = settings.alpha
                    alpha = share[few] if isinstance(share, Tensor) else share
                    sums += _logits_to_gradient(
                        z, spare[: len(z)], gold[few], labels, settings, alpha
                    )
                logits[count:] = 0
                if grad_bias is not None:
                    grad_bias[:vocab] += scale * logits.sum(0)
                if grad_values is not None:
                    grad_values.addmm_(logits[:, ids].t(), h.to(exact), alpha=scale)
                dz = logits.to(factor)
                if grad_hidden is not None and count == len(dz):
                    _multiply(dz, w, out=grad_hidden[part])
                elif grad_hidden is not None:
                    grad_hidden[part] = torch.mm(dz, w)[:count]
                if grad_weight is not None and factor == exact:
                    grad_weight[:vocab].addmm_(dz.t(), h, alpha=scale)
                elif grad_weight is not None:
                    grad_weight[:vocab].add_(torch.mm(dz.t(), h), alpha=scale)
        loss, kl, ce = sums * scale
        if grad_hidden is not None:
            grad_hidden *= scale
        grads = (grad_hidden, grad_weight, grad_bias, grad_values)
        ctx.save_for_backward(
            *(
                None if grad is None else grad.to(like.dtype)
                for grad, like in zip(grads, (hidden, weight, bias, values), strict=True)
            )
        )
        ctx.mark_non_differentiable(kl, ce)
        return loss, kl, ce

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, upstream: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        grads = ctx.saved_tensors
        # The usual upstream gradient is 1; a GPU would have to be waited for to know.
        if upstream.device.type != "cpu" or upstream.item() != 1:
            grads = tuple(None if grad is None else grad * upstream for grad in grads)
        return *grads, None, None, None, None, None


def _slices(start: int, stop: int, size: int) -> list[slice]:
    """Consecutive slices of `size`, the last one maybe shorter."""
    return [slice(at, min(at + size, stop)) for at in range(start, stop, size)]


def _multiply(a: Tensor, b: Tensor, *, out: Tensor, scale: float = 1.0) -> None:
    """Write scale * (a @ b), the product worked out in the type of `a`, to `out`."""
    if a.dtype == out.dtype:
        torch.addmm(out, a, b, beta=0, alpha=scale, out=out)  # beta=0: `out` is never read
    else:
        out.copy_(torch.mm(a, b)).mul_(scale)  # scaled in the wider type


def _logits_to_gradient(
    z: Tensor,
    spare: Tensor,
    gold: Tensor,
    targets: SparseTargets | None,
    settings: LossSettings,
    alpha: float | Tensor,
) -> Tensor:
    """Turn logits / T, `z` [rows, vocab], in place into the loss's gradient by the logits.

    `spare` is memory of the same shape, `alpha` that of these rows. Returns the sums over rows of
    the loss, the divergence and the cross-entropy.
    """
    temperature = settings.temperature
    if targets is None:
        ids = gold.new_zeros(len(z), 0)
        probs, tail = z.new_zeros(len(z), 0), z.new_zeros(len(z))
    else:
        ids, probs, tail = targets.ids, targets.probs.to(z.dtype), targets.tail.to(z.dtype)
    present = ids >= 0
    ids = ids.clamp_min(0)
    has_gold = gold != NO_GOLD
    gold = gold.masked_fill(~has_gold, 0)[:, None]
    z_gold = z.gather(1, gold).squeeze(1)
    z_kept = z.gather(1, ids).masked_fill_(~present, -torch.inf)

    # An absent id adds 0 somewhere; were it written instead, it could undo a neighbour.
    z.scatter_add_(1, ids, torch.zeros_like(z_kept).masked_fill_(present, -torch.inf))
    top = z.amax(1)
    no_rest = top == -torch.inf
    top.masked_fill_(no_rest, 0.0)
    rest = z.sub_(top[:, None]).exp_()  # in (0, 1], at its maximum 1
    rest_sum = rest.sum(1)
    log_rest = top + rest_sum.log()
    rest_sum.masked_fill_(no_rest, 1.0)

    # Cross-entropy, at temperature 1: softmax(z) of the rest is rest ** T, up to a factor.
    same = temperature == 1
    rest_hard = rest if same else torch.pow(rest, temperature, out=spare)
    hard_sum = rest_sum if same else rest_hard.sum(1).masked_fill_(no_rest, 1.0)
    top_hard, kept_hard = temperature * top, temperature * z_kept
    log_rest_hard = (top_hard + hard_sum.log()).masked_fill_(no_rest, -torch.inf)
    log_all = torch.cat([kept_hard, log_rest_hard[:, None]], dim=1).logsumexp(1)
    ce = (log_all - temperature * z_gold).masked_fill(~has_gold, 0.0)
    ce_weight = (1 - alpha) * has_gold.to(z.dtype)
    hard_factor = (ce_weight * (top_hard - log_all).exp_()).masked_fill_(no_rest, 0.0)
    grad_kept = ce_weight[:, None] * (kept_hard - log_all[:, None]).exp_()

    kl = torch.zeros_like(ce)
    soft_factor = torch.zeros_like(hard_factor)
    if targets is not None:
        log_q = torch.cat([z_kept, log_rest[:, None]], dim=1)
        log_q -= log_q.logsumexp(1, keepdim=True)
        absent = torch.cat([~present, no_rest[:, None]], dim=1)
        p = torch.cat([probs, tail[:, None]], dim=1).masked_fill_(absent, 0.0)
        kl, g, q = _divergence(p, log_q.masked_fill_(absent, 0.0), absent, settings.divergence)
        share = alpha[:, None] if isinstance(alpha, Tensor) else alpha
        d = share * temperature * (g - g.sum(1, keepdim=True) * q)
        grad_kept += d[:, :-1]
        soft_factor = d[:, -1] / rest_sum

    # z, by now `rest`, becomes the gradient; `rest_hard` may be the same tensor.
    if same:
        z.mul_((soft_factor + hard_factor)[:, None])
    elif targets is None:
        z.mul_(hard_factor[:, None])
    else:
        z.mul_(soft_factor[:, None]).addcmul_(rest_hard, hard_factor[:, None])
    z.scatter_add_(1, ids, grad_kept)
    z.scatter_add_(1, gold, -ce_weight[:, None])
    loss = alpha * temperature**2 * kl + (1 - alpha) * ce
    return torch.stack([loss.sum(), kl.sum(), ce.sum()])


def _divergence(
    p: Tensor, log_q: Tensor, absent: Tensor, divergence: Divergence
) -> tuple[Tensor, Tensor, Tensor]:
    """The divergence of each row; its derivative by log q, up to a multiple of q (which the softmax
    removes); and q. Absent buckets have p = 0 and log q = 0."""
    tiny = torch.finfo(p.dtype).tiny
    log_p = p.clamp_min(tiny).log_()
    q = log_q.exp().masked_fill_(absent, 0.0)
    if divergence == "forward_kl":
        return (p * (log_p - log_q)).sum(1), -p, q
    if divergence == "reverse_kl":
        g = q * (log_q - log_p)
        return g.sum(1), g, q
    log_m = ((p + q) / 2).clamp_min(tiny).log_()
    g = q * (log_q - log_m) / 2
    return g.sum(1) + (p * (log_p - log_m)).sum(1) / 2, g, q
