"""How well a causal LM follows answers that are known: what it would say at each of their tokens,
given all before. One pass for a whole answer, where writing it takes one a token."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, plan_batches, response_hidden
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import LOGITS_HELD, Embeddings
from stillhouse.models.loading import output_weight

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def followed(
    model: PreTrainedModel,
    examples: Sequence[Example],
    *,
    pad_id: int,
    vocabulary: int,
    batch_size: int = 16,
    embeddings: Embeddings | None = None,
) -> tuple[float, float]:
    """The share of the response tokens that are the likeliest of the first `vocabulary` tokens, and
    the mean negative log-likelihood of one, in nats.

    `embeddings` stand in for token ids when the model is only the upper part of one.
    """
    import torch

    weight = output_weight(model)[:vocabulary]  # padded beyond it, it holds no tokens
    step = max(1, LOGITS_HELD // len(weight))
    tokens, right, loss = 0, 0, 0.0
    with torch.inference_mode():
        for indices in plan_batches([len(e.ids) for e in examples], batch_size):
            chosen = [examples[i] for i in indices]
            batch = collate(
                chosen,
                pad_id=pad_id,
                device=model.device,
                embeddings=embeddings(chosen) if embeddings else None,
            )
            hidden = response_hidden(model, batch)
            for rows, gold in zip(hidden.split(step), batch.gold.split(step), strict=True):
                logits = (rows @ weight.T).float()
                right += int((logits.argmax(-1) == gold).sum())
                loss += float(torch.nn.functional.cross_entropy(logits, gold, reduction="sum"))
            tokens += batch.supervised
    return right / tokens, loss / tokens
