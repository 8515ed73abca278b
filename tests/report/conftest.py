"""A report on a made-up kind of task: this room must not care what kind it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.student import Gates
from stillhouse.report.results import ModelResult
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Answer, Figure, Sample, SampleGroup, Section, Table


def answers(right: Any, confident: bool = True) -> Scored:
    """Answers of a kind of task that only knows right and wrong."""
    right = np.asarray(right, dtype=bool)
    share = float(right.mean())
    return Scored(
        n=len(right),
        score=share,
        right=right,
        figures={"overlap": share},
        metrics={"overlap": share, "overlap_ci": [share - 0.1, share + 0.1], "valid": 12},
        table={"Overlap (95% CI)": "overlap", "Valid": "valid"},
        calibration_error=0.05 if confident else None,
        detail=None,
        headline="overlap",
    )


def out_of(n: int, wrong: list[int]) -> list[int]:
    return [int(i not in wrong) for i in range(n)]


def by_value(values: Any, counts: Any = None) -> Scored:
    """Answers of a kind whose headline is a mean of scores, or the micro F1 of counts."""
    from stillhouse.metrics.extraction import micro_f1

    values = np.asarray(values, dtype=float)
    score = float(values.mean() if counts is None else micro_f1(np.sum(counts, axis=0)))
    return Scored(
        n=len(values),
        score=score,
        right=values == 1,
        figures={"overlap": score},
        metrics={"overlap": score},
        table={"Overlap": "overlap"},
        calibration_error=None,
        detail=None,
        headline="overlap",
        values=values if counts is None else None,
        counts=counts,
    )


RIGHT = {
    "baseline": out_of(200, list(range(100, 160))),
    "teacher_zero_shot": out_of(200, list(range(150))),
    "teacher": out_of(200, list(range(20))),
    "student": out_of(200, list(range(24))),
    "student_quantized": out_of(200, list(range(23))),
}
SIZES = {
    "baseline": (None, None),
    "teacher_zero_shot": (2_500_000, 9_000_000),
    "teacher": (2_500_000, 9_000_000),
    "student": (250_000, 900_000),
    "student_quantized": (250_000, 90_000),
}


def models(right: dict[str, Any], tasks: tuple[str, ...] = ("digest",)) -> list[ModelResult]:
    return [
        ModelResult(
            name,
            *SIZES.get(name, (10, 10)),
            {task: x if isinstance(x, Scored) else answers(x) for task in tasks},
        )
        for name, x in right.items()
    ]


def draw() -> object:
    from stillhouse.tasks.figures import new_figure, style

    with style():
        figure = new_figure(2, 2)
        figure.add_subplot()
    return figure


def section(text: str = "a sample", title: str = "What came out") -> Section:
    sample = Sample(text, "wanted", [Answer("Student", "given", None, False)])
    return Section(
        title,
        ["A paragraph."],
        [Figure(draw, "A plot")],
        [Table(["Name", "Count"], [[text, "1 of 3"]], "How to read it.")],
        [SampleGroup("Wrong ones", 7, [sample])],
    )


HISTORY = [
    {"epoch": 1, "loss": 1.9, "kl": 2.0, "ce": 1.7, "validation_overlap": 0.61},
    {"epoch": 2, "loss": 1.2, "kl": 1.1, "ce": 1.3, "validation_overlap": 0.74},
]


@pytest.fixture(scope="session", name="answers")
def _answers() -> Callable[..., Scored]:
    return answers


@pytest.fixture(scope="session", name="by_value")
def _by_value() -> Callable[..., Scored]:
    return by_value


@pytest.fixture(scope="session", name="models")
def _models() -> Callable[..., list[ModelResult]]:
    return models


@pytest.fixture(scope="session", name="section")
def _section() -> Callable[..., Section]:
    return section


@pytest.fixture(scope="session")
def given() -> dict[str, Any]:
    """What `make_report` is given, but for the folder."""
    return {
        "project": "helpdesk",
        "student": "router",
        "teacher_version": "t-1",
        "kinds": {"digest": "summarization"},
        "baselines": {"digest": "the first sentence"},
        "results": models(RIGHT),
        "sections": {"digest": [section()]},
        "limits": Gates(max_score_drop=0.05, max_quantization_drop=0.01, max_ece=0.1),
        "learning_curve": HISTORY,
        "provenance": {"Dataset": {"digest": "ab12", "splits": {"seed": 7}}, "Code": "0.1.0"},
    }


@pytest.fixture(scope="session")
def reported(given: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a report."""
    from stillhouse.report.assemble import make_report

    folder = tmp_path_factory.mktemp("report")
    make_report(folder=folder, **given)
    return folder


@pytest.fixture
def made(given: dict[str, Any], tmp_path: Path) -> Callable[..., Any]:
    """`make_report` with some fields replaced; pages are made without the costly curve."""
    from stillhouse.report.assemble import make_report

    return partial(make_report, folder=tmp_path, **given | {"learning_curve": []})
