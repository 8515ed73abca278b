"""The project's Dagster instance: made, filled with teacher versions, freed of dead runs."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.progress import meanwhile
from stillhouse.step import POOL
from stillhouse.steps import STEPS
from stillhouse.storage.files import write_text
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive, is_alive
from stillhouse.upgrade import bring_up

if TYPE_CHECKING:
    import dagster as dg

logger = logging.getLogger("stillhouse")

INSTANCE_SETTINGS = """\
# Written by stillhouse when this folder was made; yours to change.
telemetry:
  enabled: false
nux:
  enabled: false
# Log lines of the library appear among a run's events.
python_logs:
  managed_python_loggers: [stillhouse]
  python_log_level: INFO
run_monitoring:
  enabled: true
  start_timeout_seconds: 600
  # What a run that has ended still holds of a pool is given back.
  free_slots_after_run_end_seconds: 60
# Steps that run a model share the pool `models`: how many may is `automation.models_at_once` in the
# project file. Step by step: a run gives its place back between two of them.
concurrency:
  pools:
    granularity: op
# A run whose process died (power, memory) is started again, and goes on where it was; a step that
# failed with a reason is not.
run_retries:
  enabled: true
  max_retries: 1
  retry_on_asset_or_op_failure: false
# The history of runs is kept; of ticks what somebody may still look for.
retention:
  schedule: {purge_after_days: 365}
  sensor:
    purge_after_days: {skipped: 7, started: 7, failure: 90, success: 365}
"""

# Where it is set, Dagster keeps its history in that database: for several people at once, or more
# than a few thousand runs. Secrets stay in the environment.
POSTGRES_VARIABLE = "STILLHOUSE_POSTGRES_URL"
POSTGRES_SETTINGS = f"""\
storage:
  postgres:
    postgres_url:
      env: {POSTGRES_VARIABLE}
"""

# A run of a terminal: its process holds the run's lock from the first event to the last.
TERMINAL_TAG = "stillhouse/terminal"

# How Dagster tags a run of one partition.
PARTITION_TAG = "dagster/partition"

# Runs of the UI hold their lock during each step only. Between two steps a second or so goes by,
# and each leaves events.
SILENT_SECONDS = 120.0
# How often who waits in the pool looks whom for.
LOOK_EVERY_SECONDS = 15.0
# A run that was launched and never came to a step.
NEVER_STARTED_SECONDS = 900.0


def open_instance(project: Project) -> dg.DagsterInstance:
    """The project's Dagster instance; its folder is made when it is missing."""
    import dagster as dg

    home = prepare_home(project)
    os.environ["DAGSTER_HOME"] = str(home)
    # Dagster makes the tables of its databases on first use, and two processes that do so at once
    # both fail.
    with exclusive(Layout(project.data_path).lock("dagster"), "the Dagster instance"):
        instance = dg.DagsterInstance.get()
        instance.get_runs(limit=1)
        instance.all_asset_keys()
        instance.all_instigator_state()
        _size_pool(instance, project.automation.models_at_once)
    return instance


def _size_pool(instance: dg.DagsterInstance, places: int) -> None:
    """The project file says how many, whatever was set in the UI: the locks follow it too."""
    storage = instance.event_log_storage
    if {pool.name: pool.limit for pool in storage.get_pool_limits()}.get(POOL) != places:
        storage.set_concurrency_slots(POOL, places)


@contextmanager
def patient(instance: dg.DagsterInstance, layout: Layout, run_id: str) -> Iterator[None]:
    """While run `run_id` is under way in the block, it is said whom it waits for in the pool, and
    places of killed runs are given back, though no daemon runs."""

    def look() -> None:
        try:
            close_dead_runs(instance, layout)
            pool = instance.event_log_storage.get_concurrency_info(POOL)
        except Exception:  # the next look may go well, and the run doesn't depend on it
            logger.debug("no look at the pool", exc_info=True)
            return
        if run_id in pool.pending_run_ids:
            others = ", ".join(sorted(pool.active_run_ids)) or "its turn"
            logger.info("waiting for a place to run a model, after run %s", others)

    with meanwhile(look, LOOK_EVERY_SECONDS), _rests_between_claims():
        yield


@contextmanager
def _rests_between_claims() -> Iterator[None]:
    """A run of this process that waits for its place in a pool sleeps till it asks again.

    Dagster means to, but takes the least of 0 and the seconds that are left: it would go round and
    round, on a core that whoever has the place wants, and hold up the thread that looks. How often
    it asks is as it was. It wakes each second, for a signal.
    """
    from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

    def seconds(claims: Any) -> float:
        again = min(claims._pending_timeouts.values(), default=0.0)
        return min(max(again - time.time(), 0.0), 1.0)

    contexts: Any = InstanceConcurrencyContext
    as_it_was = contexts.interval_to_next_pending_claim_check
    contexts.interval_to_next_pending_claim_check = seconds
    try:
        yield
    finally:
        contexts.interval_to_next_pending_claim_check = as_it_was


