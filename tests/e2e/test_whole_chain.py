"""The whole graph on real input with the real small teacher: killed twice, offline, then whole.

One project is run to its end by the command line, in processes of their own, and all tests look
at what it left. The first process is killed during labelling, the second during training.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from stillhouse.config.project import load_project
from stillhouse.outside import open_state
from stillhouse.steps import STEPS
from stillhouse.storage.query import query
from tests.forked import start, stillhouse

pytestmark = pytest.mark.slow

GUARD = Path(__file__).resolve().parent.parent / "offline_guard"
VERSION = "small-1"


@dataclass
class Chain:
    """A project that ran to its end, and what was seen on the way."""

    file: Path
    environment: dict[str, str]
    violations: Path
    shards_at_kill: dict[str, tuple[int, int]] = field(default_factory=dict)
    history_at_kill: list[dict[str, float]] = field(default_factory=list)
    output: str = ""

    @property
    def data(self) -> Path:
        return self.file.parent / "var"

    def run(self) -> str:
        """As somebody starts it, in a process that imports everything itself."""
        command = [sys.executable, "-m", "stillhouse.cli", "run", "--project", str(self.file)]
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def kill_when(self, condition: Callable[[], bool]) -> None:
        with TemporaryDirectory() as folder:
            output = Path(folder)
            run = start("run", "--project", self.file, output=output, env=self.environment)
            try:
                deadline = time.monotonic() + 600
                while not condition():
                    assert run.process.is_alive(), run.said()
                    assert time.monotonic() < deadline, "never got to where it was to be killed"
                    time.sleep(0.005)
            finally:
                run.send_signal(signal.SIGKILL)
                run.wait()

    def shards(self) -> dict[str, tuple[int, int]]:
        """Inode and modification time of each finished shard: a shard written anew has others."""
        found = (self.data / "teachers" / VERSION / "soft_labels").glob(
            "[!.]*/*.labels.safetensors"
        )
        return {f.name: (f.stat().st_ino, f.stat().st_mtime_ns) for f in found}

    def training_state(self) -> dict[str, Any]:
        path = self.data / "staging" / "router" / "checkpoint" / VERSION / "last" / "state.json"
        return json.loads(path.read_text()) if path.exists() else {}


@pytest.fixture(scope="module")
def chain(
    tmp_path_factory: pytest.TempPathFactory,
    write_project: Callable[..., Path],
    smollm2_wheel: Path,
) -> Iterator[Chain]:
    folder = tmp_path_factory.mktemp("chain")
    file = write_project(folder)
    (folder / "wiki" / "billing" / "empty.md").write_text("")
    (folder / "wiki" / "billing" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing of the kind")
    violations = folder / "violations.txt"
    environment = {
        **os.environ,
        "PYTHONPATH": str(GUARD),
        "OFFLINE_GUARD_LOG": str(violations),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    environment.pop("DAGSTER_HOME", None)
    found = Chain(file, environment, violations)

    found.kill_when(lambda: len(found.shards()) >= 2)
    found.shards_at_kill = found.shards()
    found.kill_when(lambda: bool(found.training_state().get("history")))
    found.history_at_kill = found.training_state()["history"]
    found.output = found.run()
    yield found


def facts(chain: Chain, asset: str, student: str | None = None) -> dict[str, Any]:
    version = None if STEPS[asset].scope == "project" else VERSION
    return vars(open_state(load_project(chain.file)).facts_of(asset, version, student))


def test_finished_shards_are_not_labelled_again(chain: Chain) -> None:
    now = chain.shards()
    assert 2 <= len(chain.shards_at_kill) < len(now)
    assert {name: now[name] for name in chain.shards_at_kill} == chain.shards_at_kill


def test_training_goes_on_after_the_last_finished_epoch(chain: Chain) -> None:
    history = facts(chain, "checkpoint", "router")["history"]
    assert len(chain.history_at_kill) == 1
    assert history[0] == chain.history_at_kill[0]
    assert len(history) == 2


def test_nothing_half_written_is_left(chain: Chain) -> None:
    assert not [p for p in chain.data.rglob("*") if p.name.endswith(".part") or ".tmp" in p.name]
    assert not (chain.data / "staging" / "router" / "checkpoint" / VERSION).exists()
    assert not [p for p in chain.data.rglob("*") if p.suffix in (".bin", ".pt", ".pkl")]


def test_the_public_files_are_where_the_plan_says(chain: Chain) -> None:
    current = chain.data / "students" / "router" / VERSION / "current"
    assert (current / "checkpoint" / "model.safetensors").stat().st_size > 1_000_000
    assert (current / "quantized" / "config.json").exists()
    evaluation = json.loads((current / "evaluation.json").read_text())
    for model in ("teacher_zero_shot", "teacher", "student", "student_quantized"):
        assert 0 <= evaluation[model]["routing"]["accuracy"] <= 1
        assert evaluation[model]["parameters"] > 1_000_000
    assert evaluation["student_quantized"]["bytes"] < evaluation["student"]["bytes"]
    assert evaluation["student"]["parameters"] < evaluation["teacher"]["parameters"] / 5
    page = (current / "report.html").read_text()
    assert "<script" not in page and "data:image" in page
    assert "report.html" in chain.output and "Student, quantized" in chain.output


def test_the_adapted_teacher_learned_something(chain: Chain) -> None:
    found = facts(chain, "adapted_teacher")
    assert found["score"] > found["chance"]
    assert found["history"][-1]["ce"] < found["history"][0]["ce"]


def test_bad_files_are_quarantined_with_their_reasons(chain: Chain) -> None:
    rows = query(
        "SELECT f.path, q.* FROM q JOIN f USING (file_id)",
        q=chain.data / "tables" / "quarantine" / "parsed_documents.parquet",
        f=chain.data / "tables" / "source_files" / "data.parquet",
    )
    found = {Path(r["path"]).name: r for r in rows.to_pylist()}
    assert set(found) == {"empty.md", "broken.pdf", "outage-log.md"}  # one is the sample's own
    assert found["empty.md"]["category"] == "empty"
    assert found["broken.pdf"]["category"] == "corrupt"
    assert all(r["reason"] and r["remedy"] for r in found.values())


def test_no_mail_address_of_the_sources_reaches_a_table_below_masking(chain: Chain) -> None:
    raw = (chain.file.parent / "tickets.jsonl").read_text()
    assert "@" in raw
    for asset in ("unique_documents", "dataset_splits"):
        table = pq.read_table(chain.data / "tables" / asset / "data.parquet")
        column = "text" if asset == "unique_documents" else "input"
        assert not [t for t in table[column].to_pylist() if "@" in t and ".example" in t]


def test_nothing_looked_for_the_network(chain: Chain) -> None:
    assert not chain.violations.exists() or chain.violations.read_text() == ""


def test_the_instance_shows_every_asset_with_its_checks(chain: Chain) -> None:
    with dg.DagsterInstance.from_config(str(chain.data / "dagster")) as instance:
        keys = {k.to_user_string() for k in instance.all_asset_keys()}
        assert {"source_files", "soft_labels", "router/evaluation_report"} <= keys
        assert instance.get_dynamic_partitions("teacher_version") == [VERSION]
        report = dg.AssetKey(["router", "evaluation_report"])
        event = instance.get_latest_materialization_event(report)
        assert event is not None and event.asset_materialization is not None
        assert event.asset_materialization.partition == VERSION
        metadata = event.asset_materialization.metadata
        assert isinstance(metadata["student_routing_accuracy"].value, float)
        assert "Student, quantized" in str(metadata["summary"].value)
        page = f"/stillhouse/students/router/{VERSION}/current/report.html"
        assert metadata["report"].value == page
        page = chain.file.parent / str(metadata["report_file"].value)
        assert page == chain.data / "students" / "router" / VERSION / "current" / "report.html"
        assert metadata["teacher_version"].value == VERSION


def test_a_second_run_makes_nothing_again(chain: Chain) -> None:
    before = {
        p: p.stat().st_mtime_ns
        for p in chain.data.rglob("*")
        if p.suffix in (".safetensors", ".html")
        or p.parent.name in ("parsed_documents", "masked_documents", "dataset_splits")
    }
    done = stillhouse("run", "--project", chain.file, env=chain.environment)
    assert done.returncode == 0, done.stderr
    output = done.stdout + done.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before
    for asset in ("parsed_documents", "masked_documents", "soft_labels", "router/checkpoint"):
        assert f"{asset}: up to date" in output or f"{asset} [{VERSION}]: up to date" in output
    assert "done in" not in output


def test_a_moved_project_reuses_everything(chain: Chain, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(chain.file.parent, moved)
    done = stillhouse("status", "--check", "-p", moved, env=chain.environment)
    assert done.returncode == 0, done.stdout


def test_a_new_document_costs_only_itself(chain: Chain) -> None:
    new = chain.file.parent / "wiki" / "it-support" / "printers.md"
    new.write_text("# Printers\n\nThe printer on floor two is installed from the software centre.")
    try:
        until = ("run", "-p", chain.file, "--until", "unique_documents")
        done = stillhouse(*until, env=chain.environment)
        assert done.returncode == 0, done.stderr
        parsed, masked = facts(chain, "parsed_documents"), facts(chain, "masked_documents")
        assert parsed["computed"] == 1
        assert masked["computed"] == 1
    finally:
        new.unlink()


def test_a_student_knows_which_files_made_it(chain: Chain) -> None:
    done = stillhouse("files", "router", "-p", chain.file, env=chain.environment)
    assert done.returncode == 0, done.stderr
    assert "tickets: tickets.jsonl" in done.stdout and "wiki/billing/" in done.stdout
    learned = chain.data / "students" / "router" / VERSION / "current" / "checkpoint"
    rows = pq.read_table(learned / "learned_from.parquet").to_pylist()
    assert {row["split"] for row in rows} == {"train", "validation"}
    assert all(row["sha256"] and row["doc_id"] and row["file_id"] for row in rows)


def test_a_forbidden_licence_stops_before_the_teacher_is_loaded(
    chain: Chain,
) -> None:
    text = chain.file.read_text() + "license_policy: {allow: [MIT]}\ndata_dir: elsewhere\n"
    below = shutil.ignore_patterns("teachers", "students")  # the corpus is not made once more
    shutil.copytree(chain.data, chain.file.parent / "elsewhere", ignore=below)
    forbidden = chain.file.with_name("forbidden.yaml")
    forbidden.write_text(text)
    done = stillhouse("run", "--project", forbidden, env=chain.environment)
    assert done.returncode == 1
    assert "license_policy.allow" in done.stderr and "Apache-2.0" in done.stderr
    assert "Remedy:" in done.stderr and "Traceback" not in done.stderr
    assert not (chain.file.parent / "elsewhere" / "teachers").exists()
