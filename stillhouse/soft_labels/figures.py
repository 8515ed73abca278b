"""What is known of stored soft labels: digests of their content, and figures."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stillhouse.soft_labels.records import LabelRecords
from stillhouse.storage.files import digest

if TYPE_CHECKING:
    from stillhouse.soft_labels.store import LabelStore


@dataclass
class LabelFigures:
    """Of several stores. `digests` are those of what decodes at each temperature ("2.0"): where
    labels lie, and what is kept for other temperatures, does not count.

    `tail` is the mass beyond the tokens that are listed, summed over `tailed` rows; `entropy`, in
    nats, that of the probabilities that are kept, over `measured` rows.
    """

    temperatures: Sequence[float]
    bytes: int = 0
    tail: float = 0.0
    tailed: int = 0
    entropy: float = 0.0
    measured: int = 0
    _parts: dict[float, list[str]] = field(default_factory=dict)

    def add(self, store: LabelStore, keys: Sequence[str]) -> None:
        """Take in the labels of `keys`, one pair at a time."""
        encoding = store.header.encoding
        kept = [float(t) for t in self.temperatures if encoding.holds(t)]
        # Ids that all records share count as content.
        start = repr(encoding.label_ids).encode()
        # Only of `top_k` does each temperature have something of its own.
        apart = {t: hashlib.sha256(start) for t in (kept if encoding.kind == "top_k" else kept[:1])}
        for key in sorted(keys):
            records = store.get(key)
            self._measure(records)
            for temperature, total in apart.items():
                arrays: dict[str, object] = dict(records.arrays)
                if "tails" in arrays:
                    column = encoding.temperatures.index(temperature)
                    arrays["tails"] = records.arrays["tails"][:, column]
                total.update(_bytes(key, arrays))
        for temperature in kept:
            total = apart.get(temperature, apart[kept[0]])
            self._parts.setdefault(temperature, []).append(total.hexdigest())

    def _measure(self, records: LabelRecords) -> None:
        import numpy as np
        from scipy.special import entr

        self.bytes += records.nbytes
        if (tails := records.arrays.get("tails")) is not None:
            self.tail += float(tails.sum()) / tails.shape[1]
            self.tailed += len(tails)
        if (log_probs := records.arrays.get("log_probs")) is not None:
            self.entropy += float(entr(np.exp(log_probs)).sum())
            self.measured += len(log_probs)

    @property
    def digests(self) -> dict[str, str]:
        return {str(t): digest(sorted(parts)) for t, parts in sorted(self._parts.items())}

    @property
    def digest(self) -> str:
        """That of all content."""
        return digest(sorted(set(self.digests.values())))


def _bytes(key: str, arrays: Mapping[str, object]) -> bytes:
    import numpy as np

    parts = [key.encode()]
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        parts += [f"\n{name} {array.dtype} {array.shape}\n".encode(), array.tobytes()]
    return b"".join(parts)
