"""Production's traffic: looked at when logs were written to, and distilled from when it drifted."""

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.outside import open_state
from stillhouse.sensors.cursors import read_cursor, waited
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import digest

# Logs are written to all the time: they are looked at so often at most.
EVERY = timedelta(hours=1)


@dataclass
class Remembered:
    """What the last ticks did: the logs that were looked at and when, and by student and version
    the traffic that it was distilled for, and when."""

    logs: str = ""
    looked: float = 0.0
    distilled: dict[str, str] = field(default_factory=dict)
    at: float = 0.0

    @classmethod
    def of(cls, cursor: str | None) -> "Remembered":
        try:
            return cls(**read_cursor(cursor))
        except TypeError:
            return cls()  # of another release


def build_drift_sensor(project: Project, watch: Any, refresh: Any) -> dg.SensorDefinition:
    """Asks for a run of `watch` when logs were written to, and for one of `refresh`, for the same
    teacher version, when the newest drift report is over its limits: once for the same traffic, and
    not again within `drift.cool_down_days`."""
    project_file, look_every = str(project.file), project.automation.look_every

    @dg.sensor(
        name="drift",
        jobs=[watch, refresh],
        minimum_interval_seconds=5 * look_every,
        description="Reads request logs, and distils again when traffic has drifted.",
    )
    def drift(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        try:
            project = load_project(project_file)
            if not project.traffic.logs:
                return dg.SkipReason("`traffic.logs` names no log")
            state = open_state(project)
            version = _current(state, context.instance)
            if version is None:
                return dg.SkipReason("no student was made yet")
            return _tick(state, version, Remembered.of(context.cursor), datetime.now(UTC))
        except UserError as error:
            return dg.SkipReason(str(error))

    return drift


def _tick(state: State, version: str, last: Remembered, now: datetime) -> dg.SensorResult:
    from stillhouse.monitor.logs import logs_digest

    requests, said = [], []
    logs = logs_digest(state.project.root, state.project.traffic.logs)
    due = waited(last.looked, now.timestamp()) >= EVERY.total_seconds()
    if logs != last.logs and due:
        last.logs, last.looked = logs, now.timestamp()
        key = f"watch-{version}-{logs}-{round(now.timestamp())}"
        requests.append(dg.RunRequest(run_key=key, job_name="watch", partition_key=version))
    elif logs != last.logs:
        said.append("logs were looked at within the last hour")
    drifted = _drifted(state, version)
    new = {
        name: traffic for name, traffic in drifted.items() if last.distilled.get(name) != traffic
    }
    cool = waited(last.at, now.timestamp()) < state.project.drift.cool_down_days * 86_400
    if new and not cool:
        last.distilled, last.at = {**last.distilled, **new}, now.timestamp()
        key = f"drift-{version}-{digest(sorted(new.items()))}"
        requests.append(dg.RunRequest(run_key=key, job_name="refresh", partition_key=version))
    elif new:
        said.append("traffic has drifted; drift.cool_down_days is not over")
    elif drifted:
        said.append("was distilled again for this traffic already")
    skipped = None if requests else "; ".join(said) or "no log was written to"
    return dg.SensorResult(
        run_requests=requests, cursor=json.dumps(asdict(last)), skip_reason=skipped
    )


def _current(state: State, instance: dg.DagsterInstance) -> str | None:
    """The teacher version in use, where it is one of the partitions."""
    from stillhouse.moved import version_in_use

    version = version_in_use(state)
    known = version and instance.has_dynamic_partition("teacher_version", version)
    return version if known else None


def _drifted(state: State, version: str) -> dict[str, str]:
    """Students of that version whose report is over the limits as they are now, each with the
    digest of the traffic that was compared."""
    from stillhouse.monitor.verdict import verdict

    found, project = {}, state.project
    for student in project.students:
        artefact = Artefact(STEPS["drift_report"], version, student.name)
        record = state.record(artefact)
        if record is None:
            continue
        traffic = record.recipe.inputs.get("production_traffic", "")
        if verdict(state.facts(artefact), project.drift).drifted:
            found[f"{student.name}@{version}"] = traffic
    return found
