"""Runs of the graph from a terminal, on the same Dagster instance that the UI shows."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.storage.files import write_text
from stillhouse.storage.layout import Layout

if TYPE_CHECKING:
    import dagster as dg

INSTANCE_SETTINGS = """\
# Written by stillhouse when this folder was made; yours to change.
telemetry:
  enabled: false
# Log lines of the library appear among a run's events.
python_logs:
  managed_python_loggers: [stillhouse]
  python_log_level: INFO
concurrency:
  # Steps in the pool "gpu" wait for each other, whichever run they belong to.
  pools:
    default_limit: 1
run_monitoring:
  enabled: true
  free_slots_after_run_end_seconds: 30
"""

PROCESS_TAG = "stillhouse/process"


@dataclass
class Outcome:
    """What a run did: seconds by asset, and if it failed, where and why."""

    success: bool
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def open_instance(project: Project) -> dg.DagsterInstance:
    """The project's Dagster instance; its folder is made when it is missing."""
    import dagster as dg

    home = prepare_home(project)
    os.environ["DAGSTER_HOME"] = str(home)
    return dg.DagsterInstance.get()


def prepare_home(project: Project) -> Path:
    """DAGSTER_HOME, with a dagster.yaml in it."""
    home = Layout(project.data_path).dagster_home.resolve()
    if not (home / "dagster.yaml").exists():
        write_text(home / "dagster.yaml", INSTANCE_SETTINGS)
    return home


def load_definitions(project: Project) -> dg.Definitions:
    """The code location of this very project file, here and in every process started from here."""
    os.environ["STILLHOUSE_PROJECT"] = str(project.file)
    from stillhouse.definitions import defs

    return defs


def register_teachers(instance: dg.DagsterInstance, project: Project) -> list[str]:
    """Make every teacher version of the project file a partition; returns the new ones."""
    known = set(instance.get_dynamic_partitions("teacher_version"))
    new = [t.version for t in project.teachers if t.version not in known]
    if new:
        instance.add_dynamic_partitions("teacher_version", new)
    return new


def release_killed_runs(instance: dg.DagsterInstance) -> list[str]:
    """Close the runs of this machine's processes that are gone; returns their ids.

    A killed process can't report its end: its run would look busy for ever, and its place in the
    "gpu" pool would keep every later run waiting.
    """
    import dagster as dg

    released = []
    under_way = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    for run in instance.get_runs(dg.RunsFilter(statuses=under_way)):
        if PROCESS_TAG in run.tags and not _alive(run.tags[PROCESS_TAG]):
            instance.report_run_failed(run, "The process of this run was killed.")
            instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
            released.append(run.run_id)
    return released


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{psutil.Process().create_time():.0f}"


def _alive(tag: str) -> bool:
    """Whether the process of a tag still runs; one of another machine can't be known, so yes."""
    host, pid, created = tag.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        return f"{psutil.Process(int(pid)).create_time():.0f}" == created
    except psutil.NoSuchProcess:
        return False


def run_job(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    *,
    partition_key: str | None = None,
    assets: Sequence[str] | None = None,
) -> Outcome:
    """Run a job in this process; `assets` narrows it to some of its assets ("a/b" names)."""
    import dagster as dg

    keys = None if assets is None else [dg.AssetKey(name.split("/")) for name in assets]
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition_key,
        asset_selection=keys,
        raise_on_error=False,
        tags={PROCESS_TAG: _this_process()},
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
    )
    outcome = Outcome(result.success)
    for stats in instance.get_run_step_stats(result.run_id):
        if stats.start_time and stats.end_time:
            name = stats.step_key.replace("__", "/")
            outcome.seconds[name] = stats.end_time - stats.start_time
    for event in result.all_events:
        if event.is_step_failure:
            outcome.failures[str(event.step_key)] = _reason(event)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            if not check.passed:
                name = f"{check.asset_key.to_user_string()}: {check.check_name}"
                outcome.warnings.append(f"{name} ({_figures(check.metadata)})")
    return outcome


def _reason(event: Any) -> str:
    """What the user should read: our own description, or the innermost error's own words."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else "no reason was recorded"


def _figures(metadata: Any) -> str:
    return ", ".join(
        f"{name} {value.value:.3g}" if isinstance(value.value, float) else f"{name} {value.value}"
        for name, value in metadata.items()
        if isinstance(value.value, int | float)
    )


def assets_until(defs: dg.Definitions, job: str, until: str) -> list[str]:
    """The assets of `job` that `until` needs, itself included; none when it is not in `job`.

    Raises `UserError` for an asset that the project doesn't have.
    """
    import dagster as dg

    graph = defs.resolve_asset_graph()
    key = dg.AssetKey(until.split("/"))
    if key not in graph.materializable_asset_keys:
        names = sorted(k.to_user_string() for k in graph.materializable_asset_keys)
        raise UserError(
            f"--until {until}: there is no such asset", remedy=f"use one of {', '.join(names)}."
        )
    needed = dg.AssetSelection.assets(key).upstream().resolve(graph)
    mine = defs.resolve_job_def(job).asset_layer.selected_asset_keys
    return sorted(k.to_user_string() for k in needed & mine)
