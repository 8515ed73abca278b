"""The sensor and the schedule, through their own contexts on a real ephemeral instance."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)

from stillhouse.definitions import build_defs
from stillhouse.sensors.source_files import PATIENCE_SECONDS

SmallProject = Callable[..., Path]


def tick(defs: dg.Definitions, instance: dg.DagsterInstance, cursor: str | None):  # type: ignore[no-untyped-def]
    sensor = defs.resolve_sensor_def("new_source_files")
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=defs, sensor_name=sensor.name
    )
    return sensor.evaluate_tick(context)


def test_a_new_a_changed_and_a_removed_file_each_ask_for_one_run(
    small_project: SmallProject,
) -> None:
    file = small_project()
    defs = build_defs(file)
    added = file.parent / "wiki" / "billing" / "new.md"
    with dg.DagsterInstance.ephemeral() as instance:
        first = tick(defs, instance, None)
        assert first.run_requests == [] and first.cursor
        assert tick(defs, instance, first.cursor).run_requests == []
        keys, cursor = set(), first.cursor
        for change in (
            lambda: added.write_text("# Refunds\n\nA refund takes five days."),
            lambda: added.write_text("# Refunds\n\nA refund takes six working days."),
            added.unlink,
        ):
            change()
            arriving = tick(defs, instance, cursor)
            assert arriving.run_requests == [] and "waiting" in arriving.skip_message
            found = tick(defs, instance, arriving.cursor)
            (request,) = found.run_requests
            keys.add(request.run_key)
            cursor = found.cursor
            assert tick(defs, instance, cursor).run_requests == []
        assert len(keys) == 3


def test_a_thousand_files_that_arrive_over_several_ticks_make_one_run(
    small_project: SmallProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = small_project(tickets=5)
    defs = build_defs(file)
    asked = []
    with dg.DagsterInstance.ephemeral() as instance:
        cursor = tick(defs, instance, None).cursor
        for tenth in range(10):
            for n in range(100):
                (file.parent / "wiki" / "billing" / f"{tenth}-{n}.md").write_text(f"# {n}")
            found = tick(defs, instance, cursor)
            asked += found.run_requests
            cursor = found.cursor
        assert asked == []
        for _ in range(3):
            found = tick(defs, instance, cursor)
            asked += found.run_requests
            cursor = found.cursor
        assert len(asked) == 1
        # What never stops arriving is ingested all the same.
        (file.parent / "wiki" / "billing" / "a.md").write_text("# more")
        cursor = tick(defs, instance, cursor).cursor
        (file.parent / "wiki" / "billing" / "b.md").write_text("# and more")
        monkeypatch.setattr("time.time", lambda clock=time.time: clock() + PATIENCE_SECONDS)
        found = tick(defs, instance, cursor)
        assert len(found.run_requests) == 1
        # Nor does a clock that was set back keep it waiting.
        (file.parent / "wiki" / "billing" / "c.md").write_text("# still more")
        cursor = tick(defs, instance, found.cursor).cursor
        (file.parent / "wiki" / "billing" / "d.md").write_text("# and one")
        monkeypatch.setattr("time.time", lambda clock=time.time: clock() - 1e8)
        assert len(tick(defs, instance, cursor).run_requests) == 1


def test_no_second_run_is_asked_for_while_the_first_is_under_way(
    small_project: SmallProject,
) -> None:
    file = small_project(tickets=5)
    defs = build_defs(file)
    with dg.instance_for_test() as instance:
        cursor = tick(defs, instance, None).cursor
        run = dg.DagsterRun(
            "ingest",
            status=dg.DagsterRunStatus.STARTED,
            tags={"dagster/sensor_name": "new_source_files"},
        )
        instance.add_run(run)
        (file.parent / "wiki" / "billing" / "new.md").write_text("# Refunds")
        cursor = tick(defs, instance, cursor).cursor
        waiting = tick(defs, instance, cursor)
        assert waiting.run_requests == [] and "under way" in waiting.skip_message
        instance.report_run_failed(run)
        assert len(tick(defs, instance, waiting.cursor).run_requests) == 1


def test_a_cursor_of_an_earlier_release_asks_for_nothing_that_was_done(
    small_project: SmallProject,
) -> None:
    file = small_project(tickets=5)
    defs = build_defs(file)
    with dg.DagsterInstance.ephemeral() as instance:
        bare = json.loads(tick(defs, instance, None).cursor)["handled"]
        found = tick(defs, instance, bare)
        assert found.run_requests == [] and "no source file changed" in found.skip_message


def test_a_missing_source_folder_skips_the_tick_with_the_reason(
    small_project: SmallProject,
) -> None:
    file = small_project(tickets=5)
    defs = build_defs(file)
    (file.parent / "tickets.jsonl").unlink()
    with dg.DagsterInstance.ephemeral() as instance:
        found = tick(defs, instance, "something")
    assert found.run_requests == []
    assert "sources[1].path" in found.skip_message


def test_the_schedule_asks_for_the_newest_registered_teacher(small_project: SmallProject) -> None:
    defs = build_defs(small_project(tickets=5))
    schedule = defs.resolve_schedule_def("weekly_redistillation")
    with (
        dg.instance_for_test() as instance,
        dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 3, 1, 2, tzinfo=UTC),
            repository_def=defs.get_repository_def(),
        ) as context,
    ):
        skipped = schedule.evaluate_tick(context)
        assert skipped.run_requests == [] and "small-1" in str(skipped.skip_message)
        instance.add_dynamic_partitions("teacher_version", ["small-1"])
        (request,) = schedule.evaluate_tick(context).run_requests or []
    assert request.partition_key == "small-1"
    assert schedule.job_name == "refresh"


def test_the_ui_says_what_is_stale_as_the_command_line_does(
    small_project: SmallProject,
) -> None:
    from stillhouse.assets.common import FRESH, UP_TO_DATE
    from stillhouse.config.project import load_project
    from stillhouse.outside import open_state
    from tests.made import make_all

    file = small_project(tickets=5)
    make_all(open_state(load_project(file)))
    text = file.read_text()
    sensor = build_defs(file).resolve_sensor_def("staleness")
    with dg.instance_for_test() as instance:

        def tick() -> dict[str, tuple[bool, str | None]]:
            """One tick, its events stored as the daemon does: what the UI then shows."""
            found = sensor(dg.build_sensor_context(instance=instance))
            events = found.asset_events if isinstance(found, dg.SensorResult) else []
            for event in events:
                instance.report_runless_asset_event(event)
            return {e.asset_key.to_user_string(): (e.passed, e.description) for e in events}

        assert set(tick().values()) == {(True, FRESH)}
        _plan(instance, dg.AssetCheckKey(dg.AssetKey("teacher_model"), UP_TO_DATE))
        assert tick() == {}  # a run under way has answered nothing yet
        for _ in range(2):  # the same answer may come back
            file.write_text(text + "privacy: {train_up_to: public}\n")
            stale = tick()
            assert tick() == {}
            file.write_text(text)
            assert tick().keys() == stale.keys()
    assert stale["unique_documents"] == (False, "settings changed: train_up_to")
    assert stale.keys() >= {
        "instruction_pairs",
        "dataset_splits",
        "soft_labels",
        "router/evaluation_report",
    }
    assert "masked_documents" not in stale and "teacher_model" not in stale
    file.write_text(text + "privacy: {train_up_to: public}\n")
    statuses = open_state(load_project(file)).statuses()
    said = next(r for a, r in statuses.items() if a.name == "router/evaluation_report")
    assert stale["router/evaluation_report"] == (False, f"small-1: {said}")


def _plan(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> None:
    """What stands in the log from a run's first moment until it comes to the check."""
    planned = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value,
        job_name="distill",
        event_specific_data=AssetCheckEvaluationPlanned(
            asset_key=check.asset_key, check_name=check.name
        ),
    )
    instance.report_dagster_event(planned, run_id=str(uuid.uuid4()))
