"""Answers that several stores lack, asked of a tiny model at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ClassificationTask, ExtractionTask
from stillhouse.config.proof import EdgeCases
from stillhouse.evaluate.edge_cases import ask_cases, cases_lacking, plan
from stillhouse.evaluate.predictions import predict, texts_per_second
from stillhouse.evaluate.side_by_side import Candidate, side_by_side
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner

FIELDS = {"item": "string"}


def test_written_answers_of_all_stores_are_asked_together_and_chosen_ones_by_store(
    tiny_teacher: Path,
    routing: ClassificationTask,
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = ExtractionTask.model_validate(
        {"name": "order", "kind": "extraction", "sources": ["t"], "fields": FIELDS}
        | {"max_answer_tokens": 4, "instruction": "Extract the order."}
    )
    orders = [
        routing_pairs[0]
        | {"task": "order", "instruction": "Extract the order.", "label": None, "split": split}
        | {"pair_id": f"order-{split}-{item}", "input": f"A new {item} please, {split}"}
        | {"response": json.dumps({"item": item}, separators=(",", ":"))}
        for split in ("train", "validation", "test")
        for item in ("pump", "valve")
    ]
    dataset = write_dataset(tmp_path / "dataset.parquet", [*orders, *routing_pairs])
    planned = plan(dataset, [order], EdgeCases(per_kind=1), {}, max_tokens=64)
    asked: list[tuple[str, list[str]]] = []
    original = Runner.predict

    def counted(self: Runner, kind: Any, rows: Any) -> Any:
        asked.append((kind.task.name, [row["input"] for row in rows]))
        return original(self, kind, rows)

    monkeypatch.setattr(Runner, "predict", counted)
    edges = tmp_path / "edges.parquet"

    def ahead(c: Candidate, runner: Runner) -> Any:
        return cases_lacking(planned, edges, runner, model_digest=c.digest)

    def also(candidate: Candidate, runner: Runner, answers: Any, calibrations: Any) -> None:
        c = candidate
        ask_cases(planned, edges, c.name, runner, answers, calibrations, model_digest=c.digest)

    model = Candidate("teacher", tiny_teacher, "one", 1, 2, 64, tmp_path / "teacher.parquet")
    tasks = [routing, order]
    first = side_by_side(dataset, tasks, [model], also, ahead)
    together, *others = [inputs for task, inputs in asked if task == "order"]
    held_out = {row["input"] for row in orders if row["split"] != "train"}
    cases = {case.text for case in planned["order"].cases}
    assert others == [] and len(together) == len(set(together))
    assert set(together) == held_out | cases
    assert [task for task, _ in asked].count("routing") == 2  # a chosen answer costs the same alone
    assert texts_per_second(tmp_path / "teacher.test.parquet", ["order"])

    asked.clear()
    again = side_by_side(dataset, tasks, [model], also, ahead)
    assert (
        asked == []
        and again.scored["teacher"]["order"].score == first.scored["teacher"]["order"].score
    )

    (kind,) = open_tasks(dataset, [order])
    rows = [row for row in orders if row["split"] == "test"]
    alone = Runner(tiny_teacher, dataset, 64)
    kept = predict(alone, [order], "test", tmp_path / "teacher.test.parquet", model_digest="one")
    texts = [answer["text"] for answer in original(alone, kind, rows)]
    by_pair = sorted(zip((row["pair_id"] for row in rows), texts, strict=True))
    assert [answer["text"] for answer in kept["order"].predictions] == [t for _, t in by_pair]
