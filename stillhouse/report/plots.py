"""The figures of the evaluation report, as SVG for its page and PNG for Dagster's metadata.

Drawn with Matplotlib's Figure objects: no pyplot, hence no display and no global list of figures.
Colours are Okabe and Ito's ("Color Universal Design", 2008); models differ in marker shape as well,
so that nothing rests on colour alone. Backgrounds are transparent: the page supplies its own.
"""

from __future__ import annotations

import base64
import io
import math
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stillhouse.metrics.classification import wilson_interval
from stillhouse.report.results import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from stillhouse.metrics.calibration import Bin
    from stillhouse.metrics.classification import ClassScores

INK, GRID = "#333333", "#d5d5d5"
BLUE, ORANGE, GREEN, GREY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#767676", "#aa4d85"
SERIES = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (PURPLE, "^"), (GREY, "v")]
MODEL_SERIES = {
    "teacher": SERIES[0],
    "student": SERIES[1],
    "student_quantized": SERIES[2],
    "teacher_zero_shot": SERIES[4],
}
MOST_ANNOTATED_CLASSES = 20
MOST_CLASSES_IN_F1 = 30
LABEL_LENGTH = 30
# Fields of the training history, and what a reader calls them.
LOSSES = {
    "loss": "total loss",
    "kl": "KL to the teacher",
    "ce": "cross-entropy on gold",
    "alignment": "hidden-state alignment",
    "validation_nll": "NLL on validation data",
}
VALIDATION = {"validation_accuracy": "accuracy", "validation_macro_f1": "macro-F1"}


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib

    settings = {
        # The generic family, or the SVGs would name no fallback; Matplotlib has DejaVu Sans itself.
        # Verdana, just as wide, is what most readers have.
        "font.family": ["sans-serif"],
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 10,
        "axes.edgecolor": GREY,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.axisbelow": True,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "figure.constrained_layout.use": True,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        # A class may be named "$x": never read labels as formulas.
        "text.parse_math": False,
        # Text stays text: any script of the world shows, in the reader's fonts.
        "svg.fonttype": "none",
        "svg.hashsalt": "stillhouse",
    }
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        yield


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def svg_uri(figure: Figure) -> str:
    """A data URI; the same figure gives the same bytes."""
    out = io.BytesIO()
    with _style():
        figure.savefig(
            out, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


def png_bytes(figure: Figure, dpi: int = 80) -> bytes:
    """On white, for places whose background is unknown."""
    out = io.BytesIO()
    with _style():
        figure.savefig(out, format="png", dpi=dpi, facecolor="white", metadata={"Software": None})
    return out.getvalue()


def png_uri(figure: Figure, dpi: int = 80) -> str:
    return "data:image/png;base64," + base64.b64encode(png_bytes(figure, dpi)).decode()


def learning_curve_png(history: Sequence[Mapping[str, Any]]) -> bytes:
    """The learning curve of a history, one mapping per epoch; see `learning_curve`."""
    return png_bytes(learning_curve(history))


def confusion_matrix(counts: NDArray[Any], labels: Sequence[str]) -> Figure:
    """Int [gold, predicted]; colours show shares of a row, so rare classes show as well."""
    import numpy as np

    many = len(labels) > MOST_ANNOTATED_CLASSES
    size, font = (10.5, 6.5) if many else (max(3.0, 0.52 * len(labels)) + 2.0, 9)
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    names = [_short(label) for label in labels]
    with _style():
        figure = _figure(size, size)
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


def reliability_diagram(models: Mapping[str, tuple[str, Sequence[Bin], float]]) -> Figure:
    """A panel for each model: key -> (title, its reliability bins, its ECE)."""
    with _style():
        figure = _figure(3.3 * len(models), 4.3)
        grid = figure.add_gridspec(2, len(models), height_ratios=[3.2, 1])
        for column, (key, (title, bins, ece)) in enumerate(models.items()):
            color, _ = MODEL_SERIES.get(key, SERIES[3])
            top = figure.add_subplot(grid[0, column])
            below = figure.add_subplot(grid[1, column], sharex=top)
            _draw_reliability(top, bins, color)
            top.set_title(f"{title}\n")
            top.text(0, 1.02, f"ECE {ece:.3f}", transform=top.transAxes, va="bottom")
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
            below.set(xlabel="Confidence", ylim=(0, 1), yticks=[0, 0.5, 1])
            if column == 0:
                top.set_ylabel("Accuracy")
                below.set_ylabel("Share")
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


def learning_curve(history: Sequence[Mapping[str, Any]], panel: str | None = None) -> Figure:
    """Losses and validation metrics by epoch.

    `history` holds a mapping per epoch, with "epoch" and any of the keys of LOSSES and VALIDATION;
    other keys, and values that are missing or not finite, are left out. `panel` is "losses",
    "validation", or None for both side by side.
    """
    panels: dict[str, dict[str, str]] = {"losses": LOSSES, "validation": VALIDATION}
    wanted = [panel] if panel else list(panels)
    with _style():
        figure = _figure(5.2 * len(wanted), 3.3)
        for ax, name in zip(figure.subplots(1, len(wanted), squeeze=False)[0], wanted, strict=True):
            ax.set(title="Loss" if name == "losses" else "On validation data", xlabel="Epoch")
            for (key, label), (color, marker) in zip(panels[name].items(), SERIES, strict=False):
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


def per_class_f1(models: Mapping[str, tuple[str, Mapping[str, ClassScores]]]) -> Figure:
    """F1 of each class that has examples, key -> (title, scores by label); worst classes on top.

    Ordered by the last model's F1; only its MOST_CLASSES_IN_F1 worst classes are drawn.
    """
    titles_and_scores = list(models.values())
    order = titles_and_scores[-1][1]
    labels = sorted((x for x in order if order[x].support), key=lambda x: (order[x].f1, x))
    labels = labels[:MOST_CLASSES_IN_F1]
    rows = range(len(labels))
    with _style():
        figure = _figure(7.5, 1.3 + 0.27 * len(labels))
        ax = figure.add_subplot()
        values = [[scores[x].f1 for _, scores in titles_and_scores] for x in labels]
        ax.hlines(rows, [min(v) for v in values], [max(v) for v in values], color=GRID, linewidth=3)
        # Sizes fall, so that equal scores show as marks within marks.
        for i, (key, (title, scores)) in enumerate(models.items()):
            color, marker = MODEL_SERIES.get(key, SERIES[3])
            ax.plot(
                [scores[x].f1 for x in labels],
                rows,
                color=color,
                marker=marker,
                linestyle="none",
                label=title,
                markersize=max(11 - 3 * i, 3),
                markeredgewidth=0,
            )
        ax.set_yticks(rows, [f"{_short(x)} ({order[x].support})" for x in labels], fontsize=9)
        lowest = min(map(min, values), default=0.0)
        ax.set(xlabel="F1 (in brackets: test examples)")
        ax.set_xlim(min(0.8, math.floor(lowest * 10) / 10) - 0.02, 1.02)
        ax.set_ylim(len(labels) - 0.5, -0.5)
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)
        ax.grid(visible=False, axis="y")
        figure.legend(loc="outside upper left", ncols=len(models), fontsize=9)
    return figure


def _short(label: str) -> str:
    text = plain(label)
    if len(text) <= LABEL_LENGTH:
        return text
    # From the middle: class names often differ only in their last words.
    return text[: LABEL_LENGTH // 2] + "…" + text[1 - LABEL_LENGTH // 2 :]
