import base64
import io
import logging
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from stillhouse.metrics.calibration import reliability_bins
from stillhouse.metrics.classification import ClassScores
from stillhouse.report import plots

HISTORY = [
    {
        "epoch": 1,
        "loss": 1.9,
        "kl": 2.0,
        "ce": 1.7,
        "validation_nll": 1.8,
        "validation_accuracy": 0.61,
        "seconds": 24.0,
    },
    {"epoch": 2, "loss": 1.2, "kl": 1.1, "ce": 1.3, "validation_accuracy": 0.74, "seconds": 23.0},
    {"epoch": 3, "loss": 1.0, "kl": 0.9, "ce": 1.2, "validation_accuracy": None, "seconds": 23.0},
]


def svg(figure) -> ET.Element:
    uri = plots.svg_uri(figure)
    prefix = "data:image/svg+xml;base64,"
    assert uri.startswith(prefix)
    return ET.fromstring(base64.b64decode(uri.removeprefix(prefix)))


def texts(figure) -> list[str]:
    return ["".join(e.itertext()) for e in svg(figure).iter("{http://www.w3.org/2000/svg}text")]


def test_confusion_matrix_shows_counts_and_rows_by_share():
    counts = np.array([[30, 10], [0, 2]])
    figure = plots.confusion_matrix(counts, ["big", "small"])
    assert {"30", "10", "2", "big", "small"} <= set(texts(figure))
    assert "0" not in texts(figure)
    shades = figure.axes[0].images[0].get_array() ** 2
    assert shades.ravel().tolist() == pytest.approx([0.75, 0.25, 0, 1])


def test_confusion_matrix_of_many_classes_has_no_numbers_and_keeps_empty_rows_empty():
    labels = [f"class_{i:02}" for i in range(77)]
    counts = np.diag(np.r_[np.zeros(1, int), np.full(76, 40)])
    figure = plots.confusion_matrix(counts, labels)
    shown = texts(figure)
    assert "40" not in shown
    assert sum(text.startswith("class_") for text in shown) == 2 * 77
    assert figure.axes[0].images[0].get_array()[0].sum() == 0


def test_reliability_diagram_draws_every_bin_at_its_place():
    p = np.array([[0.9, 0.1]] * 10 + [[0.65, 0.35]] * 10)
    gold = np.array([0] * 6 + [1] * 4 + [0] * 10)
    bins = reliability_bins(p, gold)
    figure = plots.reliability_diagram({"teacher": ("Teacher", bins, 0.325)})
    top, below = figure.axes
    points = top.lines[-1].get_xydata()
    assert points == pytest.approx(np.array([[0.65, 1.0], [0.9, 0.6]]))
    assert [bar.get_height() for bar in below.patches] == pytest.approx([0.5, 0.5])
    assert "ECE 0.325" in texts(figure)


def test_reliability_diagram_has_a_panel_for_each_model():
    bins = reliability_bins([[0.8, 0.2]], [0])
    models = {name: (name, bins, 0.2) for name in ("teacher", "student", "student_quantized")}
    assert len(plots.reliability_diagram(models).axes) == 6


def test_learning_curve_draws_what_was_recorded():
    losses, validation = plots.learning_curve(HISTORY).axes
    assert {line.get_label(): line.get_ydata().tolist() for line in losses.lines} == {
        "total loss": [1.9, 1.2, 1.0],
        "KL to the teacher": [2.0, 1.1, 0.9],
        "cross-entropy on gold": [1.7, 1.3, 1.2],
        "NLL on validation data": [1.8],
    }
    (accuracy,) = validation.lines
    assert accuracy.get_xdata().tolist() == [1, 2]


def test_learning_curve_does_not_blow_up_a_tiny_change():
    history = [{"epoch": e, "validation_accuracy": 0.9 + e / 1000} for e in (1, 2, 3)]
    (axes,) = plots.learning_curve(history, "validation").axes
    low, high = axes.get_ylim()
    assert high - low >= 0.1 - 1e-9
    assert low < 0.901 < 0.903 < high


def test_learning_curve_leaves_out_losses_that_are_not_finite():
    history = [{"epoch": 1, "loss": float("nan")}, {"epoch": 2, "loss": 1.0}]
    (axes,) = plots.learning_curve(history, "losses").axes
    assert axes.lines[0].get_xydata().tolist() == [[2.0, 1.0]]


def test_learning_curve_png_is_an_image_even_without_history():
    for history in (HISTORY, HISTORY[:1], []):
        image = Image.open(io.BytesIO(plots.learning_curve_png(history)))
        assert image.format == "PNG"
        assert image.width > 2 * image.height


def scores(*f1: float, support: int = 9) -> dict[str, ClassScores]:
    return {f"class {i}": ClassScores(x, x, x, support) for i, x in enumerate(f1)}


def test_per_class_f1_puts_the_weakest_of_the_last_model_on_top():
    models = {
        "teacher": ("Teacher", scores(0.9, 0.8, 0.95)),
        "student": ("Student", scores(0.7, 0.75, 0.5)),
    }
    (axes,) = plots.per_class_f1(models).axes
    teacher, student = axes.lines
    assert student.get_xdata().tolist() == [0.5, 0.7, 0.75]
    assert teacher.get_xdata().tolist() == [0.95, 0.9, 0.8]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_per_class_f1_leaves_out_classes_without_examples_and_limits_the_rest():
    many = scores(*np.linspace(0.2, 1, 80)) | {"unseen": ClassScores(0, 0, 0, 0)}
    (axes,) = plots.per_class_f1({"student": ("Student", many)}).axes
    (line,) = axes.lines
    assert len(line.get_xdata()) == plots.MOST_CLASSES_IN_F1
    assert min(line.get_xdata()) == pytest.approx(0.2)
    assert max(line.get_xdata()) < 0.6


HOSTILE = ["$x^{$", "</text><script>alert(1)</script>", "ประเทศไทย", "退款", "a\nb\x07", "x" * 90]


def test_labels_stay_labels(caplog):
    """No formula, no markup, no warning about fonts; every script as text of the SVG."""
    counts = np.eye(len(HOSTILE), dtype=int)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        figure = plots.confusion_matrix(counts, HOSTILE)
        shown = texts(figure)
        plots.png_bytes(figure)
    assert not caplog.records
    assert {"$x^{$", "退款", "ประเทศไทย", "a b"} <= set(shown)
    assert not list(svg(figure).iter("{http://www.w3.org/2000/svg}script"))
    assert max(map(len, shown)) <= plots.LABEL_LENGTH


def test_long_labels_keep_both_ends():
    short = plots._short("balance_not_updated_after_cheque_or_cash_deposit")
    assert len(short) == plots.LABEL_LENGTH
    assert short.startswith("balance_not")
    assert short.endswith("cash_deposit")


def test_the_same_figure_gives_the_same_bytes():
    first, second = (plots.svg_uri(plots.learning_curve(HISTORY)) for _ in range(2))
    assert first == second


def test_style_does_not_leak():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plots.learning_curve_png(HISTORY)
    assert dict(matplotlib.rcParams) == before
