"""A project whose student was made and measured, in milliseconds."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.project import load_project
from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.outside import OUTSIDE
from stillhouse.report.gates import GATES
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import write_json
from stillhouse.storage.snapshots import current_snapshot, write_snapshot
from stillhouse.storage.tables import write_table
from tests.made import MINIMAL, make_all

PROJECT = MINIMAL.replace(
    "students:\n", "  - {version: t-2, model: models/t, license: MIT}\nstudents:\n"
)
LIMIT = 0.05


def gate(name: str, value: float | None) -> dict[str, Any]:
    passed = value is None or value <= LIMIT
    known = {"name": name, "passed": passed, "description": "Says what it asks."}
    return {**known, "value": value, "limit": LIMIT, "task": "routing", "by_task": {}}


def change(state: State, step: str, version: str | None = None, **values: Any) -> None:
    """Other facts of what a step made."""
    student = "router" if STEPS[step].scope == "student" else None
    artefact = Artefact(STEPS[step], version, student)
    record = state.record(artefact)
    assert record is not None
    replace(record, facts={**record.facts, **values}).write(state.folder(artefact))


def measured(state: State, version: str, **missed: float) -> None:
    """Every gate of the report keeps to its limit, but for those that are given a value."""
    gates = [gate(name, missed.get(name, 0.01)) for name in GATES]
    figures = {"student_quantized_routing_accuracy": 0.9}
    change(state, "evaluation_report", version, gates=gates, figures=figures)


def train(state: State, version: str, weights: str) -> None:
    """The files of a student as its steps leave them, and what they recorded of them."""
    folder = state.layout.student("router", version)
    (folder / "quantized").mkdir(parents=True, exist_ok=True)
    (folder / "quantized" / "model.safetensors").write_text(weights)
    (folder / "quantized" / "config.json").write_text("{}")
    write_json(folder / "evaluation.json", evaluation(weights))
    write_json(folder / "calibration.json", {})
    (folder / "report.html").write_text("what documents say")
    learned = {"pair_id": ["p1", "p2"], "doc_id": ["d1", "d2"], "weights": [weights] * 2}
    write_table(folder / "checkpoint" / LEARNED_FROM, pa.table(learned))
    change(state, "quantized_model", version, digest=f"digest of {weights}")


def answering(state: State, model: Path) -> None:
    """Students of both teachers whose quantized model is this one."""
    for version in ("t-1", "t-2"):
        train(state, version, f"weights of {version}")
        folder = state.layout.student("router", version) / "quantized"
        shutil.copytree(model, folder, dirs_exist_ok=True)
        measured(state, version)
        current(state, version)


def with_pairs(state: State, dataset: Path) -> State:
    """The project once its dataset is that file."""
    splits = state.record(Artefact(STEPS["dataset_splits"]))
    assert splits is not None
    table = state.layout.table("dataset_splits")
    shutil.copyfile(dataset, table)

    def copied(path: Path) -> None:
        shutil.copyfile(table, path)

    write_snapshot(state.layout, splits.facts, copied)
    return State(state.project, state.outside, current_snapshot(state.layout))


def opposite(folder: Path) -> None:
    """The model answers with the other class, whatever it is asked."""
    from safetensors.torch import load_file, save_file
    from transformers import AutoTokenizer

    file = folder / "model.safetensors"
    ids = AutoTokenizer.from_pretrained(folder).convert_tokens_to_ids(
        ["<|routing:billing|>", "<|routing:hardware|>"]
    )
    weights = load_file(file)
    rows = weights["model.embed_tokens.weight"]
    rows[ids] = rows[ids[::-1]].clone()
    save_file(weights, file, metadata={"format": "pt"})


def evaluation(weights: str) -> dict[str, Any]:
    """Of one task, as the report writes it; it tells one student from another."""
    table = [["Accuracy (95% CI)", "accuracy"], ["Macro-F1", "macro_f1"], ["ECE", "ece"]]
    task = {"name": "routing", "kind": "classification", "table": table, "headline": "accuracy"}
    ours = {"n": 40, "accuracy": 0.9, "accuracy_ci": [0.77, 0.96], "macro_f1": 0.875}
    return {
        "about": {"models": ["teacher", "student_quantized"], "tasks": [task], "of": weights},
        "teacher": {"routing": {"n": 40, "accuracy": 0.95}},
        "student_quantized": {"routing": ours},
    }


def ingested(state: State) -> None:
    levels = pa.table({"doc_id": ["d1", "d2"], "level": ["public", "internal"]})
    write_table(state.layout.table("document_confidentiality"), levels)
    clusters = pa.table({"doc_id": ["d1", "d2"], "cluster_id": ["c1", "c2"]})
    write_table(state.layout.table("duplicate_clusters"), clusters)


def current(state: State, version: str) -> None:
    """Nothing is stale: what reads the student's files has seen them."""
    for step in ("leak_audit", "latency_profile", "evaluation_report"):
        artefact = Artefact(STEPS[step], version, "router")
        record = state.record(artefact)
        assert record is not None
        replace(record, recipe=state.recipe(artefact)).write(state.folder(artefact))


def reopened(root: Path) -> State:
    """The project, of whose outside nothing changed."""
    return State(load_project(root), outside=dict.fromkeys(OUTSIDE, _unchanged))


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose students of both teachers are made; not to be written."""
    root = tmp_path_factory.mktemp("finished")
    (root / "stillhouse.yaml").write_text(PROJECT)
    state = make_all(reopened(root))
    ingested(state)
    for version in ("t-1", "t-2"):
        train(state, version, f"weights of {version}")
        measured(state, version)
        current(state, version)
    return root


@pytest.fixture
def state(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> State:
    # To list all that is installed takes a third of a second: see test_described.py.
    monkeypatch.setattr("stillhouse.release.published.used", lambda _: [])
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    return reopened(tmp_path)


def _unchanged(*_: Any) -> str:
    return "unchanged"


@pytest.fixture
def retrain() -> Callable[..., None]:
    def again(state: State, version: str, weights: str, **missed: float) -> None:
        train(state, version, weights)
        measured(state, version, **missed)
        current(state, version)

    return again
