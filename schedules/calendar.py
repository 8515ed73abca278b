"""The schedules of the project file: `automation.schedules`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg

from stillhouse.config.automation import Schedule
from stillhouse.config.base import ConfigError
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.outside import open_state
from stillhouse.storage.files import digest

Requests = Iterator[dg.RunRequest | dg.SkipReason]

WHAT = {
    "redistill": "Ingests, then distils again from the teacher in use where anything changed.",
    "watch": "Reads request logs, and compares them with what the students in use learned from.",
    "clear_caches": "Removes what was not used for long, and what is more than `caches` allows.",
}


def build_schedules(project: Project, jobs: dict[str, Any]) -> list[dg.ScheduleDefinition]:
    """One for each schedule of the project file; `jobs` has one for each thing that one `does`.

    Raises `ConfigError` for a cron expression that Dagster does not understand.
    """
    return [
        _schedule(project, number, schedule, jobs[schedule.does])
        for number, schedule in enumerate(project.automation.schedules)
    ]


def _schedule(project: Project, number: int, schedule: Schedule, job: Any) -> dg.ScheduleDefinition:
    asked = REQUESTS[schedule.does](str(project.file))
    try:
        decorated = dg.schedule(
            name=schedule.name,
            job=job,
            cron_schedule=schedule.cron,
            execution_timezone=schedule.time_zone,
            description=WHAT[schedule.does],
        )
        return decorated(asked)
    except dg.DagsterInvalidDefinitionError as error:
        raise ConfigError(
            f"{project.file}: automation.schedules[{number}].cron: {schedule.cron!r} is no cron "
            "expression",
            remedy='write minute, hour, day, month and weekday, as in "0 2 * * 0".',
        ) from error


def _of_version_in_use(project_file: str) -> Callable[[dg.ScheduleEvaluationContext], Requests]:
    """Jobs are incremental: a week in which nothing changed costs seconds."""

    def asked(context: dg.ScheduleEvaluationContext) -> Requests:
        from stillhouse.moved import version_in_use

        try:
            project = load_project(project_file)
            version = version_in_use(open_state(project)) or project.teachers[-1].version
        except UserError as error:
            yield dg.SkipReason(str(error))
            return
        if not context.instance.has_dynamic_partition("teacher_version", version):
            yield dg.SkipReason(
                f"teacher version {version} is not registered yet; `stillhouse run` does that"
            )
            return
        moment = context.scheduled_execution_time.isoformat()
        yield dg.RunRequest(run_key=digest(moment, version), partition_key=version)

    return asked


def _clear_caches(_: str) -> Callable[[dg.ScheduleEvaluationContext], Requests]:
    def asked(context: dg.ScheduleEvaluationContext) -> Requests:
        yield dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())

    return asked


REQUESTS = {
    "redistill": _of_version_in_use,
    "watch": _of_version_in_use,
    "clear_caches": _clear_caches,
}
