"""Answers of models on one task, scored: what rooms above may know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Scored:
    """One model's answers on the held-out pairs of one task, in the order of the pairs.

    `score` is the kind's headline metric, 0..1, higher is better; `right` bool [n] says which
    pairs count as answered well, for paired tests. `figures` are numbers to plot over time,
    `metrics` is what evaluation.json says (JSON values; `n`, `kind` and `score` are added by the
    report). `table` is the row of the report's table, by column title, as text. `calibration_error`
    is None for kinds without confidences. `detail` belongs to the kind alone.
    """

    n: int
    score: float
    right: NDArray[Any]
    figures: dict[str, float]
    metrics: dict[str, Any]
    table: dict[str, str]
    calibration_error: float | None
    detail: Any
