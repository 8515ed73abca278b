"""Versions side by side: what grew, what chance explains, and what is said of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stillhouse.config.student import Gates
from stillhouse.errors import UserError
from stillhouse.history.comparison import compare_versions
from stillhouse.history.gaps import Measured, grown, measured, standard_error
from stillhouse.history.remedies import remedies
from stillhouse.history.shown import leaderboard, plot_of, scores_by_version, slices_of, table_of
from stillhouse.metrics.paired import PairedTest, mcnemar_exact, paired_bootstrap
from stillhouse.report.gates import gates_of
from stillhouse.report.results import ModelResult, compare, evaluation
from stillhouse.storage.files import write_json
from stillhouse.storage.tables import read_table
from stillhouse.tasks.results import Scored

N = 400
Shares = Mapping[str, tuple[float, float, float]]


def answers(share: float, seed: int) -> Scored:
    right = np.random.default_rng(seed).random(N) < share
    score = float(right.mean())
    return Scored(
        n=N, score=score, right=right, figures={}, table={"Accuracy": "accuracy"},
        metrics={"accuracy": score, "accuracy_ci": [score - 0.05, score + 0.05],
                 "per_class": {"billing": {"f1": score, "support": N}}},
        calibration_error=None, detail=None, headline="accuracy",
    )  # fmt: skip


def report(version: str, tasks: Shares, teacher: int = 100, seed: int = 0) -> dict[str, Any]:
    """`tasks` has the shares of right answers of teacher, student and quantized student."""
    names = ("teacher", "student", "student_quantized")
    results = [
        ModelResult(
            name,
            teacher if name == "teacher" else 20,
            4 * (teacher if name == "teacher" else 5),
            {t: answers(shares[place], seed + 10 * place) for t, shares in tasks.items()},
        )
        for place, name in enumerate(names)
    ]
    comparisons = compare(results)
    return evaluation(
        project="demo", student="router", teacher_version=version,
        kinds=dict.fromkeys(tasks, "classification"), results=results, comparisons=comparisons,
        gates=gates_of({r.name: r for r in results}, Gates(), comparisons),
    )  # fmt: skip


def rows_of(*reports: tuple[str, dict[str, Any]]) -> list[Measured]:
    return [row for version, found in reports for row in measured("router", version, found)]


def told(before: Shares, after: Shares, teacher: int = 100) -> list[str]:
    rows = rows_of(("v1", report("v1", before)), ("v2", report("v2", after, teacher, seed=99)))
    found, compared = grown(rows)
    assert compared == len(before.keys() & after.keys())
    return remedies(rows, found)


SAME = (0.9, 0.85, 0.85)


def test_a_gap_that_stays_is_no_news() -> None:
    assert told({"a": SAME}, {"a": SAME}) == []
    assert told({"a": SAME}, {"a": (0.95, 0.94, 0.94)}) == []
    assert told({"a": SAME}, {"b": (0.95, 0.3, 0.3)}) == []


def test_one_task_of_several_wants_data_of_its_own() -> None:
    (said,) = told({"a": SAME, "b": SAME, "c": SAME}, {"a": (0.9, 0.6, 0.6), "b": SAME, "c": SAME})
    assert "router, v1 to v2: the gap to the teacher grew on 1 of 3 tasks (a" in said
    assert "narrower task" in said and "bigger student" not in said


def test_a_better_teacher_that_its_student_cannot_follow_wants_a_bigger_one() -> None:
    before, after = (0.7, 0.68, 0.68), (0.97, 0.74, 0.74)
    (said,) = told({"a": before, "b": before}, {"a": after, "b": after}, teacher=1000)
    assert "grew on all 2 tasks" in said and "bigger student" in said
    assert "hidden states" in said and "50 times its parameters: an assistant" in said
    (near,) = told({"a": before}, {"a": after})
    assert "bigger student" in near and "assistant" not in near


def test_a_student_that_lost_what_it_knew_wants_better_data() -> None:
    (said,) = told({"a": SAME}, {"a": (0.9, 0.5, 0.5)})
    assert "more or better" in said and "bigger" not in said


def test_what_quantization_cost_is_told_apart() -> None:
    (said,) = told({"a": SAME}, {"a": (0.9, 0.85, 0.5)})
    assert said.endswith("Most of it is quantization: take 8 bits, or more calibration texts.")


@pytest.mark.parametrize(("growth", "least", "most"), [(0.0, 0.0, 0.08), (0.1, 0.9, 1.0)])
def test_chance_seldom_alarms_and_what_grew_is_found(
    growth: float, least: float, most: float
) -> None:
    """200 draws of two versions on 400 texts; the models err together, as a student's do."""
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        rows = []
        for version, lost in (("v1", 0.05), ("v2", 0.05 + growth)):
            teacher = rng.random(N) < 0.9
            student = (teacher & (rng.random(N) >= lost)) | (rng.random(N) < 0.02)
            wins, losses = int((student & ~teacher).sum()), int((teacher & ~student).sum())
            error = standard_error(PairedTest(N, wins, losses, 1.0, None))
            of_student = float(student.mean())
            scores = {"student": of_student, "student_quantized": of_student}
            scores["teacher"] = float(teacher.mean())
            sizes = ((100, 20), (400, 20))
            rows.append(
                Measured("router", version, "a", "accuracy", N, scores, {}, error, *sizes, {})
            )
        alarms += bool(grown(rows)[0])
    assert least <= alarms / 200 <= most


