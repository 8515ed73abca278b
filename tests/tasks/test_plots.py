import numpy as np
import pytest

from stillhouse.metrics.calibration import reliability_bins
from stillhouse.metrics.classification import ClassScores
from stillhouse.tasks import plots

NAMES = {"teacher": "Teacher, 4 shots", "student": "Student"}


def test_reliability_diagram_draws_every_bin_at_its_place():
    confidence = [0.9] * 10 + [0.65] * 10
    right = [True] * 6 + [False] * 4 + [True] * 10
    bins = reliability_bins(confidence, right)
    figure = plots.reliability_diagram("student_quantized", "Student, quantized", bins, 0.325)
    top, below = figure.axes
    points = top.lines[-1].get_xydata()
    assert points == pytest.approx(np.array([[0.65, 1.0], [0.9, 0.6]]))
    assert [bar.get_height() for bar in below.patches] == pytest.approx([0.5, 0.5])
    assert "ECE 0.325" in [x.get_text() for x in top.texts]
    assert top.get_title(loc="left").strip() == "Student, quantized"


def scores(*f1: float, support: int = 9) -> dict[str, ClassScores]:
    return {f"class {i}": ClassScores(x, x, x, support) for i, x in enumerate(f1)}


def test_f1_puts_the_weakest_of_the_last_model_on_top():
    models = {"teacher": scores(0.9, 0.8, 0.95), "student": scores(0.7, 0.75, 0.5)}
    (axes,) = plots.f1_by_name(models, NAMES, "test examples").axes
    teacher, student = axes.lines
    assert student.get_xdata().tolist() == [0.5, 0.7, 0.75]
    assert teacher.get_xdata().tolist() == [0.95, 0.9, 0.8]
    bottom, top = axes.get_ylim()
    assert bottom > top


def test_f1_leaves_out_classes_without_examples_and_limits_the_rest():
    many = scores(*np.linspace(0.2, 1, 80)) | {"unseen": ClassScores(0, 0, 0, 0)}
    (axes,) = plots.f1_by_name({"student": many}, NAMES, "test examples").axes
    (line,) = axes.lines
    assert len(line.get_xdata()) == plots.MOST_NAMES_IN_F1
    assert min(line.get_xdata()) == pytest.approx(0.2)
    assert max(line.get_xdata()) < 0.6


def test_f1_bears_names_that_only_some_models_know():
    teacher = scores(0.5, 0.6) | {"made up": ClassScores(0, 0, 0, 0)}
    (axes,) = plots.f1_by_name(
        {"teacher": teacher, "student": scores(0.4, 0.3)}, NAMES, "test values"
    ).axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["class 1 (9)", "class 0 (9)"]
    assert axes.get_xlabel() == "F1 (in brackets: test values)"


def test_share_reached_is_the_share_of_examples_with_at_least_so_much():
    values = np.array([0.0, 0.25, 0.25, 1.0])
    figure = plots.share_reached({"teacher": values, "student": [1.0] * 4}, NAMES, "F1")
    (axes,) = figure.axes
    curve, marks, *_ = axes.lines
    steps = dict(curve.get_xydata().tolist())  # the last point at a value counts
    assert steps == {0.0: 0.75, 0.25: 0.25, 1.0: 0.0}
    for x, y in marks.get_xydata():
        assert y == pytest.approx((values >= x).mean())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["Teacher, 4 shots", "Student"]
