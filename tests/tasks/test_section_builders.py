import numpy as np
import pytest

from stillhouse.errors import UserError
from stillhouse.metrics.extraction import FieldScores
from stillhouse.tasks.plots import MOST_NAMES_IN_F1
from stillhouse.tasks.section_builders import (
    calibration_reading,
    calibration_section,
    check_same_examples,
    f1_sections,
)

NAMES = {"baseline": "Baseline", "teacher": "Teacher, 4 shots", "student": "Student"}


def test_calibration_reading():
    sure = [0.9] * 10, [True] * 5 + [False] * 5
    said = calibration_reading("student", sure, "fields")
    assert "the student is over-confident by 40.0 points" in said
    assert "its mean confidence is 90.0%, and 50.0% of its fields are right" in said
    doubting = calibration_reading("student", ([0.2] * 10, sure[1]))
    assert "under-confident by 30.0 points" in doubting
    honest = [0.9] * 10, [True] * 9 + [False]
    assert "as often right as its confidence says" in calibration_reading("student", honest)


def test_calibration_shows_every_model_but_the_baseline():
    trusted = {name: (np.array([0.9, 0.6]), np.array([True, False])) for name in NAMES}
    section = calibration_section(trusted, NAMES, counted="fields")
    assert [figure.alt for figure in section.figures] == [
        "Reliability diagram: Teacher, 4 shots",
        "Reliability diagram: Student",
    ]
    top = section.figures[1].draw().axes[0]
    assert [text.get_text() for text in top.texts] == ["ECE 0.350"]
    assert "fields are grouped by the confidence" in section.paragraphs[0]
    assert "the student is over-confident by 25.0 points" in section.paragraphs[0]


def scores(**f1: float) -> dict[str, FieldScores]:
    return {name: FieldScores(x, x, x, 4) for name, x in f1.items()}


def test_f1_as_a_plot_and_as_a_table():
    student = scores(product=0.8, quantity=0.5) | {"deadline": FieldScores(1, 1, 1, 0)}
    teacher = scores(product=0.9, quantity=0.7) | {"made_up": FieldScores(0, 1, 0, 0)}
    plot, table = f1_sections(
        {"teacher": teacher, "student": student},
        NAMES,
        thing=("field", "fields"),
        counted="values",
        explained="F1 is a balance.",
    )
    assert plot.title == "Field by field"
    assert "those that the student finds hardest on top. F1 is a balance." in plot.paragraphs[0]
    assert [t.get_text() for t in plot.figures[0].draw().axes[0].get_yticklabels()] == [
        "quantity (4)",
        "product (4)",
    ]
    assert table.folded
    (found,) = table.tables
    assert found.header == ["Field", "Values", "F1: Teacher, 4 shots", "F1: Student"]
    assert found.rows == [
        ["product", "4", "0.900", "0.800"],
        ["quantity", "4", "0.700", "0.500"],
        ["made_up", "0", "–", "–"],
        ["deadline", "0", "–", "–"],
    ]


def test_many_are_drawn_from_the_weakest():
    many = scores(**{f"f{i}": i / 100 for i in range(50)})
    plot, _ = f1_sections(
        {"student": many}, NAMES, thing=("field", "fields"), counted="values", explained=""
    )
    assert f"(the {MOST_NAMES_IN_F1} weakest of 50 fields)" in plot.paragraphs[0]


def test_without_gold_values_there_is_nothing_to_draw():
    plot, _ = f1_sections(
        {"student": {"a": FieldScores(1, 1, 1, 0)}},
        NAMES,
        thing=("field", "fields"),
        counted="values",
        explained="",
    )
    assert not plot.figures


def test_other_examples_are_refused_with_a_remedy():
    check_same_examples([["a"], ["a"]])
    with pytest.raises(UserError, match="different examples") as refused:
        check_same_examples([["a"], ["a"], ["b"]])
    assert "stillhouse run" in refused.value.remedy
