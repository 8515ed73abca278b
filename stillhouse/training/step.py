"""One step of the optimizer, and what it learns from."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, layered_hidden, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import Embeddings
from stillhouse.models.loading import output_weight
from stillhouse.training.losses import distillation_loss, hidden_distance
from stillhouse.training.objective import TrainedRows

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from stillhouse.soft_labels.targets import SparseTargets
    from stillhouse.training.masters import Masters

MAX_GRADIENT_NORM = 1.0

TERMS = ("loss", "kl", "ce", "alignment")


@dataclass(frozen=True)
class TrainingData:
    """What is learned from: examples, and by their keys soft labels and stand-in embeddings.

    `targets` returns the soft labels of examples, in order, as rows of response tokens;
    `embeddings` the [length, hidden] inputs that replace their token ids (see teacher/trunk.py).
    `alpha` is the soft labels' share of the loss, or that of each example by its key;
    `temperature` is theirs; without soft labels neither matters. `rows` are those of a frozen
    output embedding that are trained.

    `hidden_states` returns for examples what the outputs of the model's layers are drawn to,
    [layers, length, hidden] each, with a weight of `alignment` that fades out as training goes on.
    Only the examples whose keys are `aligned` are drawn at all; None is every one.
    """

    examples: Sequence[Example]
    targets: Callable[[Sequence[Example]], SparseTargets] | None = None
    temperature: float = 1.0
    alpha: float | Mapping[str, float] = 0.0
    embeddings: Embeddings | None = None
    rows: Callable[[], TrainedRows] | None = None
    hidden_states: Callable[[Sequence[Example]], Sequence[torch.Tensor]] | None = None
    alignment: float = 0.0
    aligned: Set[str] | None = None

    def drawn(self, examples: Sequence[Example]) -> list[int]:
        """Which of them have hidden states to be drawn to."""
        if self.hidden_states is None:
            return []
        return [i for i, e in enumerate(examples) if self.aligned is None or e.key in self.aligned]


class Stepper:
    """Steps of `optimizer`, which moves `masters` of the trained weights of `model`."""

    def __init__(
        self,
        model: PreTrainedModel,
        data: TrainingData,
        masters: Masters,
        optimizer: torch.optim.Optimizer,
        *,
        pad_id: int,
        vocabulary: int,
    ) -> None:
        self.model, self.data = model, data
        self.masters, self.optimizer = masters, optimizer
        self.pad_id, self.vocabulary = pad_id, vocabulary

    def step(self, group: list[list[Example]], alignment: float) -> dict[str, float] | None:
        """One step over micro-batches; returns sums over its supervised tokens and their number.

        `alignment` is the weight of that term now. Returns None, with the weights as they were,
        when a gradient is no finite number.
        """
        import torch
        from torch.nn.utils import clip_grads_with_norm_, get_total_norm

        # All micro-batches share these denominators: averaging each one apart would weigh tokens
        # of short batches more.
        tokens = sum(len(e.response_ids) for micro in group for e in micro)
        # Of what is drawn to a teacher: a few such texts among others count as much as many do.
        positions = sum(len(micro[i].ids) - 1 for micro in group for i in self.data.drawn(micro))
        terms = []
        for micro in group:
            terms.append(self._backward(micro, tokens, positions, alignment))
            self.masters.collect()
        weights = [w for w in self.masters.weights.values() if w.grad is not None]
        norm = get_total_norm([w.grad for w in weights if w.grad is not None])
        # Read at once: a GPU has to be waited for each time.
        *sums, size = torch.stack([*torch.stack(terms).sum(0), norm]).tolist()
        if not math.isfinite(size):
            return None
        if size > MAX_GRADIENT_NORM:
            clip_grads_with_norm_(weights, MAX_GRADIENT_NORM, norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.masters.publish()
        parts = {name: total * tokens for name, total in zip(TERMS, sums, strict=True)}
        parts |= {"tokens": float(tokens), "aligned": float(tokens)}
        drawn = alignment and positions
        return parts if drawn else {n: v for n, v in parts.items() if "align" not in n}

    def _backward(
        self, micro: list[Example], tokens: int, positions: int, alignment: float
    ) -> torch.Tensor:
        """Add up gradients; returns `TERMS`."""
        import torch

        model, data = self.model, self.data
        batch = collate(
            micro,
            pad_id=self.pad_id,
            device=model.device,
            embeddings=data.embeddings(micro) if data.embeddings else None,
        )
        drawn = None
        texts = data.drawn(micro) if alignment else []
        if texts and data.hidden_states is not None:
            hidden, states = layered_hidden(model, batch)
            goal = torch.cat(list(data.hidden_states([micro[i] for i in texts])), dim=1)
            rows, first, counts = batch.distinct_rows(texts)
            drawn = hidden_distance(
                [state[rows] for state in states],
                goal.to(hidden.device)[:, first],
                counts / positions,
            )
        else:
            hidden = response_hidden(model, batch)
        parts = distillation_loss(
            hidden,
            output_weight(model),
            batch.gold,
            data.targets(micro).to(batch.gold.device) if data.targets else None,
            alpha=self._alpha(micro),
            temperature=data.temperature,
            denominator=tokens,
            valid_vocab=self.vocabulary,
            rows=data.rows() if data.rows else None,
        )
        loss = parts.loss if drawn is None else parts.loss + alignment * drawn
        loss.backward()  # type: ignore[no-untyped-call]
        drawn = torch.zeros_like(parts.ce) if drawn is None else drawn.detach()
        return torch.stack([parts.loss.detach(), parts.kl, parts.ce, drawn])

    def _alpha(self, micro: list[Example]) -> float | torch.Tensor:
        """Of all rows of response tokens, or of each."""
        import torch

        alpha = self.data.alpha
        if not isinstance(alpha, Mapping):
            return alpha
        rows = [alpha[e.key] for e in micro for _ in e.response_ids]
        return torch.tensor(rows, device=self.model.device)
