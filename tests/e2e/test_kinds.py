"""The whole graph over tasks of several kinds in one student, texts without an answer among them.

The teacher is a tiny random model that learns a few patterns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.storage.tables import read_table
from tests.forked import stillhouse

ITEMS = ["pump", "valve", "seal", "rotor"]
PLACES = ["north", "south", "east"]


def records() -> Iterator[dict[str, Any]]:
    for number in range(96):
        item, count = ITEMS[number % 4], number % 7 + 2
        place = PLACES[number // 4 % 3]
        row: dict[str, Any] = {
            "id": f"r{number}",
            "body": f"Case {number * 37 % 100}: {count} {item} to {place} gate",
        }
        if number % 4:
            row |= {"queue": "parts" if item in ("pump", "valve") else "stores"}
            row |= {"order": {"item": item, "gate": place}}
        if number % 3 == 0:
            row |= {"ask": f"Which gate, {number * 37 % 100}?", "reply": place}
        yield row


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    folder = tmp_path_factory.mktemp("kinds")
    lines = (json.dumps(record) for record in records())
    (folder / "records.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "stillhouse.yaml").write_text(
        f"""
name: kinds
sources:
  - name: tickets
    path: records.jsonl
    kind: records
    fields: {{id: id, text: body, label: queue}}
privacy: {{entities: []}}
dedup: {{threshold: 1.0}}
tasks:
  - {{name: routing, kind: classification, sources: [tickets], min_examples: 2,
     unlabelled: teacher, min_confidence: 0.3}}
  - name: order
    kind: extraction
    sources: [tickets]
    instruction: "JSON:"
    answers: order
    fields: {{item: {{values: [{", ".join(ITEMS)}]}}, gate: string}}
    unlabelled: teacher
    min_confidence: 0.1
    max_answer_tokens: 40
  - {{name: gate, kind: question_answering, sources: [tickets], instruction: "Reply:",
     question: ask, answers: reply, max_answer_tokens: 8}}
splits: {{validation: 0.15, test: 0.2}}
teachers:
  - version: tiny-1
    model: {tiny_base}
    license: MIT
    adapt:
      {{epochs: 24, patience: 24, rank: 16, learning_rate: 0.015, batch_size: 8, max_tokens: 96}}
edge_cases: {{per_kind: 1}}
students:
  - name: all
    tasks: [routing, order, gate]
    init: {{layers: 2}}
    distillation: {{epochs: 2, max_tokens: 96, alignment: 0.5}}
    quantization: {{calibration_texts: 8}}
leak_audit:
  {{canaries: {{1: 2}}, candidates: 50, texts: 10, generations: 10, tokens: 8, answers: 1}}
latency: {{concurrency: []}}
"""
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("DAGSTER_HOME", None)
    done = stillhouse("run", "--project", folder, env=environment)
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    return folder


def current(project: Path) -> Path:
    return project / "var" / "students" / "all" / "tiny-1" / "current"


def test_one_student_of_three_kinds_is_reported(project: Path) -> None:
    output = (project / "output.txt").read_text()
    assert (current(project) / "evaluation.json").exists(), output[-6000:]
    found = json.loads((current(project) / "evaluation.json").read_text())
    for model in ("baseline", "teacher", "student", "student_quantized"):
        assert found[model]["order"]["kind"] == "extraction"
        assert 0 <= found[model]["order"]["field_f1"] <= 1
        assert {"free", "schema", "grounded"} <= found[model]["order"]["decodings"].keys()
        assert {"f1", "exact_match"} <= found[model]["gate"].keys()
        assert {"accuracy", "macro_f1", "ece"} <= found[model]["routing"].keys()
    # A teacher that learned something of each task; under constraints all its answers are valid.
    assert found["teacher"]["order"]["valid"] == 1.0
    page = (current(project) / "report.html").read_text()
    assert "With and without constraints" in page


def test_texts_without_an_answer_are_answered_and_learned_from(project: Path) -> None:
    table = read_table(project / "var" / "teachers" / "tiny-1" / "answers" / "answers.parquet")
    rows = table.to_pylist()
    assert {row["task"] for row in rows} == {"routing", "order"}
    assert all(row["origin"] == "teacher" for row in rows)
    learned = read_table(current(project) / "checkpoint" / "learned_from.parquet").to_pylist()
    kept = {row["pair_id"] for row in rows if row["kept"]}
    assert kept == {row["pair_id"] for row in learned if row["origin"] == "teacher"}
    dataset = read_table(project / "var" / "tables" / "dataset_splits" / "data.parquet").to_pylist()
    assert all(row["response"] is not None for row in dataset if row["split"] != "train")


def ask(project: Path, *arguments: str, stdin: str | None = None) -> list[dict[str, Any]]:
    command = ["ask", "all", *arguments, "-p", str(project)]
    done = CliRunner().invoke(app, command, input=stdin, catch_exceptions=False)
    assert done.exit_code == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def ask_apart(project: Path, *arguments: str, stdin: str) -> list[dict[str, Any]]:
    """As a user asks: in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = stillhouse("ask", "all", *arguments, "-p", project, env=environment, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_the_student_answers_with_confidence(project: Path) -> None:
    text = "Case 5: 3 valve to east gate"
    found = ask(project, text, "--task", "order", "--beside-teacher")
    (said,) = found
    assert said["answer"]["gate"] in text
    assert 0 <= said["confidence"] <= 1
    assert said["confidence_of"].keys() == said["answer"].keys()
    assert said["teacher"]["answer"].keys() == {"item", "gate"}


def test_a_file_may_have_any_encoding(project: Path, tmp_path: Path) -> None:
    file = tmp_path / "asked.txt"
    file.write_bytes("Case 5: 3 valve to east gate, müde Grüße aus Köln".encode("latin-1"))
    (said,) = ask(project, "--file", str(file), "--task", "routing")
    assert said["answer"] in ("parts", "stores")


def test_json_lines_go_in_and_come_out(project: Path) -> None:
    lines = [{"text": "Case 5: 3 valve to east gate", "number": 1}]
    lines += [{"text": "Case 6: 2 seal to north gate", "number": 2}]
    asked = "\n".join(map(json.dumps, lines))
    found = ask_apart(project, "--task", "routing", stdin=asked)
    assert [row["number"] for row in found] == [1, 2]
    assert {row["answer"] for row in found} <= {"parts", "stores"}
    question = {"question": "Which gate?", "passage": "Case 5: 3 valve to east gate"}
    (answered,) = ask(project, "--task", "gate", stdin=json.dumps(question))
    assert isinstance(answered["answer"], str)
