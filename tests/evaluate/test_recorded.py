"""What the audit and the engineer are told is what was recorded, and says when that has moved."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.project import load_project
from stillhouse.dataset.pairs import pair_schema
from stillhouse.evaluate.recorded import CORPUS, recorded
from stillhouse.report.audit import audit_sections
from stillhouse.report.engineering import engineering_sections
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import sha256_of
from stillhouse.storage.machine import machine
from stillhouse.storage.provenance import read_provenance
from stillhouse.storage.snapshots import current_snapshot, write_snapshot
from stillhouse.storage.tables import write_table
from tests.made import MINIMAL, make_all

REPORT = Artefact(STEPS["evaluation_report"], "t-1", "router")
SECRET = "anna-berg-complaint.eml"


@pytest.fixture
def state(tmp_path: Path) -> State:
    """A project of which everything is recorded, with three pairs of two documents."""
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    made = make_all(State(load_project(tmp_path)))
    empty: dict[str, Any] = dict.fromkeys(pair_schema().names)
    splits = ("train", "train", "test")
    pairs = [
        {**empty, "pair_id": f"p{i}", "doc_id": "ab"[i > 0], "source": "tickets", "split": split,
         "input": SECRET, "confidentiality": "internal", "origin": "gold"}
        for i, split in enumerate(splits)
    ]  # fmt: skip
    schema = pair_schema().append(pa.field("split", pa.string()))
    write_table(made.layout.table("dataset_splits"), pa.Table.from_pylist(pairs, schema=schema))
    lineage = pa.table(
        {
            "doc_id": ["a", "b"],
            "file_id": [SECRET] * 2,
            "source": ["tickets"] * 2,
            "sha256": ["x", "y"],
        }
    )
    record = made.record(Artefact(STEPS["dataset_splits"]))
    assert record is not None
    write_snapshot(made.layout, record.facts, lambda path: write_table(path, lineage))
    return replace(made, snapshot=current_snapshot(made.layout))


def rewrite(state: State, step: str, **fields: Any) -> None:
    artefact = REPORT.beside(step)
    record = state.record(artefact)
    assert record is not None
    facts = {**record.facts, **fields.pop("facts", {})}
    replace(record, facts=facts, **fields).write(state.folder(artefact))


def test_counts_are_those_of_the_dataset_and_name_no_document(state: State) -> None:
    found = recorded(state, REPORT, texts_per_second={"student": 5.0})
    audit = found["audit"]
    (source,) = audit["sources"]
    assert source["name"] == "tickets" and source["documents"] == 2
    assert source["pairs"] == {"train": 2, "test": 1}
    assert audit["confidentiality"]["pairs"] == {"internal": {"train": 2, "test": 1}}
    assert audit["project_file"]["now"] == sha256_of(state.project.file)
    assert audit["licence"]["model"] == "t-1"  # a folder's path is nobody's business
    assert SECRET not in json.dumps(found) and str(state.project.root) not in json.dumps(found)
    assert found["engineering"]["texts_per_second"] == {"student": 5.0}
    assert audit_sections(found) and engineering_sections(found)


def test_it_is_told_what_has_moved_since_the_dataset(state: State) -> None:
    assert recorded(state, REPORT)["audit"]["newer"] == []
    rewrite(state, "cleansed_documents", facts={"digest": "other"})
    # What was made of it is as it was; what it is made of counts what it did then.
    assert recorded(state, REPORT)["audit"]["newer"] == [
        "source_files",
        "parsed_documents",
        "cleansed_documents",
    ]
    rewrite(state, "dataset_splits", facts={"digest": "another dataset"})
    assert recorded(state, REPORT)["audit"]["newer"] == list(CORPUS)


def test_what_earlier_releases_did_not_record_is_left_out(state: State) -> None:
    state.folder(REPORT.beside("pii_quality")).joinpath("provenance.json").unlink()
    rewrite(state, "checkpoint", machine={}, peaks={}, seconds=None)
    found = recorded(state, REPORT)
    assert found["audit"]["pii_quality"] == {}
    assert audit_sections(found) and engineering_sections(found)


def test_what_is_made_is_recorded_with_machine_memory_and_project_file(state: State) -> None:
    artefact = REPORT.beside("quantized_model")
    facts = state.facts(artefact)
    state.folder(artefact).joinpath("provenance.json").unlink()
    state.make(artefact, lambda *_: facts)
    record = read_provenance(state.folder(artefact))
    assert record is not None and record.machine == machine()
    assert record.project_file == sha256_of(state.project.file)
    steps = {row["step"]: row for row in recorded(state, REPORT)["engineering"]["steps"]}
    row = steps[artefact.step.name]
    assert row["peaks"] == record.peaks and row["machine"]["cores"] >= 1
    # Records of before say nothing of it, and count all the same.
    old = {n: v for n, v in asdict(record).items() if n not in ("machine", "peaks", "project_file")}
    path = state.folder(artefact) / "provenance.json"
    path.write_text(json.dumps({**old, "fingerprint": record.recipe.fingerprint}))
    again = read_provenance(state.folder(artefact))
    assert again is not None and again.machine == {} and state.why_stale(artefact) is None
