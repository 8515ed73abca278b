"""How figures look, whoever draws them, and how they are saved: the one place for both.

Drawn with Matplotlib's Figure objects: no pyplot, hence no display and no global list of figures.
Colours are Okabe and Ito's ("Color Universal Design", 2008); models differ in marker shape as well,
so that nothing rests on colour alone.

Each picture brings its own card, light and opaque, whatever page it stands on. Ink that is read on
white and on a dark page alike (a contrast of 4.5 on both: WCAG 2.2, 1.4.3) would need a luminance
of at most 0.183, and on the dark report's #15181c of at least 0.215: there is none.
"""

from __future__ import annotations

import base64
import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from stillhouse.wording import plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

CARD, INK, GRID = "#ffffff", "#333333", "#d5d5d5"
# Between marks of the same thing: seen, and no louder than they are.
LINK = "#8f8f8f"
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


def svg_uri(figure: Figure) -> str:
    """A data URI, for pages that show SVG; the same figure gives the same bytes."""
    return _data_uri(figure, "svg", "image/svg+xml", metadata={"Date": None, "Creator": None})


def png_uri(figure: Figure, dpi: int = 80) -> str:
    """A data URI, for places that show Markdown."""
    return _data_uri(figure, "png", "image/png", dpi=dpi, metadata={"Software": None})


def _data_uri(figure: Figure, form: str, media: str, **settings: Any) -> str:
    out = io.BytesIO()
    with style():
        figure.savefig(out, format=form, facecolor=CARD, **settings)
    return f"data:{media};base64," + base64.b64encode(out.getvalue()).decode()


def ink_on(color: Sequence[float]) -> str:
    """Black or white, whichever is read better on a colour (red, green, blue, 0..1): a contrast
    of 4.58 at least."""
    return "black" if luminance(color) > 0.179 else "white"


def luminance(color: Sequence[float]) -> float:
    """Relative luminance of an sRGB colour, by WCAG 2.2."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3]]
    return sum(share * part for share, part in zip((0.2126, 0.7152, 0.0722), parts, strict=True))


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
