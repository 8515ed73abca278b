"""Records of soft labels: a few bytes a supervised token, and what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import torch

EncodingKind = Literal["top_k", "sampled", "label_distribution", "hidden"]

# The last of the draws of a row has this bit of its third byte set. Rows then need no lengths.
LAST_IN_ROW = 1 << 7


@dataclass(frozen=True)
class LabelEncoding:
    """What a record means; written into every shard's header.

    `entries` is k, the number of draws or of classes, or the width of a hidden state. `label_ids`
    holds the classes' token ids (`label_distribution` only). A `sampled` record follows the one
    temperature it was drawn at, a `top_k` record those listed; the others are complete and follow
    any, so they list none.
    """

    kind: EncodingKind
    entries: int
    temperatures: tuple[float, ...] = ()
    label_ids: tuple[int, ...] = ()

    def holds(self, temperature: float) -> bool:
        """Whether its records follow `temperature`."""
        return not self.temperatures or temperature in self.temperatures


@dataclass(frozen=True)
class LabelRecords:
    """Encoded rows. All `arrays` share their first axis, on which rows lie in order.

    top_k: `ids` uint32[rows, k], `log_probs` float32[rows, k] (at temperature 1),
    `tails` float32[rows, temperatures]. sampled: `draws` uint8[distinct draws, 3].
    label_distribution: `log_probs` float32[rows, classes]. hidden: `hidden` uint16[rows, width],
    the bits of bfloat16.
    """

    encoding: LabelEncoding
    arrays: dict[str, np.ndarray]

    @property
    def entries(self) -> int:
        """Length of the arrays' first axis: rows, or for `sampled` distinct draws."""
        return len(next(iter(self.arrays.values())))

    @property
    def rows(self) -> int:
        return len(self.row_ends())

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays.values())

    def split(self, lengths: Sequence[int]) -> list[LabelRecords]:
        """Cut into consecutive pieces of `lengths` rows, say one per pair of a batch."""
        ends = self.row_ends()
        if sum(lengths) != len(ends):
            raise ValueError(f"lengths add up to {sum(lengths)}, there are {len(ends)} rows")
        pieces, row, start = [], 0, 0
        for length in lengths:
            row += length
            stop = int(ends[row - 1]) if row else 0
            pieces.append(self.slice(start, stop))
            start = stop
        return pieces

    def slice(self, start: int, stop: int) -> LabelRecords:
        """Entries `start` to `stop` of the first axis."""
        return replace(self, arrays={name: a[start:stop] for name, a in self.arrays.items()})

    @staticmethod
    def concatenate(pieces: Sequence[LabelRecords]) -> LabelRecords:
        import numpy as np

        first = pieces[0]
        if any(piece.encoding != first.encoding for piece in pieces):
            raise ValueError("records of different encodings do not concatenate; decode them first")
        return replace(
            first,
            arrays={
                name: np.concatenate([p.arrays[name] for p in pieces]) for name in first.arrays
            },
        )

    def row_ends(self) -> np.ndarray:
        """Where each row ends on the first axis, int64[rows]."""
        import numpy as np

        if self.encoding.kind == "sampled":
            return np.flatnonzero(self.arrays["draws"][:, 2] & LAST_IN_ROW) + 1
        return np.arange(1, self.entries + 1)


def as_array(tensor: torch.Tensor, dtype: str) -> np.ndarray:
    """A tensor of any device as an array of its own."""
    array: np.ndarray = tensor.detach().cpu().numpy().astype(dtype)
    return array
