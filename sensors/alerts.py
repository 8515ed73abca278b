"""Who is told when a run fails, or doesn't end."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import dagster as dg

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.instance import PARTITION_TAG
from stillhouse.storage.layout import Layout

# A run that people were told of.
TOLD_TAG = "stillhouse/told"

LONG = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_alert_sensors(project: Project) -> list[dg.SensorDefinition]:
    """`failed_runs` and `overdue_runs`; running where the project file says who is told."""
    file = str(project.file)
    on = dg.DefaultSensorStatus.RUNNING
    status = on if project.automation.alerts.any else dg.DefaultSensorStatus.STOPPED

    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=project.automation.look_every,
        default_status=status,
        description="Tells whom `automation.alerts` names of runs that failed.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        # A daemon that was killed before it noted how far it came sees the same failure again.
        run = context.instance.get_run_by_id(context.dagster_run.run_id)
        if run is not None and TOLD_TAG in run.tags:
            return
        steps = tuple(str(event.step_key) for event in context.get_step_failure_events())
        _tell(file, context.dagster_run, "failed", context.log, steps)
        context.instance.add_run_tags(context.dagster_run.run_id, {TOLD_TAG: "failed"})

    @dg.sensor(
        name="overdue_runs",
        minimum_interval_seconds=5 * project.automation.look_every,
        default_status=status,
        description="Tells of runs that are under way for longer than they should be.",
    )
    def overdue_runs(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            hours = load_project(file).automation.alerts.overdue_hours
        except UserError as error:
            return dg.SkipReason(str(error))
        told, late = set(json.loads(context.cursor or "[]")), set()
        now = datetime.now(UTC)
        for record in context.instance.get_run_records(dg.RunsFilter(statuses=LONG)):
            created = record.create_timestamp
            since = created if created.tzinfo else created.replace(tzinfo=UTC)
            if (now - since).total_seconds() >= hours * 3600:
                late.add(record.dagster_run.run_id)
                if record.dagster_run.run_id not in told:
                    _tell(file, record.dagster_run, "overdue", context.log)
        return dg.SensorResult(
            cursor=json.dumps(sorted(late)), skip_reason=f"{len(late)} runs are overdue"
        )

    return [failed_runs, overdue_runs]


def _tell(
    file: str,
    run: dg.DagsterRun,
    event: str,
    log: logging.Logger,
    steps: tuple[str, ...] = (),
) -> None:
    from stillhouse.alerts import Alert, tell

    project = load_project(file)
    alert = Alert(
        event,
        project.name,
        run.job_name,
        run.run_id,
        datetime.now(UTC).isoformat(timespec="seconds"),
        run.tags.get(PARTITION_TAG),
        steps,
    )
    for problem in tell(project.automation.alerts, Layout(project.data_path), alert):
        log.error(problem)
