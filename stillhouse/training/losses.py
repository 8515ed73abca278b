"""The distillation loss: alpha * T^2 * D(teacher_T || student_T) + (1 - alpha) * CE.

`distillation_loss` is what trains; `reference_loss` is the same as a plain formula, to read and
to test against. T^2 keeps the soft part's gradient on the hard part's scale as T changes (Hinton
et al., 2015). Both take rows, not sequences: gather the supervised positions first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillhouse.training.objective import NO_GOLD, Divergence, TrainedRows

if TYPE_CHECKING:
    import torch

    from stillhouse.soft_labels.targets import SparseTargets


@dataclass
class LossParts:
    """`loss` to call backward on; its parts, detached and without their weights, to report.

    All three are sums over rows divided by `denominator`. `kl` is the divergence asked for.
    Under sampled labels it is taken from the draws, and so exceeds the whole distribution's by
    the entropy the draws lack: a constant of the labels, without any effect on the gradient.
    """

    loss: torch.Tensor
    kl: torch.Tensor
    ce: torch.Tensor


def distillation_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    gold: torch.Tensor,
    targets: SparseTargets | None,
    *,
    alpha: float | torch.Tensor,
    temperature: float,
    denominator: int | float,
    valid_vocab: int | None = None,
    bias: torch.Tensor | None = None,
    divergence: Divergence = "forward_kl",
    chunk_rows: int | None = None,
    rows: TrainedRows | None = None,
) -> LossParts:
    """Loss and gradients of supervised rows, without ever holding all their logits.

    Args:
        hidden: [rows, width], the last hidden states at the positions that *predict* a supervised
            token. Gather them first, `hidden[mask]`: rows left out cost nothing.
        weight: [vocab, width], the output embedding. If it is tied to the input embedding, its
            two gradients add up by themselves; if it is frozen, none is computed.
        gold: int64[rows], `NO_GOLD` where a row has no gold token.
        targets: soft labels of the same rows, with the student's ids; None for plain
            cross-entropy, whatever `alpha` is.
        alpha: the soft labels' share of the loss, of all rows or float32[rows].
        denominator: supervised tokens in the whole accumulated batch, all micro-batches and all
            processes. Losses of micro-batches then simply add up.
        valid_vocab: columns from here on are padding of the embedding: no probability, no
            gradient.
        divergence: between the ids listed, and all others as one more bucket when the label gives
            the others' mass. Sampled labels are an estimate for `forward_kl` alone.
        chunk_rows: rows worked on at once; by default as many as make 64 MiB of logits.
        rows: the part of a frozen `weight` that has gradients all the same. They cost next to
            nothing, those of the whole weight as much as the rest of the loss.

    Gradients are computed along with the loss and kept until backward, once in float32 (float64
    for float64 input), whatever the input's type. Raises ValueError for inputs that do not fit
    together.
    """
    from stillhouse.training.fused_loss import LossSettings, fused_loss

    targets = _checked(hidden, weight, gold, targets, temperature, valid_vocab, divergence)
    settings = LossSettings(
        # One pass serves both temperatures when there is no soft label.
        alpha=alpha if targets is not None else 0.0,
        temperature=temperature if targets is not None else 1.0,
        denominator=float(denominator),
        vocab=valid_vocab or len(weight),
        divergence=divergence,
        chunk_rows=chunk_rows,
    )
    return LossParts(*fused_loss(hidden, weight, bias, gold, targets, settings, rows))


def reference_loss(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    gold: torch.Tensor,
    targets: SparseTargets | None,
    *,
    alpha: float | torch.Tensor,
    temperature: float,
    denominator: int | float,
    valid_vocab: int | None = None,
    bias: torch.Tensor | None = None,
    divergence: Divergence = "forward_kl",
    chunk_rows: int | None = None,  # noqa: ARG001 (one signature for both)
    rows: TrainedRows | None = None,
) -> LossParts:
    """`distillation_loss` as plain autograd over all logits at once."""
    import torch
    from torch.nn.functional import cross_entropy, linear

    if rows is not None:
        weight = weight.detach().index_copy(0, rows.ids, rows.values.to(weight.dtype))
    targets = _checked(hidden, weight, gold, targets, temperature, valid_vocab, divergence)
    exact = torch.promote_types(hidden.dtype, torch.float32)
    logits = linear(hidden.to(exact), weight.to(exact), None if bias is None else bias.to(exact))
    logits = logits[:, :valid_vocab]
    ce = cross_entropy(logits, gold, ignore_index=NO_GOLD, reduction="none")
    if targets is None:
        total = ce.sum() / denominator
        return LossParts(total, torch.zeros_like(total), total.detach())

    log_q = (logits / temperature).log_softmax(1)
    present = targets.ids >= 0
    listed = torch.zeros_like(log_q, dtype=torch.bool)
    listed[present.nonzero()[:, 0], targets.ids[present]] = True
    log_q_kept = log_q.gather(1, targets.ids.clamp_min(0)).masked_fill(~present, -torch.inf)
    log_q_rest = log_q.masked_fill(listed, -torch.inf).logsumexp(1, keepdim=True)
    # One bucket for each id listed and one for all others.
    tail = targets.tail.to(exact).masked_fill(listed.all(1), 0.0)
    p = torch.cat([targets.probs.to(exact), tail[:, None]], dim=1)
    log_p = p.clamp_min(torch.finfo(exact).tiny).log()
    # An empty bucket has no probability and no gradient, where -inf would make it NaN.
    empty = torch.cat([~present, listed.all(1, keepdim=True)], dim=1)
    log_q = torch.cat([log_q_kept, log_q_rest], dim=1).masked_fill(empty, 0.0)
    q = log_q.exp().masked_fill(empty, 0.0)
    if divergence == "forward_kl":
        terms = p * (log_p - log_q)
    elif divergence == "reverse_kl":
        terms = q * (log_q - log_p)
    else:
        log_m = ((p + q) / 2).clamp_min(torch.finfo(exact).tiny).log()
        terms = (p * (log_p - log_m) + q * (log_q - log_m)) / 2
    kl = terms.sum(1)
    loss = alpha * temperature**2 * kl + (1 - alpha) * ce
    parts = [part.sum() / denominator for part in (loss, kl.detach(), ce.detach())]
    return LossParts(*parts)


def hidden_distance(
    hidden: Sequence[torch.Tensor], goal: torch.Tensor, share: torch.Tensor
) -> torch.Tensor:
    """How far the outputs of layers, each [rows, width], are from their `goal` [layers, rows,
    width]: the squared distance over the goal's own squared length, averaged over layers and over
    rows by their `share` [rows].

    Each position is measured by its own length. A few tokens, the first above all, have hidden
    states thousands of times as long as the others: measured by the layer's mean, they alone would
    count.
    """
    import torch

    total = goal.new_zeros((), dtype=torch.float32)
    for ours, theirs in zip(hidden, goal.float(), strict=True):
        length = theirs.square().sum(-1).clamp_min(torch.finfo(torch.float32).tiny)
        total = total + ((ours.float() - theirs).square().sum(-1) / length * share).sum()
    return total / len(goal)


def _checked(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    gold: torch.Tensor,
    targets: SparseTargets | None,
    temperature: float,
    valid_vocab: int | None,
    divergence: Divergence,
) -> SparseTargets | None:
    """Refuse what would train on nonsense; move the targets beside the hidden states."""
    rows, vocab = len(hidden), valid_vocab or len(weight)
    if hidden.ndim != 2 or weight.ndim != 2 or hidden.shape[1] != weight.shape[1]:
        raise ValueError(
            f"hidden [rows, width] and weight [vocab, width] expected, got "
            f"{tuple(hidden.shape)} and {tuple(weight.shape)}"
        )
    if gold.shape != (rows,) or (targets is not None and len(targets.ids) != rows):
        raise ValueError(f"{rows} rows of hidden states, but another number of labels")
    if vocab > len(weight):
        raise ValueError(f"valid_vocab={vocab} of {len(weight)} embeddings")
    if targets is None:
        return None
    if targets.temperature != temperature:
        raise ValueError(
            f"targets were decoded at temperature {targets.temperature:g}, the loss runs at "
            f"{temperature:g}"
        )
    if divergence != "forward_kl" and targets.kind in ("sampled", "mixed"):
        raise ValueError(f"{targets.kind} labels estimate forward_kl only, not {divergence}")
    if divergence == "reverse_kl" and targets.kind == "label_distribution":
        raise ValueError("reverse_kl is infinite where a label distribution is zero; use jsd")
    return targets.to(hidden.device)
