"""Distilling again once enough of the dataset has changed."""

from __future__ import annotations

from typing import Any

import dagster as dg

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.outside import open_state
from stillhouse.storage.files import digest
from stillhouse.storage.provenance import read_provenance


def build_dataset_moved_sensor(project: Project, job: Any) -> dg.SensorDefinition:
    """Asks for a run of `job` for the teacher version in use when a student of it is far enough
    behind the dataset; see `automation.redistill`."""
    project_file, look_every = str(project.file), project.automation.look_every

    @dg.sensor(
        name="dataset_moved",
        job=job,
        minimum_interval_seconds=5 * look_every,
        description="Distils again when enough of the training pairs changed.",
    )
    def dataset_moved(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        from stillhouse.moved import version_in_use, worth_another

        try:
            state = open_state(load_project(project_file))
            version = version_in_use(state)
            behind = worth_another(state, version) if version else {}
        except UserError as error:
            return dg.SkipReason(str(error))
        if version is None:
            return dg.SkipReason("nothing was distilled yet; `stillhouse run` does that")
        if not behind:
            return dg.SkipReason("no student is far enough behind the dataset")
        if not context.instance.has_dynamic_partition("teacher_version", version):
            return dg.SkipReason(f"teacher version {version} is not registered")
        # Once a dataset: a run that failed is told (`automation.alerts`), not tried for ever.
        dataset = read_provenance(state.layout.table("dataset_splits").parent)
        key = digest(version, dataset.facts.get("digest") if dataset else None, sorted(behind))
        why = "; ".join(f"{student}: {reason}" for student, reason in behind.items())
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(run_key=key, partition_key=version, tags={"stillhouse/why": why})
            ]
        )

    return dataset_moved
