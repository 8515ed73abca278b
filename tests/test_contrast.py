"""Figures are read on every page: WCAG 2.2 asks 4.5 of text (1.4.3), 3 of marks (1.4.11)."""

from __future__ import annotations

import ast
import base64
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, StepPatch
from matplotlib.text import Text
from PIL import Image

from stillhouse.audit.plots import exposures
from stillhouse.config.monitor import AbTest, Drift
from stillhouse.economics import plots as costs
from stillhouse.economics.costs import VOLUME
from stillhouse.facts import AbLookFacts, DriftTestFacts, LatencyLevelFacts, SpreadFacts
from stillhouse.history import shown
from stillhouse.load import plots as loads
from stillhouse.metrics.calibration import reliability_bins
from stillhouse.metrics.classification import ClassScores
from stillhouse.monitor import plots as drift
from stillhouse.monitor.ab.plots import looks_over_requests
from stillhouse.monitor.domain import Word
from stillhouse.report.plots import learning_curve
from stillhouse.report.trust_plots import cascade_curve, risk_coverage
from stillhouse.selection.rows import ALLOWED, FEW, ZERO, Asked, Candidate
from stillhouse.selection.shown import scores_by_candidate
from stillhouse.tasks import plots
from stillhouse.tasks.classification_plots import confusion_matrix
from stillhouse.tasks.figures import CARD, MODEL_SERIES, ink_on, luminance, png_uri, style, svg_uri
from stillhouse.tasks.results import MODELS

ROOT = Path(__file__).resolve().parent.parent
LEAST_OF_TEXT, LEAST_OF_MARKS = 4.5, 3.0
# What the light and the dark theme of Dagster's UI lie on, and the two of the report.
PAGES = ("#ffffff", "#f9fafb", "#030615", "#15181c")