def test_the_error_of_a_gap_is_that_of_its_test() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.random(500) < 0.8, rng.random(500) < 0.7
    by_counts = standard_error(mcnemar_exact(first, second))
    by_draws = standard_error(paired_bootstrap(first.astype(float), second.astype(float)))
    assert by_counts == pytest.approx(np.std(first * 1.0 - second) / 500**0.5, rel=1e-6)
    assert by_draws == pytest.approx(by_counts, rel=0.05)
    assert standard_error(mcnemar_exact(first, first)) == 1 / 500


def test_many_tasks_are_no_reason_to_alarm() -> None:
    """Each of 20 tasks alone would be at 4 %."""
    one = rows_of(("v1", report("v1", {"a": SAME})))[0]
    rows = [
        replace(one, task=f"t{n}", version=version, error=1.0,
                scores={"teacher": gap, "student": 0.0, "student_quantized": 0.0})
        for n in range(20)
        for version, gap in (("v1", 0.0), ("v2", 1.75 * 2**0.5))
    ]  # fmt: skip
    assert grown(rows[:2])[0] and not grown(rows)[0]


FAST = {"figures": {"p95_seconds": 0.25, "requests_per_second": 31.5}}


def written(folder: Path, *reports: tuple[str, dict[str, Any]]) -> list[tuple[str, str, Path]]:
    for version, found in reports:
        write_json(folder / version / "evaluation.json", found)
    return [("router", version, folder / version) for version, _ in reports]


def test_the_table_the_leaderboard_and_the_plot_say_the_same(tmp_path: Path) -> None:
    reports = written(
        tmp_path,
        ("v1", report("v1", {"a": SAME, "b": SAME})),
        ("v2", report("v2", {"a": (0.9, 0.6, 0.6), "b": SAME}) | {"latency": FAST}),
    )
    facts = compare_versions(reports, tmp_path / "data.parquet")
    assert (facts.reports, facts.versions, facts.compared) == (2, ["v1", "v2"], 2)
    (gap,) = facts.grown
    assert (gap.task, gap.before, gap.after) == ("a", "v1", "v2") and gap.low > 0
    assert facts.largest_gap == gap.gap_after
    rows = read_table(tmp_path / "data.parquet").to_pylist()
    table = table_of(rows).splitlines()
    assert [line.split("|")[2].strip() for line in table[2:]] == ["a", "a", "b", "b"]
    assert f"{gap.gap_after - gap.gap_before:+.3f}" in table[3]
    board = leaderboard(rows, {("router", "v2"): (3, ["student_within_gate"])}).splitlines()
    assert [line.split("|")[2].strip() for line in board[2:]] == ["v1", "v2"]
    assert "student\\_within\\_gate" in board[3] or "student_within_gate" in board[3]
    # How fast it is, of the latency profile; nobody measured that of v1.
    for lines in (board, table[:4]):
        fast = [[cell.strip() for cell in line.split("|")[-3:-1]] for line in lines[2:]]
        assert fast == [["–", "–"], ["250", "31.5"]]
    assert "billing" in str(slices_of(rows))
    panels = scores_by_version(rows).axes
    assert [ax.get_title(loc="left") for ax in panels] == ["router: a", "router: b"]
    for place, model in enumerate(("teacher", "student", "student_quantized")):
        line = panels[0].lines[place]
        assert line.get_ydata().tolist() == [
            row[f"{model}_score"] for row in rows if row["task"] == "a"
        ]
    picture = str(plot_of(rows)).partition("base64,")[2].rstrip(")")
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    assert image.getpixel((2, 2)) == (255, 255, 255)  # readable on any page


def test_nothing_and_one_version_are_no_comparison(tmp_path: Path) -> None:
    facts = compare_versions([], tmp_path / "none.parquet")
    assert facts.largest_gap is None and plot_of([]) is None
    one = written(tmp_path, ("v1", report("v1", {"a": SAME})))
    facts = compare_versions(one, tmp_path / "one.parquet")
    assert facts.compared == 0 and facts.grown == []
    assert slices_of(read_table(tmp_path / "one.parquet").to_pylist()) is None


def test_a_report_that_is_none_is_named(tmp_path: Path) -> None:
    (report_of,) = written(tmp_path, ("v1", {"about": {}}))
    with pytest.raises(UserError, match=r"v1/evaluation\.json: it is no report") as caught:
        compare_versions([report_of], tmp_path / "data.parquet")
    assert "--teacher v1" in caught.value.remedy
