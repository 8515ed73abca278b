"""The check of re-identification stops what would learn, where a limit is set."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest

from stillhouse.assets import corpus, metadata
from stillhouse.config.project import load_project
from stillhouse.corpus.reidentification_risk import measure_risk
from stillhouse.outside import open_state
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact
from stillhouse.steps import STEPS
from stillhouse.storage.tables import write_table
from tests.made import MINIMAL, make_all


def resource(folder: Path, privacy: str = "{}") -> ProjectResource:
    """A project whose documents are unique to one half (see `tests/made.py`)."""
    (folder / "stillhouse.yaml").write_text(f"{MINIMAL}privacy: {privacy}\n")
    (folder / "t.jsonl").write_text('{"body": "a", "queue": "b"}\n')
    make_all(open_state(load_project(folder)))
    return ProjectResource(project_file=str(folder / "stillhouse.yaml"))


@pytest.mark.parametrize(
    ("privacy", "passed", "severity"),
    [
        ("{}", False, dg.AssetCheckSeverity.WARN),
        ("{max_unique: 0.5}", True, dg.AssetCheckSeverity.ERROR),
        ("{max_unique: 0.4}", False, dg.AssetCheckSeverity.ERROR),
        ("{max_unique: 0.5, max_below_5: 0.4}", False, dg.AssetCheckSeverity.ERROR),
    ],
)
def test_a_limit_is_held_or_stops_the_run(
    tmp_path: Path, privacy: str, passed: bool, severity: dg.AssetCheckSeverity
) -> None:
    result = corpus.few_can_be_told_apart(resource(tmp_path, privacy))
    assert (result.passed, result.severity) == (passed, severity)
    assert "only what is detected" in str(result.description)
    assert all(spec.blocking for spec in corpus.few_can_be_told_apart.check_specs)
    assert "reidentification_risk" in STEPS["instruction_pairs"].reads


def test_what_is_shown_names_nobody(tmp_path: Path) -> None:
    import pyarrow as pa

    state = resource(tmp_path).state()
    texts = ["Person-kuvora, the beekeeper of Leeds, juggles at Dupont SARL since 12 May 2024."]
    none = pa.nulls(1, pa.string())
    documents = {"doc_id": ["secret-id"], "title": none, "text": texts, "label": none}
    write_table(state.layout.table("unique_documents"), pa.table(documents))
    measure_risk(state.project.privacy, state.layout)
    artefact = Artefact(STEPS["reidentification_risk"])
    record = state.record(artefact)
    assert record is not None
    shown = str(metadata.describe(state, artefact, record, reused=False)).casefold()
    assert "date 2024" in shown and "only what is detected" in shown
    for secret in (
        "leeds",
        "dupont",
        "kuvora",
        "juggles",
        "05-12",
        "2024-05",
        "secret-id",
        "may 2024",
    ):
        assert secret not in shown
