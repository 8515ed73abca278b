"""Figures of the leak audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.tasks.figures import GREY, MODEL_SERIES, OTHER_SERIES, new_figure, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NAMES = {
    "student": "Student",
    "student_quantized": "Student, quantized",
    "control": "Untrained control",
}


def exposures(
    models: Mapping[str, Sequence[Mapping[str, Any]]], limit: float, *, written: bool
) -> Figure:
    """Each canary's exposure with its interval, by how often it stood among the texts; `models`
    are lists of `Exposed` in JSON. Of canaries in answers, or in texts."""
    shown = {name: [e for e in found if e["written"] is written] for name, found in models.items()}
    often = sorted({e["repeats"] for found in shown.values() for e in found})
    with style():
        figure = new_figure(6.4, 3.1)
        ax = figure.add_subplot()
        ax.axhline(limit, color=GREY, linestyle="--", linewidth=1)
        ax.annotate("limit of those that stood once", (len(often) - 0.5, limit), ha="right",
                    va="bottom", fontsize=8, color=GREY)  # fmt: skip
        for series, (name, found) in enumerate(shown.items()):
            color, marker = MODEL_SERIES.get(name, OTHER_SERIES)
            for place, repeats in enumerate(often):
                of_group = [e["exposure"] for e in found if e["repeats"] == repeats]
                for number, one in enumerate(of_group):
                    x = place + 0.27 * (series - 1) + 0.03 * (number - (len(of_group) - 1) / 2)
                    ax.plot([x, x], [one["low"], one["high"]], color=color, linewidth=0.8)
                    label = NAMES.get(name, name) if number == 0 and place == 0 else None
                    ax.plot([x], [one["value"]], marker, color=color, markersize=4, label=label)
        ax.set_xticks(range(len(often)), [f"{n} time{'s' if n > 1 else ''}" for n in often])
        where = "an answer" if written else "a text"
        ax.set(ylabel="Exposure, bits", xlabel=f"How often the secret stood in {where}")
        # The words at the limit stand at the right end, and are drawn nowhere but within.
        ax.set(xlim=(-0.5, len(often) - 0.5), ylim=(0, None))
        ax.grid(axis="x", visible=False)
        figure.legend(loc="outside upper left", ncols=3, fontsize=9)
    return figure
