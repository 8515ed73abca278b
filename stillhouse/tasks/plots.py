"""Figures that reports of several kinds of task show.

Models are keys of `results.MODELS`, which give them their colours; `names` says what they are
called.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from stillhouse.metrics.classification import wilson_interval
from stillhouse.tasks.figures import CARD, GREY, LINK, new_figure, series_of, short, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from stillhouse.metrics.calibration import Bin

MOST_NAMES_IN_F1 = 30


class F1(Protocol):
    """F1 of a class or a field, and how many examples it is of."""

    @property
    def f1(self) -> float: ...
    @property
    def support(self) -> int: ...


def reliability_diagram(model: str, title: str, bins: Sequence[Bin], ece: float) -> Figure:
    """The share of right answers by confidence, and how many answers have which confidence."""
    color, _ = series_of(model)
    with style():
        figure = new_figure(3.3, 4.3)
        grid = figure.add_gridspec(2, 1, height_ratios=[3.2, 1])
        top = figure.add_subplot(grid[0])
        below = figure.add_subplot(grid[1], sharex=top)
        _draw_reliability(top, bins, color)
        top.set_title(f"{short(title)}\n")
        top.text(0, 1.02, f"ECE {ece:.3f}", transform=top.transAxes, va="bottom")
        top.set_ylabel("Share right")
        n = sum(b.count for b in bins)
        below.bar(
            [b.lower for b in bins],
            [b.count / n for b in bins],
            width=[b.upper - b.lower for b in bins],
            align="edge",
            color=color,
            edgecolor=CARD,
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
        facecolor=(color, 0.22),
        edgecolor=color,
        linewidth=0.8,
    )
    for b in bins:
        interval = wilson_interval(round(b.accuracy * b.count), b.count)
        ax.plot([b.confidence] * 2, interval, color=color, linewidth=1)
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


def f1_by_name(
    models: Mapping[str, Mapping[str, F1]], names: Mapping[str, str], counted: str
) -> Figure:
    """F1 of each class or field that has examples, model -> scores by its name; worst on top.

    Ordered by the last model's F1; only its MOST_NAMES_IN_F1 worst are drawn. `counted` says what
    stands in brackets.
    """
    order = list(models.values())[-1]
    labels = sorted((x for x in order if order[x].support), key=lambda x: (order[x].f1, x))
    labels = labels[:MOST_NAMES_IN_F1]
    rows = range(len(labels))
    with style():
        figure = new_figure(7.5, 1.3 + 0.27 * len(labels))
        ax = figure.add_subplot()
        values = [[scores[x].f1 for scores in models.values()] for x in labels]
        ax.hlines(rows, [min(v) for v in values], [max(v) for v in values], color=LINK, linewidth=3)
        # Sizes fall, so that equal scores show as marks within marks.
        for i, (model, scores) in enumerate(models.items()):
            color, marker = series_of(model)
            ax.plot(
                [scores[x].f1 for x in labels],
                rows,
                color=color,
                marker=marker,
                linestyle="none",
                label=short(names[model]),
                markersize=max(11 - 3 * i, 3),
                markeredgewidth=0,
            )
        ax.set_yticks(rows, [f"{short(x)} ({order[x].support})" for x in labels], fontsize=9)
        lowest = min(map(min, values), default=0.0)
        ax.set(xlabel=f"F1 (in brackets: {counted})")
        ax.set_xlim(min(0.8, math.floor(lowest * 10) / 10) - 0.02, 1.02)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=len(models), fontsize=9)
    return figure


def share_reached(models: Mapping[str, ArrayLike], names: Mapping[str, str], metric: str) -> Figure:
    """For every value of a metric, 0..1, the share of examples that reach it: model -> float [n].

    Its curve lies higher where a model is better, and the area below it is the mean.
    """
    import numpy as np

    with style():
        figure = new_figure(7.5, 3.6)
        ax = figure.add_subplot()
        for model, values in models.items():
            color, marker = series_of(model)
            found = np.sort(np.asarray(values, dtype=np.float64))
            # A step down after each value that occurs: up to there, so many reach it.
            reached = np.concatenate([[1.0], 1 - np.arange(1, len(found) + 1) / len(found)])
            at = np.concatenate([[0.0], found])
            ax.step(at, reached, where="post", color=color, linewidth=1.6)
            # Markers apart from each other, so that curves that coincide show as several.
            spots = (0.1 + 0.2 * np.arange(5) + 0.04 * len(ax.lines)) % 1
            heights = [float((found >= x).mean()) for x in spots]
            ax.plot(spots, heights, color=color, linestyle="none", marker=marker, markersize=5)
            ax.plot([], [], color=color, marker=marker, markersize=5, label=short(names[model]))
        ax.set(xlabel=f"{metric}, at least", ylabel="Share of examples")
        ax.set(xlim=(0, 1), ylim=(0, 1.02))
        figure.legend(loc="outside upper left", ncols=len(models), fontsize=9)
    return figure
