"""Runs of the graph from a terminal, on the same Dagster instance that the UI shows."""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.instance import TERMINAL_TAG, patient
from stillhouse.judged import NOT_MEASURED, UNPROVEN, in_words
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import alive

if TYPE_CHECKING:
    import dagster as dg

UNTOLD = {in_words(UNPROVEN), NOT_MEASURED}


class Checked(NamedTuple):
    """How a check came out: what it says of itself, where it says something, and its figures in
    words; `unproven` where nothing is missed and too little was seen to tell, passed or not."""

    passed: bool
    figures: str
    said: str = ""
    unproven: bool = False


@dataclass
class Outcome:
    """What a run did: seconds by asset, the outcome of each check by "asset: check", and failures
    with reasons."""

    success: bool
    seconds: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    checks: dict[str, Checked] = field(default_factory=dict)

    def add(self, other: Outcome) -> None:
        self.success &= other.success
        self.seconds |= other.seconds
        self.failures |= other.failures
        self.checks |= other.checks


def load_definitions(project: Project) -> dg.Definitions:
    """The code location of this very project file, here and in every process started from here."""
    os.environ["STILLHOUSE_PROJECT"] = str(project.file)
    from stillhouse.definitions import defs

    return defs


def run_job(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    layout: Layout,
    job: str,
    *,
    partition_key: str | None = None,
    assets: Sequence[str] | None = None,
) -> Outcome:
    """Run a job in this process; `assets` narrows it to some of its assets ("a/b" names)."""
    import dagster as dg

    keys = None if assets is None else [dg.AssetKey(name.split("/")) for name in assets]
    run_id = str(uuid.uuid4())
    definition = defs.resolve_job_def(job)
    made = {key.to_user_string() for key in definition.asset_layer.selected_asset_keys}
    with alive(layout.run(run_id)), patient(instance, layout, run_id):
        result = definition.execute_in_process(
            instance=instance,
            partition_key=partition_key,
            asset_selection=keys,
            raise_on_error=False,
            run_id=run_id,
            tags={TERMINAL_TAG: "true"},
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    layout.run(run_id).unlink(missing_ok=True)
    outcome = Outcome(result.success)
    for stats in instance.get_run_step_stats(result.run_id):
        if stats.start_time and stats.end_time:
            name = stats.step_key.replace("__", "/")
            if name in made:
                outcome.seconds[name] = stats.end_time - stats.start_time
    for event in result.all_events:
        if event.is_step_failure:
            outcome.failures[str(event.step_key).replace("__", "/")] = _reason(event)
        elif event.event_type_value == "ASSET_CHECK_EVALUATION":
            check = event.asset_check_evaluation_data
            name = f"{check.asset_key.to_user_string()}: {check.check_name}"
            outcome.checks[name] = Checked(
                check.passed,
                _figures(check.metadata),
                check.description or "",
                "verdict" in check.metadata and check.metadata["verdict"].value in UNTOLD,
            )
    return outcome


def run_until(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    layout: Layout,
    job: str,
    version: str | None,
    until: str | None,
) -> Outcome:
    """Run as much of a job as `until` needs, all of it by default; maybe nothing.

    Raises `UserError` when `until` is no asset of the project.
    """
    chosen = assets_until(defs, job, until) if until else None
    if chosen == []:
        return Outcome(True)
    return run_job(defs, instance, layout, job, partition_key=version, assets=chosen)


def _reason(event: Any) -> str:
    """What the user should read: our own description, or the innermost error's own words."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return str(data.user_failure_data.description)
    error = data.error
    while error and error.cause:
        error = error.cause
    if error and error.cls_name == "DagsterAssetCheckFailedError":
        return "a check stopped the run; what it says stands below"
    return error.message.strip() if error else "no reason was recorded"


def _figures(metadata: Any) -> str:
    return ", ".join(
        f"{name} {value.value:.3g}" if isinstance(value.value, float) else f"{name} {value.value}"
        for name, value in metadata.items()
        if isinstance(value.value, int | float | str)
    )


def assets_until(defs: dg.Definitions, job: str, until: str) -> list[str]:
    """The assets of `job` that `until` needs, itself included; none when it is not in `job`.

    `until` may leave out the student: `evaluation_report` means that of every student. Raises
    `UserError` for an asset that the project doesn't have.
    """
    import dagster as dg

    graph = defs.resolve_asset_graph()
    keys = [
        key
        for key in graph.materializable_asset_keys
        if until in (key.to_user_string(), key.path[-1])
    ]
    if not keys:
        names = sorted(k.to_user_string() for k in graph.materializable_asset_keys)
        raise UserError(
            f"--until {until}: there is no such asset", remedy=f"use one of {', '.join(names)}."
        )
    needed = dg.AssetSelection.assets(*keys).upstream().resolve(graph)
    mine = defs.resolve_job_def(job).asset_layer.selected_asset_keys
    return sorted(k.to_user_string() for k in needed & mine)
