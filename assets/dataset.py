"""From documents to instruction pairs in three splits, and a sample for a person to read."""

from dataclasses import asdict

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize, user_errors
from stillhouse.dataset.lineage import write_lineage
from stillhouse.dataset.pairs import build_pairs
from stillhouse.dataset.review import draw_review_sample
from stillhouse.dataset.splits import split_pairs, straddling
from stillhouse.erasure.sweep import sweep
from stillhouse.facts import DatasetSplitsFacts
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.snapshots import pin_run, prune_snapshots, write_snapshot


@asset_of("instruction_pairs")
def instruction_pairs(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """What the models learn from: instruction, input and response of every task."""
    return materialize(context, project, lambda work: build_pairs(work.project, work.layout))


@asset_of("dataset_splits")
def dataset_splits(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The pairs with their split, which they keep; a snapshot of them is what runs work on."""
    layout, instance = project.layout, context.instance

    def make(work: Work) -> DatasetSplitsFacts:
        found = split_pairs(work.project, layout)
        write_snapshot(layout, asdict(found), lambda path: write_lineage(layout, path))
        return found

    result = materialize(context, project, make)
    pin_run(layout, context.run_id, str(result.data_version.value))  # type: ignore[union-attr]

    def finished(run_id: str) -> bool:
        run = instance.get_run_by_id(run_id)
        return run is None or run.is_finished

    prune_snapshots(layout, finished)
    sweep(layout)
    return result


@asset_of("review_sample")
def review_sample(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """A few pairs of every answer, for a person to read before trusting the rest."""
    return materialize(context, project, lambda work: draw_review_sample(work.layout))


@dg.asset_check(asset=dataset_splits, blocking=True)
def no_straddling(project: ProjectResource) -> dg.AssetCheckResult:
    """No document, near-duplicate or text stands in two splits; every answer can be learned."""
    with user_errors():
        torn = straddling(project.layout.table("dataset_splits"))
        unlearnable = project.state().facts_of("dataset_splits").unlearnable
    return dg.AssetCheckResult(
        passed=not any(torn.values()) and not unlearnable,
        metadata={
            **torn,
            "answers_without_training_pairs": dg.MetadataValue.json(unlearnable),
        },
    )
