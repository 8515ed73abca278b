"""What a student's layers are drawn to at first: the outputs of those they were cut from.

A student begins as some of its teacher's layers, each used to what the layers between them made of
its input. Drawn to give what its teacher's layer gives, it is soon near where the teacher is, and
goes on from there (a term that fades; see `stillhouse.training.losses.hidden_distance`). Layer by
layer as in Sun et al., "Patient Knowledge Distillation", 2019, without their normalised vectors.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.lm.batches import collate, layered_hidden, plan_batches
from stillhouse.lm.hidden_cache import HiddenCache
from stillhouse.lm.prompts import Example
from stillhouse.models.loading import load_model, pick_device, pick_dtype
from stillhouse.storage.files import read_json

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

BATCH_SIZE = 16
BYTES = 2  # of a number: kept in bfloat16, whatever computed it


class TeacherStates:
    """Outputs of the `layers` of the teacher in a folder, on a student's `examples`.

    `teacher_ids` [student vocabulary] names the student's tokens as the teacher does; None is the
    same vocabulary. Everything is computed by `prepare`, or when the first is asked for, and kept
    below `folder`, which is theirs alone, under a `name` that says which teacher and layers; what
    is there under another name is removed. Where that is too much for the cache, the teacher runs
    each time.
    """

    def __init__(
        self,
        teacher: Path,
        layers: Sequence[int],
        examples: Sequence[Example],
        folder: Path,
        name: str,
        *,
        teacher_ids: NDArray[np.int64] | None,
        pad_id: int,
    ) -> None:
        self.teacher, self.layers = teacher, tuple(layers)
        self.examples, self.folder, self.name = examples, folder, name
        self.teacher_ids, self.pad_id = teacher_ids, pad_id
        self._cache: HiddenCache | None = None
        self._model: PreTrainedModel | None = None
        width = read_json(teacher / "config.json")["hidden_size"]
        self._fits = HiddenCache.fits(examples, width * len(layers) * BYTES)

    def prepare(self) -> None:
        """Compute all there is to compute, where it fits the cache, and let the teacher go."""
        if self._fits and self._cache is None:
            for other in self.folder.glob("*"):
                if other.name != self.name:
                    shutil.rmtree(other, ignore_errors=True)
            kept = self.folder / self.name
            self._cache = HiddenCache(kept, self._compute, "Running the teacher")
            self._cache.prepare(self.examples)
            self._model = None  # it has done its work

    def __call__(self, examples: Sequence[Example]) -> list[torch.Tensor]:
        """For each example bfloat16[layers, length, hidden]."""
        self.prepare()
        return self._compute(examples) if self._cache is None else self._cache(examples)

    def _compute(self, examples: Sequence[Example]) -> list[torch.Tensor]:
        import torch

        model, found = self._loaded(), [torch.empty(0)] * len(examples)
        with torch.no_grad():
            for indices in plan_batches([len(e.ids) for e in examples], BATCH_SIZE):
                chosen = [self._renamed(examples[i]) for i in indices]
                batch = collate(chosen, pad_id=self.pad_id, device=model.device)
                _, states = layered_hidden(model, batch, self.layers)
                outputs = torch.stack([s.to(torch.bfloat16) for s in states]).cpu()
                for i, rows in zip(indices, batch.rows_of_texts(), strict=True):
                    found[i] = outputs[:, rows]
        return found

    def _loaded(self) -> PreTrainedModel:
        """The teacher up to the highest layer needed."""
        if self._model is None:
            device = pick_device()
            self._model = load_model(self.teacher, device, pick_dtype(device))
            decoder = self._model.base_model
            decoder.layers = decoder.layers[: max(self.layers) + 1]
        return self._model

    def _renamed(self, example: Example) -> Example:
        if self.teacher_ids is None:
            return example
        ids = self.teacher_ids[example.ids].tolist()
        return Example(example.key, ids, example.response_start)
