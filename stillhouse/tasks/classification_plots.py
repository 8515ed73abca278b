"""The figures that only a classification report shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stillhouse.tasks.figures import ink_on, new_figure, short, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_ANNOTATED_CLASSES = 20


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
        cells = ax.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1, interpolation="none")
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
                    ink = ink_on(tuple(cells.to_rgba(np.sqrt(shares[row, column]))))
                    ax.text(column, row, f"{count}", ha="center", va="center", color=ink)
    return figure
