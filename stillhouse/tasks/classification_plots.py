"""The figures of a classification report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.classification import wilson_interval
from stillhouse.tasks.figures import GREY, GRID, INK, MODEL_SERIES, SERIES, new_figure, short, style
from stillhouse.tasks.results import display_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from stillhouse.metrics.calibration import Bin
    from stillhouse.metrics.classification import ClassScores

MOST_ANNOTATED_CLASSES = 20
MOST_CLASSES_IN_F1 = 30


def confusion_matrix(counts: NDArray[Any], labels: Sequence[str]) -> Figure:
    """Int [gold, predicted]; colours show shares of a row, so rare classes show as well."""
    import numpy as np

    many = len(labels) > MOST_ANNOTATED_CLASSES
    size, font = (10.5, 6.5) if many else (max(3.0, 0.52 * len(labels)) + 2.0, 9)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [short(label) for label in labels]
    with style():
        figure = new_figure(size, size)
        ax = figure.add_subplot()
        # The square root lifts small shares, which are the errors one looks for.
        ax.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, interpolation="none")
        ax.set_xticks(range(len(labels)), names, fontsize=font, rotation=90 if many else 45)
        ax.set_yticks(range(len(labels)), names, fontsize=font)
        if not many:
            for tick in ax.get_xticklabels():
                tick.set(ha="right", rotation_mode="anchor")
        ax.set(xlabel="Predicted", ylabel="Gold")
        ax.tick_params(length=0)
        ax.grid(visible=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
        if not many:
            for (row, column), count in np.ndenumerate(counts):
                if count:
                    ink = "white" if shares[row, column] > 0.3 else INK
                    ax.text(column, row, f"{count}", ha="center", va="center", color=ink)
    return figure


def reliability_diagram(model: str, bins: Sequence[Bin], ece: float) -> Figure:
    """Accuracy by confidence, and how many predictions have which confidence."""
    color, _ = MODEL_SERIES.get(model, SERIES[3])
    with style():
        figure = new_figure(3.3, 4.3)
        grid = figure.add_gridspec(2, 1, height_ratios=[3.2, 1])
        top = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=top)
        _draw_reliability(top, bins, color)
        top.set_title(f"{display_name(model)}\n")
        top.text(0, 1.02, f"ECE {ece:.3f}", transform=top.transAxes, va="bottom")
        top.set_ylabel("Accuracy")
        n = sum(b.count for b in bins)
        below.bar(
            [b.lower for b in bins],
            [b.count / n for b in bins],
            width=[b.upper - b.lower for b in bins],
            align="edge",
            color=color,
            edgecolor="white",
            linewidth=0.6,
        )
        below.set(xlabel="Confidence", ylabel="Share", ylim=(0, 1), yticks=[0, 0.5, 1])
    return figure


def _draw_reliability(ax: Axes, bins: Sequence[Bin], color: str) -> None:
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
    ax.bar(
        [b.lower for b in bins],
        [b.accuracy for b in bins],
        width=[b.upper - b.lower for b in bins],
        align="edge",
        color=color,
        alpha=0.22,
        linewidth=0,
    )
    for b in bins:
        interval = wilson_interval(round(b.accuracy * b.count), b.count)
        ax.plot([b.confidence] * 2, interval, color=color, linewidth=1, alpha=0.6)
    ax.plot(
        [b.confidence for b in bins],
        [b.accuracy for b in bins],
        color=color,
        linestyle="none",
        marker="o",
        markersize=4.5,
    )
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xticks=[0, 0.25, 0.5, 0.75, 1])
    ax.tick_params(labelbottom=False)


def per_class_f1(models: Mapping[str, Mapping[str, ClassScores]]) -> Figure:
    """F1 of each class that has examples, model -> scores by label; worst classes on top.

    Ordered by the last model's F1; only its MOST_CLASSES_IN_F1 worst classes are drawn.
    """
    order = list(models.values())[-1]
    labels = sorted((x for x in order if order[x].support), key=lambda x: (order[x].f1, x))
    labels = labels[:MOST_CLASSES_IN_F1]
    rows = range(len(labels))
    with style():
        figure = new_figure(7.5, 1.3 + 0.27 * len(labels))
        ax = figure.add_subplot()
        values = [[scores[x].f1 for scores in models.values()] for x in labels]
        ax.hlines(rows, [min(v) for v in values], [max(v) for v in values], color=GRID, linewidth=3)
        # Sizes fall, so that equal scores show as marks within marks.
        for i, (model, scores) in enumerate(models.items()):
            color, marker = MODEL_SERIES.get(model, SERIES[3])
            ax.plot(
                [scores[x].f1 for x in labels],
                rows,
                color=color,
                marker=marker,
                linestyle="none",
                label=display_name(model),
                markersize=max(11 - 3 * i, 3),
                markeredgewidth=0,
            )
        ax.set_yticks(rows, [f"{short(x)} ({order[x].support})" for x in labels], fontsize=9)
        lowest = min(map(min, values), default=0.0)
        ax.set(xlabel="F1 (in brackets: test examples)")
        ax.set_xlim(min(0.8, math.floor(lowest * 10) / 10) - 0.02, 1.02)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=len(models), fontsize=9)
    return figure
