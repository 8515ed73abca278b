"""Several tests of one thing: how small a p-value has to be."""

from __future__ import annotations

from collections.abc import Sequence


def holm(values: Sequence[float]) -> list[float]:
    """P-values corrected so that any false alarm at all is as rare as asked, however tests depend
    on each other (Holm 1979, "A simple sequentially rejective multiple test procedure")."""
    found, highest = [1.0] * len(values), 0.0
    for rank, place in enumerate(sorted(range(len(values)), key=values.__getitem__)):
        highest = max(highest, min(1.0, (len(values) - rank) * values[place]))
        found[place] = highest
    return found
