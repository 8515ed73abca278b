"""Runs whose process is gone: a killed process can't report its own end."""

import dagster as dg

from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.instance import close_dead_runs
from stillhouse.storage.layout import Layout


def build_dead_run_sensor(project_file: str) -> dg.SensorDefinition:
    """Closes runs that look busy and are not, so that the UI says what is so."""

    @dg.sensor(
        name="dead_runs",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Closes runs whose process is gone.",
    )
    def dead_runs(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        try:
            layout = Layout(load_project(project_file).data_path)
        except UserError as error:
            return dg.SkipReason(str(error))
        closed = close_dead_runs(context.instance, layout)
        return dg.SkipReason(f"closed {len(closed)} runs" if closed else "no run is dead")

    return dead_runs
