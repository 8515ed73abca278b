"""New teachers in the registry: a partition and a run for each, in one tick."""

import json
from typing import TYPE_CHECKING, Any

import dagster as dg

from stillhouse.assets.common import teacher_versions
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.instance import PARTITION_TAG
from stillhouse.sensors.cursors import read_cursor

if TYPE_CHECKING:
    from stillhouse.models.registry import Candidate

# Weights are read for so long a tick, and on at the next one: Dagster gives a tick 60 seconds.
SECONDS_A_TICK = 30.0


def build_new_teacher_sensor(project: Project, job: Any) -> dg.SensorDefinition:
    """Asks for one run of `job` for each version of the registry that is whole, allowed and new.

    A version is known by the digest of its content, in the cursor and in the run's key: none is
    asked for twice, whatever restarts. One that has a run already, from a terminal or the UI, is
    left to whoever started it.
    """
    project_file, look_every = str(project.file), project.automation.look_every

    @dg.sensor(
        name="new_teachers",
        job=job,
        minimum_interval_seconds=look_every,
        description="Distils from teachers that a mirror put into the registry.",
    )
    def new_teachers(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        from stillhouse.models.registry import look

        try:
            candidates = look(load_project(project_file), seconds=SECONDS_A_TICK)
        except UserError as error:
            return dg.SkipReason(str(error))
        asked: dict[str, str] = read_cursor(context.cursor)
        whole = {c.version: c.digest for c in candidates if c.state == "complete"}
        new = [v for v in whole if asked.get(v) != whole[v] and not _has_run(context.instance, v)]
        for candidate in candidates:
            if candidate.reason:
                context.log.info(_told(candidate))
        cursor = json.dumps(asked | whole, sort_keys=True)
        if not new:
            told = "; ".join(_told(c) for c in candidates if c.reason)
            return dg.SensorResult(skip_reason=told or "no new teacher", cursor=cursor)
        return dg.SensorResult(
            dynamic_partitions_requests=[teacher_versions.build_add_request(new)],
            run_requests=[
                dg.RunRequest(run_key=f"{version}-{whole[version]}", partition_key=version)
                for version in new
            ],
            cursor=cursor,
        )

    return new_teachers


def _has_run(instance: dg.DagsterInstance, version: str) -> bool:
    runs = dg.RunsFilter(tags={PARTITION_TAG: version})
    return instance.get_runs_count(runs) > 0


def _told(candidate: "Candidate") -> str:
    return f"{candidate.version}: {candidate.state}: {candidate.reason}"
