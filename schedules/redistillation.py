"""Weekly re-distillation of the newest teacher."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from stillhouse.config.project import Project
from stillhouse.storage.files import digest


def build_redistillation_schedule(project: Project, job: Any) -> dg.ScheduleDefinition:
    """Runs `job` for the last teacher of the project file, Sundays at two in the night.

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
        version = project.teachers[-1].version
        if not context.instance.has_dynamic_partition("teacher_version", version):
            yield dg.SkipReason(
                f"teacher version {version} is not registered yet; `stillhouse run` does that"
            )
            return
        moment = context.scheduled_execution_time.isoformat()
        yield dg.RunRequest(run_key=digest(moment, version), partition_key=version)

    return weekly_redistillation
