"""The checks that nothing above `train_up_to` goes any further: they pass, and they fail."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from stillhouse.assets import confidentiality as checks
from stillhouse.config.project import load_project
from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.resources.project import ProjectResource
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.soft_labels.store import ShardHeader, open_store
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import write_table
from tests.made import MINIMAL

LEVELS = {"open": "internal", "secret": "restricted", "copy": "public"}


@pytest.fixture
def project(tmp_path: Path) -> tuple[ProjectResource, Layout]:
    """A project of three documents, one of them a copy of a restricted one."""
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    layout = Layout(load_project(tmp_path).data_path)
    levels = {"doc_id": [*LEVELS], "level": [*LEVELS.values()]}
    clusters = {"doc_id": [*LEVELS], "cluster_id": ["a", "b", "b"]}
    write_table(layout.table("document_confidentiality"), pa.table(levels))
    write_table(layout.table("duplicate_clusters"), pa.table(clusters))
    return ProjectResource(project_file=str(tmp_path / "stillhouse.yaml")), layout


def write_pairs(layout: Layout, documents: list[str]) -> None:
    pairs = pa.table({"pair_id": [f"of {name}" for name in documents], "doc_id": documents})
    for name in ("instruction_pairs", "dataset_splits"):
        write_table(layout.table(name), pairs)
    write_table(layout.table("review_sample"), pairs.select(["pair_id"]))


def write_labels(layout: Layout, pair: str) -> None:
    encoding = LabelEncoding("labels", 2, (), (1, 2))
    store = open_store(layout.soft_labels("t-1"), ShardHeader("teacher", "tokenizer", encoding))
    probabilities = np.array([[0.5, 0.5]], np.float16)
    store.write({pair: LabelRecords(encoding, {"probabilities": probabilities})})


def of_teacher(check: Any, project: ProjectResource) -> dg.AssetCheckResult:
    """The check of a partitioned asset; of its context it asks for the partition alone."""
    result: dg.AssetCheckResult = check.node_def.compute_fn.decorated_fn(
        SimpleNamespace(partition_key="t-1"), project
    )
    return result


@pytest.mark.parametrize("document", ["open", "secret", "copy", "unknown"])
def test_what_is_above_the_limit_fails_every_check(
    project: tuple[ProjectResource, Layout], document: str
) -> None:
    resource, layout = project
    write_pairs(layout, ["open", document])
    write_labels(layout, f"of {document}")
    student = layout.student("router", "t-1") / "checkpoint"
    write_table(student / LEARNED_FROM, pa.table({"doc_id": ["open", document]}))
    built = checks.build_vocabulary_check(resource.project.students[0])
    results = {
        "pairs": checks.pairs_stay_below(resource),
        "splits": checks.splits_stay_below(resource),
        "sample": checks.sample_stays_below(resource),
        "labels": of_teacher(checks.labels_stay_below, resource),
        "student": of_teacher(built, resource),
    }
    passed = {name: bool(result.passed) for name, result in results.items()}
    if document == "unknown":  # what a running student learned from may have left since
        assert passed == {name: name in ("labels", "student") for name in passed}
    else:
        assert passed == dict.fromkeys(passed, document == "open")
    for result in results.values():
        assert result.metadata["train_up_to"].value == "confidential"


def test_the_checks_stop_what_follows(project: tuple[ProjectResource, Layout]) -> None:
    for check in (checks.pairs_stay_below, checks.splits_stay_below, checks.labels_stay_below):
        assert all(spec.blocking for spec in check.check_specs)
