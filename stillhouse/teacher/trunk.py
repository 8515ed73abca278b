"""The frozen lower layers of a teacher, run once for each prompt instead of once an epoch.

Adaptation trains only the top layers, so what enters them never changes: for all epochs, for
validation, for labelling, and for every teacher version cut from the same weights at the same
layer. On a CPU this is two thirds of the work. The hidden states take length x width x 4 bytes a
prompt on disk; above `MAX_CACHE_BYTES` the whole model runs each time instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, plan_batches
from stillhouse.lm.prompts import Example
from stillhouse.progress import track
from stillhouse.storage.files import atomic_file, digest

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

MAX_CACHE_BYTES = 4 << 30
SHARD_EXAMPLES = 128


def fits_cache(model: PreTrainedModel, examples: Sequence[Example]) -> bool:
    width = model.config.hidden_size * model.dtype.itemsize
    return sum(len(e.ids) for e in examples) * width <= MAX_CACHE_BYTES


class Trunk:
    """Hidden states that enter layer `layers` of `model`, cached in `folder`.

    `model` keeps all its layers; the folder's name should say which weights they are.
    """

    def __init__(self, model: PreTrainedModel, layers: int, folder: Path, *, pad_id: int) -> None:
        self.model, self.layers, self.pad_id = model, layers, pad_id
        self.folder = folder
        self._found: dict[str, torch.Tensor] = {}

    def prepare(self, examples: Sequence[Example], *, batch_size: int = 16) -> None:
        """Compute what is missing, in shards that survive a kill, and keep it in memory.

        What is cached of other texts is removed: they left the dataset.
        """
        from safetensors.torch import load_file

        self.folder.mkdir(parents=True, exist_ok=True)
        wanted = {_key(e): e for e in examples}
        for shard in sorted(self.folder.glob("*.safetensors")):
            stored = load_file(shard)
            kept = {k: v for k, v in stored.items() if k in wanted}
            if len(kept) < len(stored):
                self._save(kept)
                shard.unlink(missing_ok=True)
            self._found.update(kept)
        missing = [e for k, e in wanted.items() if k not in self._found]
        missing.sort(key=lambda e: -len(e.ids))
        shards = [missing[i : i + SHARD_EXAMPLES] for i in range(0, len(missing), SHARD_EXAMPLES)]
        for shard_examples in track(shards, "Running the frozen layers", unit="shards"):
            hidden = self._compute(shard_examples, batch_size)
            self._save(hidden)
            self._found.update(hidden)

    def __call__(self, examples: Sequence[Example]) -> list[torch.Tensor]:
        """Hidden states [length, width] of prepared `examples`."""
        return [self._found[_key(e)].to(self.model.dtype) for e in examples]

    def _save(self, hidden: dict[str, torch.Tensor]) -> None:
        from safetensors.torch import save_file

        if hidden:
            with atomic_file(self.folder / f"{digest(sorted(hidden))}.safetensors") as temporary:
                save_file(hidden, temporary)

    def _compute(self, examples: Sequence[Example], batch_size: int) -> dict[str, torch.Tensor]:
        import torch

        decoder, found = self.model.base_model, {}
        every, norm = decoder.layers, decoder.norm
        decoder.layers, decoder.norm = every[: self.layers], torch.nn.Identity()
        try:
            with torch.inference_mode():
                for indices in plan_batches([len(e.ids) for e in examples], batch_size):
                    chosen = [examples[i] for i in indices]
                    batch = collate(chosen, pad_id=self.pad_id, device=self.model.device)
                    hidden = decoder(**batch.inputs, use_cache=False).last_hidden_state.cpu()
                    for row, example in zip(hidden, chosen, strict=True):
                        found[_key(example)] = row[: len(example.ids) - 1].clone()
        finally:
            decoder.layers, decoder.norm = every, norm
        return found


def _key(example: Example) -> str:
    return digest(example.ids[:-1])


def upper_part(model: PreTrainedModel, layers: int) -> PreTrainedModel:
    """`model` without its first `layers` layers, sharing the weights of the others.

    Fed with `inputs_embeds` from `Trunk`, it gives what the whole model gives.
    """
    import copy

    upper = copy.copy(model)
    upper._modules = dict(model._modules)
    decoder = copy.copy(model.base_model)
    decoder._modules = dict(model.base_model._modules)
    decoder.layers = model.base_model.layers[layers:]
    setattr(upper, model.base_model_prefix, decoder)
    return upper
