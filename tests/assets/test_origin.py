"""What stands on every asset's page, whatever the asset."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stillhouse.assets import metadata, origin
from stillhouse.config.project import load_project
from stillhouse.outside import open_state
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import write_json
from stillhouse.storage.provenance import Provenance
from tests.made import MINIMAL, facts_of, make_all

RUN = "0f3c-a-run"


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Every artefact of a student of one teacher, made by RUN from the dataset "digest of ..."."""
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    (tmp_path / "t.jsonl").write_text('{"body": "Where is my invoice?", "queue": "billing"}\n')
    found = make_all(open_state(load_project(tmp_path)))
    for step in (step for step in STEPS.values() if step.on_demand):
        artefact = Artefact(step)
        made = Provenance.now(found.recipe(artefact), facts_of(step.facts))
        made.write(found.folder(artefact))
    for artefact in found.artefacts():
        record = found.record(artefact)
        of_model = artefact.step.name in ("teacher_model", "checkpoint", "quantized_model")
        replace(
            record,
            run_id=RUN,
            license="MIT" if of_model else None,
            dataset="the dataset" if artefact.step.reads_dataset else None,
        ).write(found.folder(artefact))
    return found


def shown(state: State, artefact: Artefact) -> dict[str, Any]:
    return metadata.describe(state, artefact, state.record(artefact), reused=False)


@pytest.mark.parametrize("name", STEPS)
def test_every_page_says_teacher_dataset_licence_and_run(
    state: State, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (artefact,) = [a for a in state.artefacts() if a.step.name == name]
    # Previews read tables, which are not there; what each shows is its own tests' business.
    monkeypatch.setitem(metadata.PREVIEWS, name, lambda *_: {"preview": "a plot"})
    found = shown(state, artefact)
    assert next(iter(found)) == "preview"
    assert [row for row in found if row in origin.ROWS] == list(origin.ROWS)
    assert list(found).index("made_by_run") < 6, "before the figures"
    assert found["made_by_run"] == dg.MetadataValue.dagster_run(RUN)
    if artefact.version:
        assert found["teacher_version"] == "t-1"
        assert found["license"] == "MIT"
        assert found["dataset"] == (
            origin.READS_NO_DATASET if name == "teacher_model" else "the dataset"
        )
    elif name not in ("dataset_splits", "version_comparison", "tco_report"):
        assert all(found[row].startswith("none: ") for row in origin.ROWS[:3])


def test_what_each_asset_shows_first_is_named() -> None:
    assert metadata.PREVIEWS.keys() == STEPS.keys()


@pytest.mark.parametrize(
    "name",
    ["source_files", "parsed_documents", "cleansed_documents", "document_confidentiality",
     "teacher_model", "adapted_teacher", "teacher_answers", "soft_labels", "checkpoint",
     "quantized_model"],
)  # fmt: skip
def test_first_comes_a_verdict_or_a_table_of_what_is_known(state: State, name: str) -> None:
    (artefact,) = [a for a in state.artefacts() if a.step.name == name]
    first = next(iter(shown(state, artefact).values()))
    assert str(getattr(first, "value", first)).strip() not in ("", "None", "made now")


def test_a_name_in_a_table_of_counts_is_text(state: State) -> None:
    table = metadata._counts(("a", "b"), {"<img src=x>|[x](http://x)": 2, "more": 9}).value
    assert "<img" not in table and "](" not in table.replace("\\](", "") and "| more" in table
    assert table.index("more") < table.index("img")


def test_links_lead_from_a_student_to_its_report_and_from_a_release_to_its_manifest(
    state: State,
) -> None:
    checkpoint = Artefact(STEPS["checkpoint"], "t-1", "router")
    found = shown(state, checkpoint)
    page = "/stillhouse/students/router/t-1/current/report.html"
    assert found["report"] == dg.MetadataValue.url(page)
    assert found["dataset_page"] == dg.MetadataValue.asset(dg.AssetKey(["dataset_splits"]))
    release = Artefact(STEPS["release"], "t-1", "router")
    record = state.record(release)
    facts = {**record.facts, "release": "t-1-abc", "gates": [], "manifest": "releases/m.json"}
    replace(record, facts=facts).write(state.folder(release))
    found = shown(state, release)
    assert next(iter(found)) == "verdict"
    assert found["manifest"] == dg.MetadataValue.url(
        "/stillhouse/releases/router/t-1-abc/manifest.json"
    )


def test_a_report_that_was_made_by_an_older_release_still_says_where_it_came_from(
    state: State,
) -> None:
    report = Artefact(STEPS["evaluation_report"], "t-1", "router")
    record = replace(state.record(report), run_id=None, dataset=None)
    write_json(state.folder(report) / "nothing.json", {})
    found = origin.origin(state, report, record)
    assert found["made_by_run"] == origin.NO_RUN
    assert found["dataset"] == "the dataset"
