"""What is stale, said in the UI as `stillhouse status` says it.

Dagster knows of new data versions of direct inputs. That a setting changed, that a file is new, or
that something further above is stale, it can't know: each asset's check `up_to_date` says so.
"""

from collections import defaultdict

import dagster as dg
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from stillhouse.assets.common import FRESH, UP_TO_DATE, asset_key
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.outside import open_state
from stillhouse.state import State

ANSWERED = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


def build_staleness_sensor(project_file: str) -> dg.SensorDefinition:
    """Reports the check `up_to_date` of every asset whose answer is another than the last one."""

    @dg.sensor(
        name="staleness",
        minimum_interval_seconds=120,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Says on each asset whether it is stale, and why.",
    )
    def staleness(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            found = reasons(open_state(load_project(project_file)))
        except UserError as error:
            return dg.SkipReason(str(error))
        events = [
            dg.AssetCheckEvaluation(
                asset_key=key,
                check_name=UP_TO_DATE,
                passed=not why,
                severity=dg.AssetCheckSeverity.WARN,
                description=why or FRESH,
                metadata={},
            )
            for key, why in found.items()
            if _last_answer(context.instance, key) != (not why, why or FRESH)
        ]
        if not events:
            return dg.SkipReason("nothing became stale or fresh")
        return dg.SensorResult(asset_events=events)

    return staleness


def reasons(state: State) -> dict[dg.AssetKey, str]:
    """Why each asset that was made is stale, "" where it is not; of each teacher version that is.

    One answer an asset, not one a partition: Dagster 1.13 can't replace an answer of a partition
    that was given outside of a run (its table of checks allows one).
    """
    from stillhouse.moved import in_full

    found: dict[dg.AssetKey, list[str]] = defaultdict(list)
    for artefact, reason in state.statuses().items():
        if state.record(artefact) is not None:
            reason = in_full(state, artefact, reason)
            of = f"{artefact.version}: " if artefact.version else ""
            stale = found[asset_key(artefact.step, artefact.student)]
            if reason:
                stale.append(f"{of}{reason}")
    return {key: "; ".join(stale) for key, stale in found.items()}


def _last_answer(instance: dg.DagsterInstance, key: dg.AssetKey) -> tuple[bool, str | None] | None:
    """What the check said last; that a run under way has planned it is no answer."""
    check = dg.AssetCheckKey(key, UP_TO_DATE)
    for record in instance.event_log_storage.get_asset_check_execution_history(
        check, limit=1, status=ANSWERED
    ):
        event = record.event.dagster_event if record.event else None
        if event is not None:
            evaluation = event.asset_check_evaluation_data
            return evaluation.passed, evaluation.description
    return None
