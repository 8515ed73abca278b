"""Batches of examples of similar length."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stillhouse.lm.packing import Packing, can_pack, pack, run_packed
from stillhouse.lm.prompts import Example

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

IGNORED = -100


@dataclass(frozen=True)
class Batch:
    """Tensors of one forward pass.

    `tokens` are the ids of all texts one after another (int64 [tokens]), or their embeddings
    [tokens, hidden]; `packing` says which of them stand where. `rows` and `columns` [supervised]
    point at the positions that predict response tokens, in order of examples, and `gold`
    [supervised] holds those tokens. `needed` are the packed rows of these positions, each once.
    """

    tokens: torch.Tensor
    packing: Packing
    lengths: tuple[int, ...]
    pad_id: int
    rows: torch.Tensor
    columns: torch.Tensor
    gold: torch.Tensor
    needed: torch.Tensor

    def rows_of_texts(self) -> list[torch.Tensor]:
        """The packed rows [length] of each text's tokens, on the CPU."""
        grid = self.packing.grid.cpu()
        return [row[:length] for row, length in zip(grid, self.lengths, strict=True)]

    def distinct_rows(
        self, texts: Sequence[int]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The packed rows of these texts' tokens, each once; where each stands first among the
        tokens of these texts one after another; and in how many of them it stands."""
        import torch

        every = self.rows_of_texts()
        tokens = torch.cat([every[text] for text in texts])
        rows, places, counts = tokens.unique(return_inverse=True, return_counts=True)
        first = torch.full_like(rows, len(tokens))
        first.scatter_reduce_(0, places, torch.arange(len(tokens)), "amin")
        device = self.tokens.device
        return rows.to(device), first.to(device), counts.to(device)

    @property
    def supervised(self) -> int:
        return int(self.gold.numel())

    @cached_property
    def inputs(self) -> dict[str, torch.Tensor]:
        """Keyword arguments for a model that knows nothing of packing: input_ids [batch, length]
        (or inputs_embeds [batch, length, hidden]) and attention_mask, padded on the right."""
        import torch
        from torch.nn.utils.rnn import pad_sequence

        texts = self.tokens.split(self.lengths)
        mask = [torch.ones(n, dtype=torch.long, device=self.tokens.device) for n in self.lengths]
        named = {"attention_mask": pad_sequence(mask, True)}
        if self.tokens.is_floating_point():
            return {"inputs_embeds": pad_sequence(texts, True), **named}
        return {"input_ids": pad_sequence(texts, True, self.pad_id), **named}


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
    """Examples side by side. The last response token is not fed: nothing is predicted from it.

    `embeddings`, one [length, hidden] tensor an example, replace the token ids.
    """
    import torch

    fed = [e.ids[:-1] for e in examples]
    packing = pack(fed)
    if embeddings is None:
        tokens = torch.tensor([token for ids in fed for token in ids])
    else:
        tokens = torch.cat(list(embeddings))
    positions = [
        (row, column)
        for row, e in enumerate(examples)
        for column in range(e.response_start - 1, len(e.ids) - 1)
    ]
    rows, columns = torch.tensor(positions).T
    gold = torch.tensor([t for e in examples for t in e.response_ids])
    return Batch(
        tokens.to(device),
        packing.to(device),
        tuple(map(len, fed)),
        pad_id,
        rows.to(device),
        columns.to(device),
        gold.to(device),
        packing.grid[rows, columns].unique().to(device),
    )


def response_hidden(model: PreTrainedModel, batch: Batch) -> torch.Tensor:
    """Last hidden states [supervised, hidden] at the positions that predict response tokens."""
    return _supervised(batch, last_hidden(model, batch, batch.needed))


def layered_hidden(
    model: PreTrainedModel, batch: Batch, layers: Sequence[int] | None = None
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """`response_hidden`, and what each of `layers` (all by default) gives: [packed rows, hidden],
    before the norm that follows the last one."""
    decoder = model.base_model
    found: dict[int, torch.Tensor] = {}
    numbers = range(len(decoder.layers)) if layers is None else layers

    def keep(number: int) -> Callable[..., None]:
        def hook(_: Any, __: Any, output: torch.Tensor) -> None:
            found[number] = _packed(batch, output)

        return hook

    hooks = [decoder.layers[number].register_forward_hook(keep(number)) for number in numbers]
    try:
        hidden = last_hidden(model, batch)
    finally:
        for hook in hooks:
            hook.remove()
    return _supervised(batch, hidden), [found[number] for number in numbers]


def last_hidden(
    model: PreTrainedModel, batch: Batch, needed: torch.Tensor | None = None
) -> torch.Tensor:
    """Last hidden states [packed rows, hidden]; those that aren't `needed` may mean nothing."""
    decoder = model.base_model
    if can_pack(decoder):
        return run_packed(decoder, batch.tokens, batch.packing, needed=needed)
    return _packed(batch, decoder(**batch.inputs, use_cache=False).last_hidden_state)


def _supervised(batch: Batch, hidden: torch.Tensor) -> torch.Tensor:
    return hidden[batch.packing.grid[batch.rows, batch.columns]]


def _packed(batch: Batch, output: torch.Tensor) -> torch.Tensor:
    """Rows [rows, hidden] of a packed output [1, rows, hidden], maybe rounded up, or of a padded
    one [batch, length, hidden]."""
    places = batch.packing.places
    return output[0, : len(places)] if len(output) == 1 else output.flatten(0, 1)[places]