def contrast(one: Any, other: Any) -> float:
    lighter, darker = sorted((luminance(to_rgba(c)) for c in (one, other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def over(color: Any, below: Any) -> tuple[float, ...]:
    """A colour with its transparency, on another."""
    *rgb, alpha = to_rgba(color)
    return tuple(alpha * c + (1 - alpha) * b for c, b in zip(rgb, to_rgba(below)[:3], strict=True))


NAMES = dict.fromkeys({*MODEL_SERIES, *MODELS}, "a name")
SCORES = {f"class {i}": ClassScores(x, x, x, 9) for i, x in enumerate((0.3, 0.7, 0.9))}
HISTORY = [
    {"epoch": e, "loss": 2 / e, "kl": 1.8 / e, "ce": 1.7 / e, "alignment": 1.6 / e,
     "validation_nll": 1.5 / e, "validation_accuracy": 0.4 + e / 10}
    for e in (1, 2, 3)
]  # fmt: skip
TESTS = [
    DriftTestFacts("routing", name, limit, effect, p, p, p)
    for name, limit, effect, p in (
        ("domain", "auc", 0.9, 0.001), ("length", "psi", 0.1, 0.5),
        ("unknown_words", "psi", 0.4, 0.9),
    )
]  # fmt: skip
COMPARED = [
    {"student": "router", "task": "routing", "version": version}
    | {f"{model}_{part}": 0.5 + move for model in shown.MODELS
       for part, move in (("score", 0), ("low", -0.1), ("high", 0.1))}
    for version in ("v1", "v2")
]  # fmt: skip

EXPOSED = {
    name: [{"written": True, "repeats": n, "exposure": {"value": n, "low": 0, "high": n + 1}}
           for n in (1, 4)]
    for name in ("student", "student_quantized", "control")
}  # fmt: skip
CANDIDATES = [
    Candidate("v1", ALLOWED, "MIT", asked=tuple(
        Asked(task, how, "accuracy", 9, 0.5, 0.4, 0.6, []) for how in (ZERO, FEW) for task in "ab"
    ))
]  # fmt: skip
CASCADE = {
    "teacher": 0.8,
    "curve": [{"escalated": x, "score": 0.6 + x / 5} for x in (0.0, 0.5, 1.0)],
    "recommended": {"test": {"escalated": 0.5, "score": 0.7}},
}
SPREAD = SpreadFacts(99, 0.2, 0.2, 0.4, 0.5, 0.3, 0.6)
LEVELS = [
    LatencyLevelFacts("closed", n, 9, 99, 99, {}, 9 * n, 50 * n, 0, SPREAD, SPREAD, SPREAD)
    for n in (1, 4)
]
ONE_TOKEN = [LatencyLevelFacts("open", 2, 9, 99, 99, {}, 9, 50, 0, SPREAD, SPREAD)]
RECKONED: Any = SimpleNamespace(
    student="router",
    currency="EUR",
    costs=dict.fromkeys(("student", "teacher", "an API"), SimpleNamespace(volume=1000)),
    curve=[{VOLUME: 10**n, "student": 9 / n, "teacher": 20 / n, "an API": 3} for n in (3, 4, 5)],
    tornado=[SimpleNamespace(name=f"figure {low}", saved_low=low, saved_high=5) for low in (1, 9)],
)
LOOKS = [AbLookFacts(n, n, n / 1000, 0, 0.1, -0.1, 0.1, 2, 0.01) for n in (100, 300)]


def shares(classes: int) -> Any:
    """Counts whose shares are spread from none to all."""
    return np.rint(100 * np.linspace(0, 1, classes * classes)).reshape(classes, classes).astype(int)


def drawn() -> dict[str, list[Callable[[], Figure]]]:
    """Each function that makes a figure, called with enough to show all it can draw."""
    rng = np.random.default_rng(0)
    bins = reliability_bins(rng.random(200), rng.random(200) < 0.6)
    words = [Word(f"word{i}", weight, 5, 9) for i, weight in enumerate((1.5, 0.5, -0.7))]
    limits = Drift()
    return {
        "reliability_diagram": [
            lambda model=model: plots.reliability_diagram(model, "A title", bins, 0.1)
            for model in MODEL_SERIES
        ],
        "f1_by_name": [lambda: plots.f1_by_name(dict.fromkeys(MODELS, SCORES), NAMES, "texts")],
        "share_reached": [
            lambda: plots.share_reached(dict.fromkeys(MODELS, rng.random(50)), NAMES, "F1")
        ],
        "confusion_matrix": [
            lambda n=n: confusion_matrix(shares(n), [f"class {i}" for i in range(n)])
            for n in (3, 12, 24)
        ],
        "learning_curve": [lambda: learning_curve(HISTORY), lambda: learning_curve([{"epoch": 1}])],
        "effects": [lambda: drift.effects(TESTS, limits)],
        "words": [lambda: drift.words(words)],
        "answer_mix": [lambda: drift.answer_mix({"billing": [0.5, 0.2], "sales": [0.5, 0.8]})],
        "confidences": [lambda: drift.confidences(rng.random(50), rng.random(60))],
        "looks_over_requests": [lambda: looks_over_requests(LOOKS, AbTest())],
        "scores_by_version": [lambda: shown.scores_by_version(COMPARED)],
        "scores_by_candidate": [lambda: scores_by_candidate(CANDIDATES)],
        "exposures": [lambda: exposures(EXPOSED, 5.0, written=True)],
        "risk_coverage": [
            lambda: risk_coverage({m: [(0.9, 0.1, 0), (0.1, 1, 0.3)] for m in MODEL_SERIES}, NAMES)
        ],
        "cascade_curve": [lambda: cascade_curve(CASCADE, "student_quantized", "accuracy")],
        "latencies": [lambda: loads.latencies(LEVELS), lambda: loads.latencies(ONE_TOKEN)],
        "throughput": [lambda: loads.throughput(LEVELS)],
        "tokens": [lambda: loads.tokens(LEVELS), lambda: loads.tokens(ONE_TOKEN)],
        "by_volume": [lambda: costs.by_volume(RECKONED)],
        "sensitivities": [lambda: costs.sensitivities(RECKONED)],
    }


DRAWN = [(name, call) for name, calls in drawn().items() for call in calls]


def test_every_function_that_makes_a_figure_is_looked_at() -> None:
    found = {
        node.name
        for path in (ROOT / "stillhouse").rglob("*.py")
        if "from matplotlib.figure import Figure" in (text := path.read_text())
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef)
        and isinstance(node.returns, ast.Name)
        and node.returns.id == "Figure"
    }
    assert found - {"new_figure"} == {*drawn()}


def colours(figure: Figure) -> Iterator[tuple[str, list[Any], Sequence[Any], float]]:
    """Of each mark and text that says something: what it is, its colours (one of them has to be
    seen), what it lies on, and the contrast that it needs. Grids and cells of an image say nothing
    that isn't written; an outline alone shows a shape as well as its fill does."""
    grids = {line for ax in figure.axes for line in ax.get_xgridlines() + ax.get_ygridlines()}
    for artist in figure.findobj():
        if not artist.get_visible() or artist in grids:
            continue
        alpha = 1.0 if artist.get_alpha() is None else float(artist.get_alpha())
        axes = getattr(artist, "axes", None)
        if isinstance(artist, Text) and artist.get_text():
            below: list[Any] = [CARD]
            if axes is not None and axes.images and artist in axes.texts:
                column, row = artist.get_position()
                image = axes.images[0]
                below = [image.to_rgba(image.get_array()[row, column])]
            yield f"text {artist.get_text()!r}", [artist.get_color()], below, LEAST_OF_TEXT
        elif isinstance(artist, Line2D):
            if artist.get_marker() not in ("None", None, ""):
                both = [artist.get_markerfacecolor(), artist.get_markeredgecolor()]
                yield "marker", both, [CARD], LEAST_OF_MARKS
            if artist.get_linestyle() != "None":
                yield "line", [to_rgba(artist.get_color(), alpha)], [CARD], LEAST_OF_MARKS
        elif isinstance(artist, LineCollection):
            yield "lines", list(artist.get_colors()), [CARD], LEAST_OF_MARKS
        elif isinstance(artist, Patch) and axes is not None and artist is not axes.patch:
            filled = isinstance(artist, StepPatch) and not artist.get_fill()
            faces = [] if filled else [artist.get_facecolor()]
            yield "bar", [*faces, artist.get_edgecolor()], [CARD], LEAST_OF_MARKS


@pytest.mark.parametrize(("name", "call"), DRAWN, ids=[name for name, _ in DRAWN])
def test_text_and_marks_stand_out(name: str, call: Callable[[], Figure]) -> None:
    figure, seen = call(), 0
    with style():
        figure.draw_without_rendering()
    for what, inks, below, least in colours(figure):
        best = max(contrast(over(ink, under), under) for ink in inks for under in below)
        assert best >= least, f"{name}: {what} has a contrast of {best:.2f}"
        seen += 1
    assert seen > 5


def test_a_picture_is_the_same_on_every_page() -> None:
    """Seen in its pixels: what a page's background shows through would change with it."""
    figure = shown.scores_by_version(COMPARED)
    image = Image.open(io.BytesIO(base64.b64decode(png_uri(figure).partition("base64,")[2])))
    picture = image.convert("RGBA")
    found = set()
    for page in PAGES:
        below = Image.new("RGBA", picture.size, page)
        found.add(Image.alpha_composite(below, picture).convert("RGB").tobytes())
    assert len(found) == 1
    assert contrast(np.array(picture)[0, 0] / 255, CARD) == 1
    svg = base64.b64decode(svg_uri(figure).partition("base64,")[2]).decode()
    assert svg.index(f"fill: {CARD}") < svg.index("axes_1")


def test_ink_is_read_on_any_colour() -> None:
    for color in np.random.default_rng(1).random((2000, 3)):
        assert contrast(ink_on(color), color) >= LEAST_OF_TEXT


def test_a_page_changes_no_colour_of_a_picture() -> None:
    pages = [*(ROOT / "stillhouse").rglob("templates/*.html.j2")]
    assert len(pages) >= 4
    assert not [page.name for page in pages if "filter:" in page.read_text()]
