"""Runs of killed processes are closed, so that later runs don't wait for them."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg

from stillhouse.cli.runs import PROCESS_TAG, _this_process, release_killed_runs


@dg.asset
def something() -> None: ...


def make_run(instance: dg.DagsterInstance, tag: str) -> str:
    job = dg.define_asset_job("j", selection="*")
    definition = dg.Definitions(assets=[something], jobs=[job]).resolve_job_def("j")
    run = instance.create_run_for_job(
        definition, tags={PROCESS_TAG: tag}, status=dg.DagsterRunStatus.STARTED
    )
    return run.run_id


def test_only_runs_of_processes_that_are_gone_are_closed() -> None:
    code = "from stillhouse.cli.runs import _this_process; print(_this_process())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    with dg.instance_for_test() as instance:
        dead = make_run(instance, done.stdout.strip())
        alive = make_run(instance, _this_process())
        elsewhere = make_run(instance, "another-machine:1:1")
        assert release_killed_runs(instance) == [dead]
        status = {r.run_id: r.status for r in instance.get_runs()}
    assert status[dead] == dg.DagsterRunStatus.FAILURE
    assert status[alive] == status[elsewhere] == dg.DagsterRunStatus.STARTED
