"""The test from traffic to verdict: planted answers of production, and two random models."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.monitor import AbTest
from stillhouse.evaluate.side_by_side import Candidate
from stillhouse.facts import AbTestFacts
from stillhouse.monitor.ab.asked import Side
from stillhouse.monitor.ab.looks import INFERIOR, NON_INFERIOR, OPEN
from stillhouse.monitor.ab.page import JSON, PAGE, render, write_page
from stillhouse.monitor.ab.run import SAME, Sides, run_test
from stillhouse.monitor.ab.said import shown, summary
from stillhouse.tasks.running import Runner
from tests.monitor.test_ab_values import write_traffic
from tests.monitor.test_drift import row

TERMS = AbTest(margin=0.1, requests=400, look_every=40, measure="outcome")
Run = Callable[..., AbTestFacts]


def side(name: str, folder: Path, *releases: str) -> Side:
    digest = f"digest of {name}"
    model = Candidate(name, folder, digest, 1, 1, 64, folder / f"{name}.parquet")
    return Side(model, frozenset(releases))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many requests a model was asked, each time."""
    counted: list[int] = []
    predict = Runner.predict

    def counting(self: Runner, kind: Any, rows: Any) -> Any:
        counted.append(len(rows))
        return predict(self, kind, rows)

    monkeypatch.setattr(Runner, "predict", counting)
    return counted


@pytest.fixture
def run(tiny_teacher: Path, routing: Any, routing_dataset: Path, tmp_path: Path) -> Run:
    """One test after the other, as the asset makes them: each new folder follows the last."""
    sides = Sides(
        side("candidate", tiny_teacher, "c-1"),
        side("teacher", tiny_teacher),
        side("production", tiny_teacher, "p-1"),
        "p-1",
    )
    last = [tmp_path / "0"]

    def test(rows: list[dict[str, Any]], terms: AbTest = TERMS, sides: Sides = sides) -> Any:
        folder = tmp_path / str(int(last[0].name) + 1)
        folder.mkdir()
        traffic = write_traffic(tmp_path, rows)
        facts = run_test(
            traffic, routing_dataset, [routing], "router", sides, terms, folder, last[0]
        )
        write_page(folder, facts, terms, "demo", "router", "t-1")
        last[0] = folder
        return facts

    test.sides = sides  # type: ignore[attr-defined]
    return test


def mirrored(
    numbers: range, wrong: Callable[[int], bool] = lambda _: False
) -> list[dict[str, Any]]:
    """Requests that production answered rightly, and the shadow wrongly now and then."""
    said = {"release": "p-1", "answer": "billing", "score": 1.0, "shadow_release": "c-1"}
    return [
        row(n, f"text number {chr(65 + n % 26)}{chr(65 + n // 26)}")
        | said
        | {"shadow": "hardware" if wrong(n) else "billing"}
        for n in numbers
    ]


def test_what_the_shadow_answered_decides_without_asking_a_model(
    run: Run, asked: list[int]
) -> None:
    facts = run(mirrored(range(60)))
    (task,) = facts.tasks
    assert (task.verdict, task.mirrored, asked) == (OPEN, 60, [])
    assert "about" in summary(facts, TERMS) and "more requests" in summary(facts, TERMS)
    facts = run(mirrored(range(200)))
    (task,) = facts.tasks
    assert (task.verdict, [one.requests for one in task.looks]) == (NON_INFERIOR, [60, 200])
    assert facts.against == "production" and facts.release == "p-1"
    assert task.better == task.worse == 0 and task.alike == 1
    # Decided is decided: more of the same is no further look.
    again = run(mirrored(range(300)))
    assert [one.requests for one in again.tasks[0].looks] == [60, 200]


def test_a_worse_candidate_is_found_out(run: Run) -> None:
    facts = run(mirrored(range(160), wrong=lambda n: n % 2 == 0))
    (task,) = facts.tasks
    assert task.verdict == INFERIOR and summary(facts, TERMS).startswith("routing: inferior")
    page = render(facts, TERMS, "demo", "router", "t-1")
    # Once: the word stands before the colon, and in what the page begins with.
    assert "Inferior:</strong> worse by" in page and "nferior: inferior" not in page
    assert (task.better, task.worse) == (0, 80)
    assert task.p_exact is not None and task.p_exact < 1e-6 and task.once[1] < -0.3


def test_looking_again_at_the_same_spends_nothing(run: Run) -> None:
    rows = mirrored(range(60), wrong=lambda n: n % 9 == 0)
    looks = run(rows).tasks[0].looks
    assert run(rows).tasks[0].looks == looks
    assert run(rows[:50]).tasks[0].looks == looks  # requests whose time was over
    more = run(mirrored(range(110), wrong=lambda n: n % 9 == 0)).tasks[0]
    assert [one.requests for one in more.looks] == [60, 110]
    assert more.looks[0] == looks[0] and more.looks[1].spent > looks[0].spent
    # Other terms are another test, and it is said that there was one.
    other = run(rows, TERMS.model_copy(update={"margin": 0.2}))
    assert len(other.tasks[0].looks) == 1 and other.tasks[0].earlier == 1


def test_who_was_not_mirrored_is_asked_once(run: Run, asked: list[int]) -> None:
    def requests(many: int) -> list[dict[str, Any]]:
        return [row(n, f"Where is invoice {chr(65 + n)}?") for n in range(many)]

    terms = TERMS.model_copy(update={"measure": "agreement"})
    assert run(requests(12), terms).tasks[0].alike == 1
    assert asked == [12, 12, 12]  # candidate, production, and the teacher as their judge
    asked.clear()
    assert run(requests(20), terms).tasks[0].sampled == 20
    assert asked == [8, 8, 8]
    assert run([], terms).tasks == []


def test_without_a_release_it_is_compared_with_the_teacher(
    run: Any, tiny_base: Path, asked: list[int]
) -> None:
    alone = replace(run.sides, production=None, release=None)
    terms = TERMS.model_copy(update={"measure": "agreement"})
    facts = run(mirrored(range(60)), terms, alone)
    (task,) = facts.tasks
    # A shadow was asked the text as it came, the teacher the masked one.
    assert (facts.against, task.mirrored, asked) == ("teacher", 0, [60, 60])
    assert task.alike == 1 and task.figures["outcomes"] == 60
    lacking = replace(alone, candidate=side("candidate", tiny_base))
    told = run(mirrored(range(60)), terms, lacking)
    assert not told.tasks and "lacks tokens" in told.why["routing"]
    same = replace(run.sides, production=run.sides.candidate)
    assert summary(run(mirrored(range(60)), TERMS, same), TERMS) == SAME


def test_the_page_says_it_and_shows_nothing_of_texts(run: Any, tmp_path: Path) -> None:
    rows = mirrored(range(60), wrong=lambda n: n % 9 == 0)
    rows[0]["input"] = "<script>alert(1)</script>"
    sides = replace(run.sides, release="p-1<script>")
    facts = run(rows, TERMS, sides)
    page = (tmp_path / "1" / PAGE).read_text()
    assert "<script" not in page and "p-1&lt;script" in page and "data:image/svg" in page
    assert "margin 0.1" in page and "Not yet told" in page
    said = json.loads((tmp_path / "1" / JSON).read_text())
    assert said["verdict"] == OPEN and said["tasks"][0]["looks"][0]["requests"] == 60
    assert {"verdict", "routing_looks"} == set(shown(facts, TERMS))
    assert "alert" not in page + json.dumps(said) + json.dumps(shown(facts, TERMS))
