"""A real daemon beside a real code server: what sensors saw survives a kill -9."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from stillhouse.config.project import Project, load_project
from stillhouse.instance import open_instance
from stillhouse.sensors.alerts import TOLD_TAG
from stillhouse.storage.layout import Layout

WORKSPACE = "load_from:\n  - python_module: stillhouse.definitions\n"
PROJECT = """\
name: watched
sources: [{name: wiki, path: wiki, kind: documents, label_from: folder}]
tasks: [{name: routing, kind: classification, sources: [wiki]}]
teachers: [{version: t-1, model: models/t, license: MIT}]
students: [{name: router, tasks: [routing]}]
automation: {look_every: 1, alerts: {log: true}}
"""
PATIENCE_SECONDS = 120
# The daemon itself, but that looks at its sensors and at its queue each half a second instead of
# each 5: of what it is about, nothing hangs on how long it sleeps.
DAEMON = """
import sys
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator
from dagster._daemon import sensor
from dagster._daemon.cli import main
assert sensor.MIN_INTERVAL_LOOP_TIME == 5 and QueuedRunCoordinator().dequeue_interval_seconds == 5
sensor.MIN_INTERVAL_LOOP_TIME = 0.5
QueuedRunCoordinator.dequeue_interval_seconds = 0.5
sys.argv[1:] = ["run", "-w", "workspace.yaml"]
main()
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "wiki").mkdir()
    (tmp_path / "wiki" / "a.md").write_text("# Refunds\n\nA refund takes five days.")
    (tmp_path / "stillhouse.yaml").write_text(PROJECT)
    (tmp_path / "workspace.yaml").write_text(WORKSPACE)
    monkeypatch.setenv("STILLHOUSE_PROJECT", str(tmp_path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "var" / "dagster"))
    return load_project(tmp_path)


@pytest.fixture
def start(project: Project) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts a daemon of the project; all go, with what they started, when the test ends."""
    started: list[subprocess.Popen[bytes]] = []

    def daemon() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", DAEMON]
        started.append(
            subprocess.Popen(
                command,
                cwd=project.root,
                start_new_session=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
        return started[-1]

    yield daemon
    for process in started:
        kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def until(found: Callable[[], bool], what: str) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < ends, f"no {what} within {PATIENCE_SECONDS} s"
        time.sleep(0.2)


def ticks(instance: dg.DagsterInstance, sensor: str) -> int:
    """How often the daemon has looked, to the end, by what it keeps of its sensors."""
    states = instance.all_instigator_state()
    (state,) = [s for s in states if s.instigator_name == sensor]
    found = instance.get_ticks(state.instigator_origin_id, state.selector_id)
    # One that has begun may still read the files: what changes then is no change to it.
    return sum(tick.status != TickStatus.STARTED for tick in found)


def test_one_change_makes_one_run_and_one_alert_across_a_killed_daemon(
    project: Project, start: Callable[[], subprocess.Popen[bytes]]
) -> None:
    with open_instance(project) as instance:
        command = [sys.executable, "-m", "dagster", "sensor", "start", "new_source_files"]
        subprocess.run(
            [*command, "-w", "workspace.yaml"], cwd=project.root, check=True, capture_output=True
        )
        daemon = start()
        until(lambda: ticks(instance, "new_source_files") > 0, "tick")
        assert instance.get_runs() == []
        # Nothing is left that can be read: the run that is asked for fails at its first step.
        (project.root / "wiki" / "a.md").rename(project.root / "wiki" / "a.nothing")
        until(lambda: instance.get_runs() != [], "run")
        alerts = Layout(project.data_path).alerts
        until(lambda: any(TOLD_TAG in run.tags for run in instance.get_runs()), "alert")
        # Killed before it notes how far it came.
        kill(daemon)
        before = ticks(instance, "new_source_files")
        start()
        until(lambda: ticks(instance, "new_source_files") > before + 1, "tick after the restart")
        (run,) = instance.get_runs()
        assert (run.job_name, run.status) == ("ingest", dg.DagsterRunStatus.FAILURE)
        (told,) = map(json.loads, alerts.read_text().splitlines())
        assert (told["run_id"], told["event"]) == (run.run_id, "failed")
        assert told["steps"] == ["source_files"]
        assert "wiki" not in alerts.read_text()
