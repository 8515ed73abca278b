"""What is stale, said in the UI as `stillhouse status` says it.

Dagster knows of new data versions of direct inputs. That a setting changed, that a file is new, or
that something further above is stale, it can't know: each asset's check `up_to_date` says so.
"""

import json
from typing import Any

import dagster as dg

from stillhouse.assets.common import UP_TO_DATE, asset_key
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.outside import open_state


def build_staleness_sensor(project_file: str) -> dg.SensorDefinition:
    """Reports the check `up_to_date` of every artefact whose answer changed since the last tick."""

    @dg.sensor(
        name="staleness",
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says on each asset whether it is stale, and why.",
    )
    def staleness(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            state = open_state(load_project(project_file))
            found = {
                artefact: reason
                for artefact, reason in state.statuses().items()
                if state.record(artefact) is not None
            }
        except UserError as error:
            return dg.SkipReason(str(error))
        known: dict[str, Any] = json.loads(context.cursor or "{}")
        now = {str(artefact): reason for artefact, reason in found.items()}
        events = [
            dg.AssetCheckEvaluation(
                asset_key=asset_key(artefact.step, artefact.student),
                check_name=UP_TO_DATE,
                passed=reason is None,
                severity=dg.AssetCheckSeverity.WARN,
                description=reason or "nothing that it was made of has changed",
                metadata={},
                partition=artefact.version,
            )
            for artefact, reason in found.items()
            if known.get(str(artefact), "") != reason
        ]
        if not events:
            return dg.SkipReason("nothing became stale or fresh")
        return dg.SensorResult(asset_events=events, cursor=json.dumps(now))

    return staleness
