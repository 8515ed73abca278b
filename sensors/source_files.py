"""New, changed and removed source files."""

from typing import Any

import dagster as dg

from stillhouse.config.project import Project
from stillhouse.corpus.sources import listing_digest
from stillhouse.errors import UserError


def build_source_file_sensor(project: Project, job: Any) -> dg.SensorDefinition:
    """Asks for a run of `job` when names, sizes or times of the source files differ.

    The first tick only remembers them: what lies there at first is for `stillhouse run`.
    """

    @dg.sensor(
        name="new_source_files",
        job=job,
        minimum_interval_seconds=60,
        description="Ingests new and changed source files.",
    )
    def new_source_files(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        try:
            current = listing_digest(project)
        except UserError as error:
            return dg.SkipReason(str(error))
        if current == context.cursor:
            return dg.SkipReason("no source file changed")
        if context.cursor is None:
            return dg.SensorResult(cursor=current, skip_reason="remembered the source files")
        # Dagster never runs a key twice, and files can change back: the tick is part of the key.
        key = f"{context.cursor}-{current}-{context.last_tick_completion_time}"
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=key)], cursor=current)

    return new_source_files
