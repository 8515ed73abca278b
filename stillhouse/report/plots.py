"""The learning curve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stillhouse.tasks.figures import GREY, SERIES, new_figure, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Losses in the training history, and what a reader calls them.
LOSSES = {
    "loss": "total loss",
    "kl": "KL to the teacher",
    "ce": "cross-entropy on gold",
    "alignment": "hidden-state alignment",
    "validation_nll": "NLL on validation data",
}
VALIDATION = "validation_"
# Not drawn among the scores: a loss, and what training maximises (a score with a tie-break).
NO_SCORES = ("validation_nll", "validation_score")


def learning_curve(history: Sequence[Mapping[str, Any]], panel: str | None = None) -> Figure:
    """Losses and validation scores by epoch.

    `history` holds a mapping per epoch, with "epoch", any of the keys of LOSSES, and scores as
    "validation_<name>"; other keys, and values that are missing or not finite, are left out.
    `panel` is "losses", "validation", or None for both side by side.
    """
    keys = dict.fromkeys(key for row in history for key in row)
    scores = {
        key: key.removeprefix(VALIDATION).replace("_", " ")
        for key in keys
        if key.startswith(VALIDATION) and key not in NO_SCORES
    }
    panels = {"losses": ("Loss", LOSSES), "validation": ("On validation data", scores)}
    wanted = [panel] if panel else list(panels)
    with style():
        figure = new_figure(5.2 * len(wanted), 3.3)
        for ax, name in zip(figure.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True):
            title, lines = panels[name]
            ax.set(title=title, xlabel="Epoch")
            for (key, label), (color, marker) in zip(lines.items(), SERIES, strict=False):
                points = [
                    (float(row["epoch"]), float(row[key]))
                    for row in history
                    if row.get(key) is not None and math.isfinite(row[key])
                ]
                if points:
                    ax.plot(*zip(*points, strict=True), color=color, marker=marker, label=label)
            _finish_curve(ax, losses=name == "losses")
    return figure


def _finish_curve(ax: Axes, *, losses: bool) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if losses:
        ax.set_ylim(bottom=0)
    elif ax.lines:
        # At least ten points high, or a change of a few examples would look like a leap.
        low, high = ax.get_ylim()
        middle, half = (low + high) / 2, max(0.05, (high - low) / 2)
        ax.set_ylim(middle - half, middle + half)
    if ax.lines:
        ax.legend(fontsize=9)
    else:
        ax.text(0.5, 0.5, "not recorded", transform=ax.transAxes, ha="center", color=GREY)
