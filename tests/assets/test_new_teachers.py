"""The sensor of the registry: a partition and a run in one tick, and never twice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from stillhouse.definitions import build_defs
from stillhouse.errors import UserError
from stillhouse.instance import unregister_teacher
from tests.made import MINIMAL


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("made") / "v2")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    (folder / ".complete").touch()
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    folder = tmp_path / "var" / "teachers"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def sensor_of(registry: Path) -> dg.SensorDefinition:
    """Of a code location that was just loaded, as after a restart."""
    return build_defs(registry.parents[1] / "stillhouse.yaml").resolve_sensor_def("new_teachers")


def tick(registry: Path, instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    """What the sensor asks for; its partitions are made, as the daemon does."""
    found: Any = sensor_of(registry)(dg.build_sensor_context(instance=instance, cursor=cursor))
    for request in getattr(found, "dynamic_partitions_requests", None) or []:
        instance.add_dynamic_partitions("teacher_version", list(request.partition_keys))
    return found


def said(found: Any) -> str:
    skip = found.skip_reason if isinstance(found, dg.SensorResult) else found
    return str(skip.skip_message)


def test_the_daemon_may_run_a_partition_that_the_same_tick_adds(
    registry: Path, whole: Path
) -> None:
    shutil.copytree(whole, registry / "v2")
    defs = build_defs(registry.parents[1] / "stillhouse.yaml")
    with (
        dg.instance_for_test() as instance,
        dg.SensorEvaluationContext(
            instance_ref=instance.get_ref(),
            last_tick_completion_time=None,
            last_run_key=None,
            cursor=None,
            repository_name=None,
            repository_def=defs.get_repository_def(),
        ) as context,
    ):
        found = defs.resolve_sensor_def("new_teachers").evaluate_tick(context)
    (request,) = found.run_requests or []
    assert request.tags["dagster/partition"] == "v2" and request.run_key


def test_two_new_versions_each_get_a_partition_and_one_run_in_one_tick(
    registry: Path, whole: Path, instance: dg.DagsterInstance
) -> None:
    before = tick(registry, instance)
    assert not before.run_requests and said(before) == "no new teacher"
    for name in ("v2", "v3"):
        shutil.copytree(whole, registry / name)
    found = tick(registry, instance, before.cursor)
    assert [r.partition_key for r in found.run_requests] == ["v2", "v3"]
    assert instance.get_dynamic_partitions("teacher_version") == ["v2", "v3"]
    digests = json.loads(found.cursor)
    assert [r.run_key for r in found.run_requests] == [f"{v}-{digests[v]}" for v in ("v2", "v3")]
    again = tick(registry, instance, found.cursor)
    assert not again.run_requests and again.cursor == found.cursor

    # Killed between the partitions and the runs: the same keys, so that none runs twice.
    lost = tick(registry, instance, before.cursor)
    assert [r.run_key for r in lost.run_requests] == [r.run_key for r in found.run_requests]
    # A version that has a run is left to whoever started it.
    instance.create_run_for_job(
        build_defs(registry.parents[1] / "stillhouse.yaml").resolve_job_def("distill"),
        tags={"dagster/partition": "v2"},
    )
    left = tick(registry, instance, before.cursor)
    assert [r.partition_key for r in left.run_requests] == ["v3"]


def test_what_waits_or_is_refused_is_said_and_gets_no_partition(
    registry: Path, whole: Path, instance: dg.DagsterInstance
) -> None:
    shutil.copytree(whole, registry / "v2")
    (registry / "v2" / "README.md").unlink()
    shutil.copytree(whole, registry / "v3")
    (registry / "v3" / "model.safetensors.part").touch()
    found = tick(registry, instance)
    assert not found.run_requests
    assert "v2: refused: v2: its files state no licence" in said(found)
    assert "v3: waiting: model.safetensors.part is still being written" in said(found)
    assert instance.get_dynamic_partitions("teacher_version") == []
    (registry / "v3" / "model.safetensors.part").unlink()
    found = tick(registry, instance, found.cursor)
    assert [r.partition_key for r in found.run_requests] == ["v3"]


def test_a_registry_that_cannot_be_read_is_reported_and_tried_again(
    registry: Path, whole: Path, instance: dg.DagsterInstance
) -> None:
    shutil.copytree(whole, registry / "v2")
    first = tick(registry, instance)
    registry.rename(registry.with_name("aside"))
    registry.write_text("no folder")
    broken = tick(registry, instance, first.cursor)
    assert isinstance(broken, dg.SkipReason) and "can't be read" in said(broken)
    registry.unlink()
    registry.with_name("aside").rename(registry)
    shutil.copytree(whole, registry / "v3")
    found = tick(registry, instance, first.cursor)
    assert [r.partition_key for r in found.run_requests] == ["v3"]


def test_it_is_off_until_somebody_switches_it_on(registry: Path) -> None:
    assert sensor_of(registry).default_status == dg.DefaultSensorStatus.STOPPED


def test_the_schedule_sees_a_version_that_came_after_it_was_loaded(
    registry: Path, whole: Path
) -> None:
    from datetime import UTC, datetime

    defs = build_defs(registry.parents[1] / "stillhouse.yaml")
    shutil.copytree(whole, registry / "v2")
    with dg.instance_for_test() as instance:
        tick(registry, instance)
        schedule = defs.resolve_schedule_def("weekly_redistillation")
        with dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 3, 1, 2, tzinfo=UTC),
            repository_def=defs.get_repository_def(),
        ) as context:
            (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.partition_key == "v2"


def test_a_mistyped_version_fails_at_its_first_step_and_can_be_removed_again(
    registry: Path, instance: dg.DagsterInstance
) -> None:
    defs = build_defs(registry.parents[1] / "stillhouse.yaml")
    instance.add_dynamic_partitions("teacher_version", ["t-1", "t1"])
    done = defs.resolve_job_def("distill").execute_in_process(
        instance=instance, partition_key="t1", raise_on_error=False
    )
    failed = [e for e in done.all_events if e.is_step_failure]
    assert failed[0].step_key == "teacher_model"
    told = failed[0].step_failure_data.user_failure_data.description
    assert "there is no version 't1'" in told and "stillhouse teachers remove t1" in told
    assert unregister_teacher(instance, "t1") == (True, 1)
    assert instance.get_dynamic_partitions("teacher_version") == ["t-1"]
    assert instance.get_run_by_id(done.run_id) is None
    assert unregister_teacher(instance, "t1") == (False, 0)


def test_removing_a_version_keeps_runs_that_made_other_things_and_waits_for_those_under_way(
    registry: Path, instance: dg.DagsterInstance
) -> None:
    @dg.asset
    def table() -> None:
        """Of no partition, as the corpus is in a run of `refresh`."""

    instance.add_dynamic_partitions("teacher_version", ["t1"])
    kept = dg.materialize([table], instance=instance, tags={"dagster/partition": "t1"})
    defs = build_defs(registry.parents[1] / "stillhouse.yaml")
    under_way = instance.create_run_for_job(
        defs.resolve_job_def("distill"),
        tags={"dagster/partition": "t1"},
        status=dg.DagsterRunStatus.STARTED,
    )
    with pytest.raises(UserError, match=f"run {under_way.run_id} works on it"):
        unregister_teacher(instance, "t1")
    assert instance.get_dynamic_partitions("teacher_version") == ["t1"]
    instance.report_run_failed(under_way)
    assert unregister_teacher(instance, "t1") == (True, 1)
    assert instance.get_run_by_id(kept.run_id) is not None
