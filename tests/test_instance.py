"""Runs whose process is gone are closed, whoever started them; those under way are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest

from stillhouse import instance as stillhouse_instance
from stillhouse.instance import (
    INSTANCE_SETTINGS,
    SILENT_SECONDS,
    TERMINAL_TAG,
    close_dead_runs,
)
from stillhouse.storage.layout import Layout

HOLD = """
import sys, time
from pathlib import Path
from stillhouse.storage.locks import alive
with alive(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@dg.asset
def something() -> None: ...


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def make_run(instance: dg.DagsterInstance, **tags: str) -> str:
    job = dg.define_asset_job("j", selection="*")
    definition = dg.Definitions(assets=[something], jobs=[job]).resolve_job_def("j")
    run = instance.create_run_for_job(definition, tags=tags, status=dg.DagsterRunStatus.STARTED)
    return run.run_id


def worked_on(lock: Path) -> subprocess.Popen[str]:
    """Another process that works on the run of `lock`."""
    command = [sys.executable, "-c", HOLD, str(lock)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_a_run_is_closed_when_the_process_that_worked_on_it_was_killed(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    layout = Layout(tmp_path)
    killed, busy = make_run(instance, **{TERMINAL_TAG: "true"}), make_run(instance)
    children = [worked_on(layout.run(run)) for run in (killed, busy)]
    assert close_dead_runs(instance, layout) == []
    children[0].kill()
    children[0].wait()
    assert close_dead_runs(instance, layout) == [killed]
    status = {r.run_id: r.status for r in instance.get_runs()}
    assert status[killed] == dg.DagsterRunStatus.FAILURE
    assert status[busy] == dg.DagsterRunStatus.STARTED
    children[1].kill()
    children[1].wait()


def test_a_run_of_the_ui_may_rest_between_two_steps(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = Layout(tmp_path)
    run = make_run(instance)
    lock = layout.run(run)
    lock.parent.mkdir(parents=True)
    lock.touch()
    os.utime(lock, (0, 0))  # its first step began long ago
    began = time.time()
    time.sleep(0.5)
    (found,) = instance.get_runs()
    instance.report_engine_event("a step has ended", found)
    ended = time.time()

    def closed_at(moment: float) -> list[str]:
        monkeypatch.setattr(stillhouse_instance, "time", SimpleNamespace(time=lambda: moment))
        return close_dead_runs(instance, layout)

    assert closed_at(began + SILENT_SECONDS + 0.2) == []  # what began it is that long ago
    assert closed_at(ended + SILENT_SECONDS + 0.1) == [run]


def test_the_instance_shows_no_form_and_sends_nothing() -> None:
    import yaml

    settings = yaml.safe_load(INSTANCE_SETTINGS)
    assert settings["telemetry"] == settings["nux"] == {"enabled": False}
