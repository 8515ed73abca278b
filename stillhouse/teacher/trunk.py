"""The frozen lower layers of a teacher, run once for each prompt instead of once an epoch.

Adaptation trains only the top layers, so what enters them never changes: for all epochs, for
validation, for labelling, and for every teacher version cut from the same weights at the same
layer. On a CPU this is two thirds of the work. The hidden states take length x width x 2 or 4 bytes
a prompt on disk; where that is more than the cache may hold, the whole model runs each time
instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, last_hidden, plan_batches
from stillhouse.lm.hidden_cache import HiddenCache
from stillhouse.lm.prompts import Example

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

BATCH_SIZE = 16


def fits_cache(model: PreTrainedModel, examples: Sequence[Example]) -> bool:
    return HiddenCache.fits(examples, model.config.hidden_size * model.dtype.itemsize)


class Trunk:
    """Hidden states that enter layer `layers` of `model`, cached in `folder`.

    `model` keeps all its layers; the folder's name should say which weights they are.
    """

    def __init__(self, model: PreTrainedModel, layers: int, folder: Path, *, pad_id: int) -> None:
        self.model, self.layers, self.pad_id = model, layers, pad_id
        self.dtype = model.dtype
        self._cache = HiddenCache(folder, self._compute, "Running the frozen layers")

    def prepare(self, examples: Sequence[Example]) -> None:
        """See `HiddenCache.prepare`."""
        self._cache.prepare(examples)

    def __call__(self, examples: Sequence[Example]) -> list[torch.Tensor]:
        """Hidden states [length, width] of prepared `examples`."""
        return [found.to(self.dtype) for found in self._cache(examples)]

    def _compute(self, examples: Sequence[Example]) -> list[torch.Tensor]:
        import torch

        decoder, found = self.model.base_model, [torch.empty(0)] * len(examples)
        every, norm = decoder.layers, decoder.norm
        decoder.layers, decoder.norm = every[: self.layers], torch.nn.Identity()
        try:
            with torch.inference_mode():
                for indices in plan_batches([len(e.ids) for e in examples], BATCH_SIZE):
                    chosen = [examples[i] for i in indices]
                    batch = collate(chosen, pad_id=self.pad_id, device=self.model.device)
                    hidden = last_hidden(self.model, batch).cpu()
                    for i, rows in zip(indices, batch.rows_of_texts(), strict=True):
                        found[i] = hidden[rows]
        finally:
            decoder.layers, decoder.norm = every, norm
        return found


def upper_part(model: PreTrainedModel, layers: int) -> PreTrainedModel:
    """`model` without its first `layers` layers, sharing the weights of the others.

    Fed with `inputs_embeds` from `Trunk`, it gives what the whole model gives.
    """
    import torch

    # Built anew around the same modules: a copy would share what others set on the model itself,
    # such as a `forward` of their own, which calls the whole model.
    with torch.device("meta"):
        upper = type(model)(model.config)
    decoder, whole = upper.base_model, model.base_model
    for name, module in whole.named_children():
        setattr(decoder, name, module)
    decoder.layers = whole.layers[layers:]
    for name, module in model.named_children():
        if name != model.base_model_prefix:
            setattr(upper, name, module)
    return upper.train(model.training)
