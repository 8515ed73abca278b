"""Cases that are made of pairs, kind by kind, and when one fails."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from stillhouse.config.dataset import ClassificationTask, ExtractionTask, QuestionAnsweringTask
from stillhouse.tasks.common import Answered, rows_of
from stillhouse.tasks.edge_cases import EdgeCase, failed, generated
from stillhouse.tasks.kinds import edges_of, open_tasks
from stillhouse.tasks.perturbations import PERTURBATIONS, very_long

TEXT = "Please send the Halberg pump to gate 7 as soon as possible, because ours is broken."


@pytest.mark.parametrize("name", PERTURBATIONS)
def test_a_change_is_one_and_keeps_what_the_answer_is_made_of(name: str) -> None:
    kept = ["Halberg", "gate 7"]
    for seed in range(20):
        changed = PERTURBATIONS[name](TEXT, kept, Random(seed))
        assert changed is not None
        assert changed != TEXT
        assert all(piece in changed for piece in kept)
        assert PERTURBATIONS[name](TEXT, kept, Random(seed)) == changed
    assert PERTURBATIONS["typos"]("7 up", [], Random(0)) is None
    assert PERTURBATIONS["cut off"]("pump for gate 7", ["gate 7"], Random(0)) is None


def test_hostile_texts_are_changed_without_a_fault() -> None:
    for text in ("", " ", "\x00\ud83d", "((((", "\\1 {answer} %s", "漢字" * 50, "a" * 5000):
        for change in PERTURBATIONS.values():
            change(text, ["(", "a", ""], Random(1))
    assert len(very_long("x", 9000)) > 9000


@pytest.fixture
def routing_cases(routing: ClassificationTask, routing_dataset: Path) -> Callable[..., Any]:
    (kind,) = open_tasks(routing_dataset, [routing])
    rows = [r for batch in rows_of(routing_dataset, "routing", "test") for r in batch]
    training = [r for batch in rows_of(routing_dataset, "routing", "train") for r in batch]
    edges = edges_of(kind, training)

    def call(**changes: Any) -> tuple[Any, list[EdgeCase]]:
        how = {"per_kind": 2, "seed": 7, "beyond": 500, **changes}
        return edges, generated(edges, rows, **how)

    return call


def test_classification_has_every_kind_and_no_more_than_asked(
    routing_cases: Callable[..., Any],
) -> None:
    edges, cases = routing_cases()
    counts = Counter(case.kind for case in cases)
    assert counts.pop("out of scope") == 8
    assert set(counts) >= {"typos", "case", "very long", "injection", "negation", "decisive words"}
    assert max(counts.values()) == 2
    assert routing_cases()[1] == cases
    assert routing_cases(seed=8)[1] != cases
    injected = [case for case in cases if case.kind == "injection"]
    own = {row["input"]: row["label"] for row in edges.training}
    for case in injected:
        (other,) = {"billing", "hardware"} - {own[str(case.of)]}
        assert other in case.text.split(str(case.of))[0]


def test_outcomes(routing_cases: Callable[..., Any]) -> None:
    edges, _ = routing_cases()
    sure, less, other = (
        Answered("x", "billing", 0.9),
        Answered("x", "billing", 0.6),
        Answered("y", "hardware", 0.9),
    )

    def fails(expect: Any, said: Answered, before: Answered | None = sure) -> bool:
        answer = ("x", "billing") if expect == "answer" else None
        return failed(EdgeCase("k", "t", expect, of="o", answer=answer), edges, said, before)

    assert not fails("answer", less, None)
    assert fails("answer", other, None)
    assert not fails("same_as", less)
    assert fails("same_as", other)
    assert fails("other_than", less)
    assert not fails("other_than", other)
    assert not fails("less_sure", less)
    assert not fails("less_sure", other)
    assert fails("less_sure", sure)
    assert not fails("not_surer", sure)  # as sure as before
    assert fails("not_surer", sure, less)


def rows(task: str, inputs: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        {"pair_id": f"{task}{i}", "instruction": "", "input": x, "response": y, "label": None}
        for i, (x, y) in enumerate(inputs)
    ]


def test_extraction_keeps_its_values_and_denies_others(tmp_path: Path) -> None:
    task = ExtractionTask.model_validate(
        {"name": "order", "kind": "extraction", "sources": ["t"], "answers": "order",
         "fields": {"item": {"optional": True}, "count": {"type": "integer", "optional": True}}}
    )  # fmt: skip
    (kind,) = open_tasks(tmp_path, [task])
    found = rows(
        "order",
        [
            ("Please send 12 Halberg pumps to us.", '{"item":"Halberg pumps","count":12}'),
            ("We need the Corrie valve, three of them.", '{"item":"Corrie valve"}'),
        ],
    )
    edges = edges_of(kind, found)
    cases = generated(edges, found, per_kind=2, seed=1, beyond=300)
    for case in cases:
        row = next((r for r in found if r["pair_id"] == case.pair_id), None)
        values = [] if row is None else [str(v) for v in json.loads(row["response"]).values()]
        if case.kind == "decisive words":
            assert not any(value in case.text for value in values)
        else:
            assert all(value in case.text for value in values)
    pump, same = (edges.as_answered(text, None) for text in ('{"item":"a"}', '{"item":" a "}'))
    empty = edges.as_answered("{}", None)
    assert edges.same(pump, same)
    assert not edges.same(pump, empty)
    assert edges.confidence(empty) == 0
    assert not edges.same(pump, Answered("no json", None, 0.9))


def test_questions_stay_and_passages_vary(tmp_path: Path) -> None:
    task = QuestionAnsweringTask.model_validate(
        {"name": "qa", "kind": "question_answering", "sources": ["t"], "answers": "a"}
    )
    (kind,) = open_tasks(tmp_path, [task])
    found = rows(
        "qa",
        [
            ("Question: When is it open?\n\nThe hatch is open from nine to four.", "nine to four"),
            ("Question: Who has keys?\n\nOnly the porters have keys to it.", "the porters"),
        ],
    )
    edges = edges_of(kind, found)
    cases = generated(edges, found, per_kind=2, seed=1, beyond=300)
    for case in cases:
        assert case.text.startswith("Question: ")
        if case.kind not in ("out of scope", "injection"):
            assert case.text.split("\n\n")[0] in {r["input"].split("\n\n")[0] for r in found}
    outside = next(case for case in cases if case.kind == "out of scope")
    assert outside.text.split("\n\n")[1] in found[0]["input"]
