"""How figures of a report look, whichever kind of task draws them.

Drawn with Matplotlib's Figure objects: no pyplot, hence no display and no global list of figures.
Colours are Okabe and Ito's ("Color Universal Design", 2008); models differ in marker shape as well,
so that nothing rests on colour alone. Backgrounds are transparent: the page supplies its own.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from stillhouse.wording import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.figure import Figure

INK, GRID = "#333333", "#d5d5d5"
BLUE, ORANGE, GREEN, GREY, PURPLE = "#0072b2", "#d55e00", "#009e73", "#767676", "#aa4d85"
SERIES = [(BLUE, "o"), (ORANGE, "s"), (GREEN, "D"), (PURPLE, "^"), (GREY, "v")]
MODEL_SERIES = {
    "teacher": SERIES[0],
    "student": SERIES[1],
    "student_quantized": SERIES[2],
    "teacher_zero_shot": SERIES[4],
    "baseline": (INK, "P"),
}
OTHER_SERIES = SERIES[3]
LABEL_LENGTH = 30


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings while a figure is drawn or saved, and no longer."""
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


def new_figure(width: float, height: float) -> Figure:
    """An empty figure; sizes in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def short(label: str) -> str:
    """One line of at most LABEL_LENGTH characters, with the label's beginning and its end."""
    text = plain(label)
    if len(text) <= LABEL_LENGTH:
        return text
    # From the middle: class names often differ only in their last words.
    return text[: LABEL_LENGTH // 2] + "…" + text[1 - LABEL_LENGTH // 2 :]


def series_of(model: str) -> tuple[str, str]:
    """A model's colour and marker, the same in every figure."""
    return MODEL_SERIES.get(model, OTHER_SERIES)