def prepare_home(project: Project) -> Path:
    """DAGSTER_HOME, with a dagster.yaml in it; the data directory is its owner's alone."""
    prepare_data_directory(project.data_path)
    bring_up(Layout(project.data_path))
    home = Layout(project.data_path).dagster_home.resolve()
    file, postgres = home / "dagster.yaml", POSTGRES_VARIABLE in os.environ
    if not file.exists():
        write_text(file, INSTANCE_SETTINGS + (POSTGRES_SETTINGS if postgres else ""))
    elif postgres and POSTGRES_VARIABLE not in file.read_text(encoding="utf-8"):
        raise UserError(
            f"{POSTGRES_VARIABLE} is set, but {file} does not use it",
            remedy="add the section `storage` that docs/operations.md shows, or move the file "
            "away to have it written anew. What SQLite holds is not taken over.",
        )
    return home


def prepare_data_directory(root: Path) -> None:
    """Make the data directory, for its owner alone: what documents say lies below it unmasked."""
    try:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if root.stat().st_mode & 0o077:
            root.chmod(0o700)
            logger.info("%s: others could read it; now its owner alone may", root)
    except OSError as error:
        raise UserError(
            f"data_dir: {root} can't be written to ({error.strerror or error})",
            remedy="set `data_dir` in the project file to a folder that this user may write to.",
        ) from error


def lacking_settings(project: Project) -> list[str]:
    """Sections of dagster.yaml that this release would write and that the file, which is older or
    somebody's own, has not."""
    import yaml

    file = Layout(project.data_path).dagster_home / "dagster.yaml"
    there = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    return sorted(yaml.safe_load(INSTANCE_SETTINGS).keys() - there.keys())


def register_teachers(instance: dg.DagsterInstance, project: Project) -> list[str]:
    """Make every teacher version of the project a partition; returns the new ones."""
    known = set(instance.get_dynamic_partitions("teacher_version"))
    new = [t.version for t in project.teachers if t.version not in known]
    if new:
        instance.add_dynamic_partitions("teacher_version", new)
    return new


def unregister_teacher(instance: dg.DagsterInstance, version: str) -> tuple[bool, int]:
    """Take a teacher version out of the partitions, and the runs that made things of it alone, so
    that no page shows it any more. Returns whether it was one, and how many runs went.

    Raises `UserError` while a run of it is under way.
    """
    import dagster as dg

    runs = instance.get_runs(dg.RunsFilter(tags={PARTITION_TAG: version}))
    if busy := [run.run_id for run in runs if not run.is_finished]:
        raise UserError(
            f"teacher version {version}: run {busy[0]} works on it",
            remedy="wait until it has ended, or end it in the UI.",
        )
    alone = [run.run_id for run in runs if _made(instance, run.run_id) <= {version}]
    for run_id in alone:
        instance.delete_run(run_id)
    known = instance.has_dynamic_partition("teacher_version", version)
    if known:
        instance.delete_dynamic_partition("teacher_version", version)
    return known, len(alone)


def _made(instance: dg.DagsterInstance, run_id: str) -> set[str | None]:
    """The partitions of what a run made."""
    import dagster as dg

    found = instance.get_records_for_run(
        run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION
    ).records
    events = [record.event_log_entry.dagster_event for record in found]
    return {e.partition for e in events if e is not None and not _watches(e.asset_key)}


def _watches(key: dg.AssetKey | None) -> bool:
    """Whether it is what runs of every version make anew in passing: traffic, the comparison."""
    step = STEPS.get(key.path[-1]) if key else None
    return step is not None and step.scope == "project" and step.group == "monitoring"


def close_dead_runs(instance: dg.DagsterInstance, layout: Layout) -> list[str]:
    """Close the runs whose process is gone, whoever started them and wherever; returns their ids.

    A killed process can't report its end: its run would look busy for ever. Whatever works on a
    run holds its lock, which the kernel takes away with the process.
    """
    import dagster as dg

    closed = []
    statuses = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    statuses.append(dg.DagsterRunStatus.CANCELING)
    for record in instance.get_run_records(dg.RunsFilter(statuses=statuses)):
        run = record.dagster_run
        lock = layout.run(run.run_id)
        if is_alive(lock):
            continue
        if TERMINAL_TAG not in run.tags:
            patience = SILENT_SECONDS if lock.exists() else NEVER_STARTED_SECONDS
            if time.time() - _last_sign(instance, record) < patience:
                continue
        instance.report_run_failed(run, "The process of this run is gone.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        lock.unlink(missing_ok=True)
        closed.append(run.run_id)
    return closed


def _last_sign(instance: dg.DagsterInstance, record: dg.RunRecord) -> float:
    """When a run was last heard of: its last event, or the change of its status."""
    last = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    return max([record.update_timestamp.timestamp(), *(r.timestamp for r in last)])
