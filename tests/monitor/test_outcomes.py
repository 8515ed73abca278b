"""Feedback finds its request, however late and from whatever log, and is forgotten with it."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.monitor import FeedbackOf
from stillhouse.monitor.forgetting import forget_requests, remember_requests, requests_of
from stillhouse.monitor.outcomes import (
    Given,
    Outcome,
    answer_id,
    at,
    feedback_in,
    given_by,
    outcome_of,
)
from stillhouse.monitor.requests import Request, requests_in
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table
from tests.monitor.test_traffic import NAME, NOW, line, read, root, write_project

__all__ = ["root"]
WHERE = FeedbackOf(score="scores.0.value", answer="metadata.corrected", metric="cost")


def said(about: str, minutes: int = 0, **fields: Any) -> str:
    time = (NOW - timedelta(hours=1) + timedelta(minutes=minutes)).isoformat()
    return json.dumps({"id": f"f{minutes}", "time": time, "about": about, **fields}) + "\n"


def feedback(folder: Path) -> list[dict[str, Any]]:
    table = Layout(folder / "var").table("production_traffic").with_name("feedback.parquet")
    return read_table(table).to_pylist()


def test_feedback_that_comes_later_is_joined_and_the_last_word_counts(root: Path) -> None:
    log = root / "logs" / "a.jsonl"
    shadow = {"release": "c-2", "answer": f"for {NAME}", "confidence": 0.25}
    log.write_text(line(1, release="p-1", shadow=shadow) + "\n" + line(2) + "\n")
    facts, rows = read(root)
    assert [row["score"] for row in rows] == [None, None] and facts.judged == 0
    assert (rows[0]["release"], rows[0]["shadow_release"]) == ("p-1", "c-2")
    assert (rows[0]["shadow"], rows[0]["shadow_confidence"]) == ("for Person-kuvora", 0.25)
    assert rows[0]["pseudonyms"] == ["Person-kuvora"]
    log.write_text(
        log.read_text()
        + said("r-1", 1, score=1.0)
        + said("chatcmpl-r-1", 3, score=0.0, right_answer=f"it is {NAME}'s")
        + said("r-1", 2, score=0.5, metrics={"solved": 1})
        + said("r-none", 1, score=1.0)
    )
    facts, rows = read(root)
    assert (rows[0]["score"], rows[0]["gold"]) == (0.0, "it is Person-kuvora's")
    assert rows[0]["metric"] is None and rows[1]["score"] is None  # no metric was named
    assert (facts.judged, facts.shadowed, facts.feedback, facts.requests) == (1, 1, 4, 2)
    assert NAME.encode() not in b"".join(
        f.read_bytes() for f in (root / "var" / "tables").rglob("*.parquet")
    )
    # It stays with its request; what nothing was asked for waits a day.
    assert len(feedback(root)) == 4
    _, rows = read(root, NOW + timedelta(days=2))
    assert rows[0]["score"] == 0.0 and len(feedback(root)) == 3
    write_project(root, feedback={"metric": "metrics.solved"})
    assert read(root)[1][0]["metric"] == 1.0


def test_feedback_goes_with_the_request_that_is_forgotten(root: Path) -> None:
    import pyarrow as pa

    log = root / "logs" / "a.jsonl"
    log.write_text(
        line(1) + "\n" + line(2) + "\n" + said("r-1", 1, right_answer=f"ask {NAME}")
        + said("r-2", 2, score=1.0)
    )  # fmt: skip
    read(root)
    layout = Layout(root / "var")
    looks = layout.ab_test("router", "t-1") / "looks.json"
    looks.parent.mkdir(parents=True)
    for name in ("looks.json", "ab_test.html", "answers.parquet", "provenance.json"):
        (looks.parent / name).write_text("[]")
    none = pa.table({"doc_id": pa.array([], pa.string())})
    # The name stands in what was said of it alone.
    found = requests_of(layout, none, "Person-kuvora")
    assert len(found) == 1
    remember_requests(layout, found)
    assert forget_requests(layout) == 1
    assert [row["gold"] for row in feedback(root)] == [None]
    assert [file.name for file in looks.parent.iterdir()] == ["looks.json"]
    log.write_text(log.read_text() + line(3) + "\n")
    _, rows = read(root, NOW + timedelta(days=2))
    assert [row["gold"] for row in rows] == [None, None]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, 1.0), ("Correct", 1.0), ("wrong", 0.0), (0.4, 0.4), (7, None), ("?", None), ([], None)],
)
def test_a_score_in_whatever_form(value: Any, expected: float | None) -> None:
    found = outcome_of({"scores": [{"value": value}]}, WHERE)
    assert found == Outcome(score=expected)


def test_places_that_a_log_names() -> None:
    asked = {"input": "text", "metadata": json.dumps({"corrected": {"a": 1}}), "cost": 0.25}
    assert outcome_of(asked, WHERE) == Outcome(gold='{"a": 1}', metric=0.25)
    assert outcome_of(asked, FeedbackOf()) == Outcome()
    assert outcome_of({"cost": float("nan")}, WHERE) == Outcome()
    assert at({"a": ["x"]}, "a.1") is None is at({"a": "{broken"}, "a.b")
    assert (
        feedback_in({"about": "r", "input": "a request"}, WHERE) is None is feedback_in([], WHERE)
    )
    answered = {"response": {"system_fingerprint": "p-1"}, "shadow": "no object"}
    assert given_by(answered) == Given(release="p-1")
    assert given_by({"release": "two words"}) == Given()
    of = {"id": "proxy-7", "response": {"id": "chatcmpl-0a", "choices": []}, "input": "text"}
    (request,) = requests_in(of)
    assert answer_id(request) == "chatcmpl-0a"
    assert answer_id(Request("text", id="r-1", of={"response": {"id": "other"}})) == "r-1"
