"""Weekly re-distillation of the newest teacher."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.storage.files import digest


def build_redistillation_schedule(project: Project, job: Any) -> dg.ScheduleDefinition:
    """Runs `job` for the newest teacher, Sundays at two in the night: the last of the project file,
    or of the registry where that has any.

    The job is incremental: a week in which nothing changed costs seconds.
    """

    @dg.schedule(
        name="weekly_redistillation",
        job=job,
        cron_schedule="0 2 * * 0",
        execution_timezone="UTC",
        description="Distils again from the newest teacher when data or settings changed.",
    )
    def weekly_redistillation(
        context: dg.ScheduleEvaluationContext,
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        try:
            version = load_project(project.file).teachers[-1].version
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

    return weekly_redistillation
