"""Padded batches of examples of similar length."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillhouse.lm.prompts import Example

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """Tensors of one forward pass.

    `inputs` are the keyword arguments of the model: input_ids [batch, length] (or inputs_embeds
    [batch, length, hidden]) and attention_mask [batch, length]. `rows` and `columns` [supervised]
    point at the positions that predict response tokens, in order of examples; `gold` [supervised]
    holds those tokens.
    """

    inputs: dict[str, torch.Tensor]
    rows: torch.Tensor
    columns: torch.Tensor
    gold: torch.Tensor

    @property
    def supervised(self) -> int:
        return int(self.gold.numel())


def plan_batches(
    lengths: Sequence[int], batch_size: int, *, seed: int | None = None
) -> list[list[int]]:
    """Indices of the examples of each batch, neighbours in length sharing one.

    With `seed`, examples of about the same length are shuffled among each other, and the batches
    too; without, the longest batch comes first, so that memory runs out at once or never.
    """
    generator = random.Random(seed)
    jitter = [generator.uniform(0.9, 1.1) if seed is not None else 1.0 for _ in lengths]
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i] * jitter[i], i))
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    if seed is not None:
        generator.shuffle(batches)
    return batches


def collate(
    examples: Sequence[Example],
    *,
    pad_id: int,
    device: torch.device,
    embeddings: Sequence[torch.Tensor] | None = None,
) -> Batch:
    """Pad on the right. The last response token is not fed: nothing is predicted from it.

    `embeddings`, one [length, hidden] tensor an example, replace the token ids.
    """
    import torch

    fed = [e.ids[:-1] for e in examples]
    longest = max(len(ids) for ids in fed)
    mask = torch.zeros(len(fed), longest, dtype=torch.long)
    for row, ids in enumerate(fed):
        mask[row, : len(ids)] = 1
    if embeddings is None:
        padded = torch.full((len(fed), longest), pad_id, dtype=torch.long)
        for row, ids in enumerate(fed):
            padded[row, : len(ids)] = torch.tensor(ids)
        inputs = {"input_ids": padded}
    else:
        inputs = {"inputs_embeds": torch.nn.utils.rnn.pad_sequence(list(embeddings), True)}
    positions = [
        (row, column)
        for row, e in enumerate(examples)
        for column in range(e.response_start - 1, len(e.ids) - 1)
    ]
    rows, columns = torch.tensor(positions, device=device).T
    gold = torch.tensor([t for e in examples for t in e.response_ids], device=device)
    moved = {k: v.to(device) for k, v in {**inputs, "attention_mask": mask}.items()}
    return Batch(moved, rows, columns, gold)


def response_hidden(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Last hidden states [supervised, hidden] at the positions that predict response tokens."""
    hidden = model.base_model(**batch.inputs, use_cache=False).last_hidden_state
    found: torch.Tensor = hidden[batch.rows, batch.columns]
    return found
