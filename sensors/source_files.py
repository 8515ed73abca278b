"""New, changed and removed source files."""

from __future__ import annotations

import json
import time
from typing import Any

import dagster as dg

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.sensors.cursors import read_cursor, waited

# Files that keep arriving are ingested after this long all the same.
PATIENCE_SECONDS = 900.0

UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def build_source_file_sensor(project: Project, job: Any) -> dg.SensorDefinition:
    """Asks for a run of `job` when names, sizes or times of the source files differ.

    Not while files still arrive: only once two ticks have seen the same, or it has gone on for a
    quarter of an hour; and not while a run that was asked for before is under way. So a thousand
    files that are copied within minutes make one run. The first tick only remembers them: what
    lies there at first is for `stillhouse run`.
    """

    @dg.sensor(
        name="new_source_files",
        job=job,
        minimum_interval_seconds=project.automation.look_every,
        description="Ingests new and changed source files.",
    )
    def new_source_files(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        from stillhouse.corpus.sources import listing_digest

        try:
            current = listing_digest(project)
        except UserError as error:
            return dg.SkipReason(str(error))
        known = _read(context.cursor)
        if "handled" not in known:
            return dg.SensorResult(
                cursor=_written(handled=current), skip_reason="remembered the source files"
            )
        if current == known["handled"]:
            return dg.SensorResult(
                cursor=_written(handled=current), skip_reason="no source file changed"
            )
        since = float(known.get("since", time.time()))
        if current != known.get("seen") and waited(since, time.time()) < PATIENCE_SECONDS:
            return dg.SensorResult(
                cursor=_written(handled=known["handled"], seen=current, since=since),
                skip_reason="source files changed; waiting until no more of them do",
            )
        if _asked_before(context):
            return dg.SensorResult(
                cursor=_written(handled=known["handled"], seen=current, since=since),
                skip_reason="the last run that was asked for is still under way",
            )
        # Dagster never runs a key twice, and files can change back: since when is part of the key.
        key = f"{known['handled']}-{current}-{since}"
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=key)], cursor=_written(handled=current)
        )

    return new_source_files


def _read(cursor: str | None) -> dict[str, Any]:
    """`handled`: the listing that a run was asked for last; `seen`: another one that the last tick
    saw, and `since` when there has been another."""
    # Before it waited for files that still arrive, a cursor was the listing itself.
    return read_cursor(cursor) or ({"handled": cursor} if cursor else {})


def _written(**known: Any) -> str:
    return json.dumps(known)


def _asked_before(context: dg.SensorEvaluationContext) -> bool:
    filters = dg.RunsFilter(statuses=UNDER_WAY, tags={"dagster/sensor_name": context.sensor_name})
    return bool(context.instance.get_run_ids(filters, limit=1))
