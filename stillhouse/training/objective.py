"""What the loss is asked for, said where torch is not needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Divergence = Literal["forward_kl", "reverse_kl", "jsd"]

# A row's gold token where there is none; the value transformers uses.
NO_GOLD = -100


@dataclass(frozen=True)
class TrainedRows:
    """Rows of an output embedding that are trained while the others are frozen.

    `values` [rows, width] get the gradients; the embedding holds the same numbers at `ids`.
    """

    ids: torch.Tensor
    values: torch.Tensor
