"""The teacher's head: from its last hidden states to logits, a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.models.weights import tensor_headers, weight_files
from stillhouse.storage.files import read_json

if TYPE_CHECKING:
    import torch

# Logits multiplied out at once: every chunk reads the whole embedding, so that small ones cost
# time, and large ones memory. Of a chunk, as many are worked on as stay in a CPU's cache.
CHUNK_ELEMENTS = 1 << 24
CACHED_ELEMENTS = 1 << 20

UNTIED, TIED = "lm_head.weight", "model.embed_tokens.weight"


@dataclass(frozen=True)
class Head:
    """`weight` [vocabulary, width] is an output embedding, without rows that pad it beyond the
    tokenizer: no token has them."""

    weight: torch.Tensor

    @staticmethod
    def read(folder: Path, vocabulary: int, device: torch.device) -> Head:
        """That of the model in `folder`, its first `vocabulary` rows, in float32; nothing else of
        the model is read.

        Raises `UserError` when the weights have no output embedding under a known name.
        """
        import torch
        from safetensors import safe_open

        tied = read_json(folder / "config.json").get("tie_word_embeddings", False)
        files = {name: file for file in weight_files(folder) for name in tensor_headers(file)}
        name = UNTIED if UNTIED in files and not tied else TIED
        if name not in files:
            raise UserError(
                f"{folder}: no tensor {name} to turn hidden states into logits with",
                remedy="set `soft_labels.encoding` to sampled or top_k for this teacher.",
            )
        with safe_open(files[name], framework="pt") as file:
            rows = file.get_slice(name)[:vocabulary]
        return Head(rows.to(device, torch.float32))

    def logits(self, hidden: torch.Tensor) -> Iterator[torch.Tensor]:
        """float32[some rows, vocabulary] of `hidden` [rows, width], in order.

        What is yielded is overwritten by the next: memory that is used over and over costs a CPU
        less than fresh pages.
        """
        import torch

        weight = self.weight.detach()
        hidden = hidden.detach().to(weight)
        rows = max(1, CHUNK_ELEMENTS // len(weight))
        few = rows if weight.is_cuda else max(1, CACHED_ELEMENTS // len(weight))
        chunk = weight.new_empty(min(rows, len(hidden)), len(weight))
        for part in hidden.split(rows):
            found = torch.mm(part, weight.T, out=chunk[: len(part)])
            for piece in found.split(few):
                yield piece.float()


def require_finite(values: torch.Tensor) -> None:
    """Raise `UserError` where a forward pass broke: `values` is what any NaN or infinity of a row
    shows in, say the largest logit."""
    import torch

    if not bool(torch.isfinite(values).all()):
        raise UserError(
            "the teacher's logits are not finite",
            remedy="label with the teacher in float32 or bfloat16; float16 overflows",
        )
