"""What a causal LM says of each token of texts: how likely it is, and how likely tokens are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.models.loading import output_weight
from stillhouse.progress import track

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

# Logits at a time. A processor goes through them several times, and is three times as fast where
# they stay in its cache.
LOGITS_HELD = {"cpu": 1 << 20, "cuda": 1 << 25}


@dataclass(frozen=True)
class Scored:
    """Of each response token float [tokens]: its log-probability, the `mean` and `spread` of
    log-probabilities in the whole distribution at its place, and the `best` of them."""

    log_probs: NDArray[Any]
    mean: NDArray[Any]
    spread: NDArray[Any]
    best: NDArray[Any]

    def part(self, start: int, end: int | None = None) -> Scored:
        cut = slice(start, end)
        return Scored(self.log_probs[cut], self.mean[cut], self.spread[cut], self.best[cut])


def score_tokens(
    model: PreTrainedModel,
    examples: Sequence[Example],
    *,
    pad_id: int,
    vocabulary: int,
    batch_size: int = 32,
    description: str = "Reading",
) -> list[Scored]:
    """Scores of the response tokens of examples, in their order.

    Of the first `vocabulary` tokens; what texts of a batch begin with alike is read once.
    """
    import torch

    found: list[Scored | None] = [None] * len(examples)
    weight = output_weight(model)[:vocabulary]  # padded beyond it, it holds no tokens
    batches = plan_batches([len(e.ids) for e in examples], batch_size)
    with torch.inference_mode():
        for indices in track(batches, description, unit="batches"):
            chosen = [examples[i] for i in indices]
            batch = collate(chosen, pad_id=pad_id, device=model.device)
            figures = _figures(response_hidden(model, batch), weight, batch.gold)
            parts = figures.split([len(e.response_ids) for e in chosen], dim=1)
            for index, part in zip(indices, parts, strict=True):
                found[index] = Scored(*part.double().cpu().numpy())
    return [scored for scored in found if scored is not None]


def _figures(hidden: torch.Tensor, weight: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """Log-probability, mean, spread and best [4, rows], for some rows at a time."""
    import torch

    step, parts = max(1, LOGITS_HELD[hidden.device.type] // len(weight)), []
    for rows, tokens in zip(hidden.split(step), gold.split(step), strict=True):
        logs = torch.log_softmax((rows @ weight.T).float(), dim=-1)
        own = logs.gather(-1, tokens[:, None])[:, 0]
        weighed = logs.exp().mul_(logs)
        mean = weighed.sum(-1)
        spread = (weighed.mul_(logs).sum(-1) - mean.square()).clamp(min=1e-12).sqrt()
        parts.append(torch.stack([own, mean, spread, logs.amax(-1)]))
    return torch.cat(parts, dim=1)
