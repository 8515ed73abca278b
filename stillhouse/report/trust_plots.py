"""Figures of confidence: error by the share answered, and a student with its teacher behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stillhouse.tasks.figures import GREY, new_figure, series_of, short, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure


def risk_coverage(
    curves: Mapping[str, Sequence[Sequence[float]]], names: Mapping[str, str]
) -> Figure:
    """The share of wrong answers among those that a model is surest of: model -> points (threshold,
    coverage, risk)."""
    with style():
        figure = new_figure(5.2, 3.6)
        ax = figure.add_subplot()
        for place, (model, points) in enumerate(curves.items()):
            color, marker = series_of(model)
            ax.plot(
                [coverage for _, coverage, _ in points],
                [risk for _, _, risk in points],
                color=color,
                marker=marker,
                # Markers apart from each other, so that curves that coincide show as several.
                markevery=(place, max(1, len(points) // 5)),
                markersize=5,
                linewidth=1.6,
                label=short(names[model]),
            )
        ax.set(xlabel="Share answered, surest first", ylabel="Share wrong", xlim=(0, 1.02))
        ax.set_ylim(bottom=0)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9)
    return figure


def cascade_curve(found: Mapping[str, Any], model: str, metric: str) -> Figure:
    """The pair's score by the share that the teacher answers, and the point that is recommended."""
    with style():
        figure = new_figure(5.2, 3.6)
        ax = figure.add_subplot()
        color, marker = series_of(model)
        points = found["curve"]
        ax.axhline(found["teacher"], color=GREY, linewidth=1, linestyle="--")
        ax.annotate(
            "teacher alone", (0.01, found["teacher"]), textcoords="offset points", xytext=(0, 3),
            color=GREY, fontsize=9,
        )  # fmt: skip
        escalated, scores = zip(*((p["escalated"], p["score"]) for p in points), strict=True)
        ax.plot(escalated, scores, color=color, linewidth=1.6, label="student and teacher")
        if found["recommended"] is not None:
            point = found["recommended"]["test"]
            ax.plot(
                point["escalated"], point["score"], color=color, marker=marker, markersize=9,
                linestyle="none", label="recommended",
            )  # fmt: skip
        low, high = ax.get_ylim()
        middle, half = (low + high) / 2, max(0.05, (high - low) / 2)
        ax.set(xlabel="Share that the teacher answers", ylabel=metric, xlim=(-0.02, 1.02))
        ax.set_ylim(middle - half, middle + half)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9)
    return figure
