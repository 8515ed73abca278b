"""Decoded soft labels, as the distillation loss takes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Kind = Literal["top_k", "sampled", "label_distribution"]


@dataclass(frozen=True)
class SparseTargets:
    """Sparse teacher distributions, one a row.

    `ids` int64[rows, k], -1 where absent, no id twice in a row; `probs` float32[rows, k], the
    teacher's probabilities at `temperature`, 0 where absent; `tail` float32[rows], the mass of
    all ids not listed, 0 where the label makes no statement about them.
    """

    ids: torch.Tensor
    probs: torch.Tensor
    tail: torch.Tensor
    temperature: float
    kind: Kind | Literal["mixed"] = "top_k"

    def remap(self, mapping: torch.Tensor) -> SparseTargets:
        """Rename ids through `mapping`, int64[teacher vocabulary] -> student id, -1 for none.

        What becomes of a token the student lacks depends on the encoding. top_k: its mass joins
        the tail. sampled: it is dropped and nothing is renormalised, so that the row weighs as
        much as is left of it; the gradient stays unbiased for the divergence over the student's
        own tokens. label_distribution: refused, since a student must know every class.

        Raises ValueError if an id lies beyond `mapping`, if two tokens would become one, or if a
        class has no token.
        """
        import torch

        present = self.ids >= 0
        if self.ids.numel() and int(self.ids.max()) >= len(mapping):
            raise ValueError(f"id {int(self.ids.max())} lies beyond the mapping's {len(mapping)}")
        if int(torch.bincount(mapping[mapping >= 0], minlength=1).max()) > 1:
            raise ValueError("mapping gives two teacher tokens the same student id")
        ids = torch.where(present, mapping.to(self.ids.device)[self.ids.clamp_min(0)], -1)
        lost = present & (ids < 0)
        if self.kind == "label_distribution" and bool(lost.any()):
            missing = sorted(set(self.ids[lost].tolist()))
            raise ValueError(f"the student's vocabulary lacks the class tokens {missing}")
        tail = self.tail
        if self.kind == "top_k":
            tail = tail + self.probs.masked_fill(~lost, 0.0).sum(1)
        return replace(self, ids=ids, probs=self.probs.masked_fill(lost, 0.0), tail=tail)

    def to(self, device: torch.device | str) -> SparseTargets:
        return replace(
            self, ids=self.ids.to(device), probs=self.probs.to(device), tail=self.tail.to(device)
        )

    def slice(self, start: int, stop: int) -> SparseTargets:
        """Rows `start` to `stop`."""
        return replace(
            self,
            ids=self.ids[start:stop],
            probs=self.probs[start:stop],
            tail=self.tail[start:stop],
        )

    @staticmethod
    def empty(rows: int, temperature: float) -> SparseTargets:
        """Rows without a soft label: they add nothing to the divergence."""
        import torch

        return SparseTargets(
            ids=torch.full((rows, 1), -1),
            probs=torch.zeros(rows, 1),
            tail=torch.zeros(rows),
            temperature=temperature,
            kind="mixed",
        )

    @staticmethod
    def concatenate(pieces: Sequence[SparseTargets]) -> SparseTargets:
        """Stack rows, padded to the widest; different encodings make `kind` "mixed"."""
        import torch
        from torch.nn.functional import pad

        temperatures = {piece.temperature for piece in pieces}
        if len(temperatures) > 1:
            raise ValueError(f"targets of different temperatures: {sorted(temperatures)}")
        width = max(piece.ids.shape[1] for piece in pieces)
        kinds = {piece.kind for piece in pieces}
        return SparseTargets(
            ids=torch.cat([pad(p.ids, (0, width - p.ids.shape[1]), value=-1) for p in pieces]),
            probs=torch.cat([pad(p.probs, (0, width - p.probs.shape[1])) for p in pieces]),
            tail=torch.cat([p.tail for p in pieces]),
            temperature=temperatures.pop(),
            kind=kinds.pop() if len(kinds) == 1 else "mixed",
        )
