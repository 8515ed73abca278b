"""Soft labels as a student reads them: whatever its tasks' encodings, in its own vocabulary."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError
from stillhouse.soft_labels.codec import decode
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.records import LabelRecords
from stillhouse.soft_labels.store import LabelStore, header_from, open_store
from stillhouse.soft_labels.targets import SparseTargets

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class LabelReader:
    """The stores that hold labels at `temperature`; a pair lies in one of them."""

    stores: Sequence[LabelStore]
    temperature: float

    @staticmethod
    def open(folder: Path, headers: Iterable[Mapping[str, Any]], temperature: float) -> LabelReader:
        """Those below `folder` with these headers (see `SoftLabelsFacts`).

        Raises `UserError` when none holds the temperature.
        """
        found = [h for h in map(header_from, headers) if h.encoding.holds(temperature)]
        if not found:
            raise UserError(
                f"there are no soft labels at distillation.temperature {temperature:g}",
                remedy="materialize `soft_labels` first; `stillhouse run` makes everything in "
                "order.",
            )
        return LabelReader([open_store(folder, header) for header in found], temperature)

    @property
    def needs_head(self) -> bool:
        return any(store.header.encoding.kind == "hidden" for store in self.stores)

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` without labels, each once, in their order."""
        left: Iterable[str] = dict.fromkeys(keys)
        for store in self.stores:
            left = store.missing(left)
        return list(left)

    def targets(
        self,
        keys: Sequence[str],
        *,
        mapping: torch.Tensor | None = None,
        head: Head | None = None,
    ) -> SparseTargets:
        """Rows of these pairs, in their order; `mapping` and `head` are those of `decode`.

        Raises KeyError if a pair has no label.
        """
        owners = [self._owner(key) for key in keys]
        pieces: list[SparseTargets | None] = [None] * len(keys)
        for number in sorted(set(owners)):
            places = [i for i, owner in enumerate(owners) if owner == number]
            records = [self.stores[number].get(keys[i]) for i in places]
            found = decode(
                LabelRecords.concatenate(records), self.temperature, mapping=mapping, head=head
            )
            if len(places) == len(keys):
                return found
            row = 0
            for i, one in zip(places, records, strict=True):
                pieces[i] = found.slice(row, row + one.rows)
                row += one.rows
        return SparseTargets.concatenate([piece for piece in pieces if piece is not None])

    def _owner(self, key: str) -> int:
        for number, store in enumerate(self.stores):
            if key in store:
                return number
        raise KeyError(key)
