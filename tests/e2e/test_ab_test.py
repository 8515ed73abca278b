"""As a user: a student served beside a shadow, feedback, the log read back, the verdict."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import openai
import pytest
import yaml

from stillhouse.assets import monitoring
from stillhouse.assets.ab_test import CHECK, build_ab_asset
from stillhouse.assets.common import asset_key
from stillhouse.release.promote import Asked, release
from stillhouse.resources.project import ProjectResource
from stillhouse.state import State
from stillhouse.steps import STEPS
from stillhouse.storage.layout import Layout
from stillhouse.storage.snapshots import current_snapshot
from stillhouse.storage.tables import read_table
from tests.monitor.test_traffic import ByName
from tests.release.conftest import answering, finished, opposite, reopened, with_pairs
from tests.served import serving

__all__ = ["finished"]
pytestmark = pytest.mark.slow

REQUESTS = 40
WHY = Asked("wanted in the shop")


@pytest.fixture
def released(finished: Path, tiny_teacher: Path, routing_dataset: Path, tmp_path: Path) -> State:
    """One student in production, and a candidate that answers everything otherwise."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    state = reopened(tmp_path)
    answering(state, tiny_teacher)
    opposite(state.layout.student("router", "t-2") / "quantized")
    release(state, "router", WHY, version="t-1")
    release(state, "router", WHY, version="t-2", channel="candidate")
    with_pairs(state, routing_dataset)
    file = tmp_path / "stillhouse.yaml"
    terms = {"measure": "outcome", "margin": 0.1, "requests": REQUESTS, "look_every": REQUESTS}
    values = yaml.safe_load(file.read_text())
    values |= {"traffic": {"logs": ["log/*.jsonl"], "format": "serve"}, "ab_test": terms}
    values["privacy"] = {"recognizer": "none"}
    file.write_text(yaml.safe_dump(values))
    return reopened(tmp_path)


@pytest.fixture
def served(released: State) -> Iterator[tuple[str, Any]]:
    root = released.project.root
    with serving(root, "--log", root / "log", "--shadow", "candidate") as server:
        yield server


@pytest.mark.timeout(1800)
def test_a_candidate_that_answers_otherwise_is_told_from_its_shadow_and_feedback(
    released: State, served: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, process = served
    client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)
    said = []
    for number in range(REQUESTS):
        text = f"Where is invoice {chr(65 + number % 26)}{chr(65 + number // 26)} of mine?"
        found = client.chat.completions.create(
            model="router:routing", messages=[{"role": "user", "content": text}]
        )
        said.append(found.choices[0].message.content)
        assert found.id == f"chatcmpl-{found._request_id}"
        answer = httpx.post(f"{url}/v1/feedback", json={"id": found.id, "correct": True})
        assert answer.status_code == 202
    process.send_signal(signal.SIGTERM)
    process.wait(300)
    assert "Traceback" not in process.said()

    state, layout = released, Layout(released.project.data_path)
    outside = {**state.outside, "traffic_logs": lambda *_: "now", "production": lambda *_: "now"}
    monkeypatch.setattr(
        "stillhouse.resources.project.open_state",
        lambda project, **_: State(project, outside, current_snapshot(layout)),
    )
    # The server masked what it logged; once more would take longer than all else here.
    monkeypatch.setattr("stillhouse.monitor.traffic.Masker", ByName)
    result = made(state)
    rows = read_table(layout.table("production_traffic")).to_pylist()
    assert len(rows) == REQUESTS and {row["score"] for row in rows} == {1.0}
    assert sorted(row["answer"] for row in rows) == sorted(said)
    assert all(row["shadow"] and row["shadow"] != row["answer"] for row in rows)
    checks = {c.check_name: c for c in result.get_asset_check_evaluations()}
    assert not checks[CHECK].passed
    assert "inferior: worse by" in str(checks[CHECK].description)
    facts = state.facts_of("ab_test", "t-2", "router")
    assert facts.against == "production" and facts.tasks[0].mirrored == REQUESTS
    page = (layout.ab_test("router", "t-2") / "ab_test.html").read_text()
    assert "Inferior." in page and "invoice" not in page


def made(state: State) -> dg.ExecuteInProcessResult:
    """Traffic and test, as a run makes them."""
    (student,) = state.project.students
    assets = [monitoring.production_traffic, *build_ab_asset(student)]
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("teacher_version", ["t-2"])
        resources = {"project": ProjectResource(project_file=str(state.project.file))}
        selection = [asset_key(STEPS["production_traffic"])]
        dg.materialize(assets, resources=resources, selection=selection, instance=instance)
        return dg.materialize(
            assets,
            resources=resources,
            selection=[asset_key(STEPS["ab_test"], "router")],
            partition_key="t-2",
            instance=instance,
        )
