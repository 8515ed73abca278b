"""From documents to instruction pairs in three splits, and a sample for a person to read."""

from dataclasses import asdict

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize, user_errors
from stillhouse.assets.reviews import check_of
from stillhouse.facts import DatasetSplitsFacts
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.snapshots import pin_run, prune_snapshots, write_snapshot
from stillhouse.wording import named


@asset_of("instruction_pairs")
def instruction_pairs(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """What the models learn from: instruction, input and response of every task."""
    from stillhouse.dataset.pairs import build_pairs

    return materialize(context, project, lambda work: build_pairs(work.project, work.layout))


@asset_of("review_sample")
def review_sample(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Some pairs of every stratum on a page to review them, and what reviewers have decided."""
    from stillhouse.dataset.review.sample import draw_review_sample

    return materialize(context, project, lambda work: draw_review_sample(work.project, work.layout))


@asset_of("dataset_splits")
def dataset_splits(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """The pairs with their split, which they keep; a snapshot of them is what runs work on."""
    from stillhouse.erasure.sweep import sweep

    layout, instance = project.layout, context.instance

    def make(work: Work) -> DatasetSplitsFacts:
        from stillhouse.dataset.lineage import write_lineage
        from stillhouse.dataset.splits import split_pairs

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


@dg.asset_check(asset=review_sample, blocking=True)
def reject_rate(project: ProjectResource) -> dg.AssetCheckResult:
    """Reviewers would accept all but `gates.max_reject_rate` of the answers as they are.

    An answer that was corrected counts as one that was rejected. The rate is that of all pairs,
    estimated from the strata of the sample. Above the gate it stops what would learn from them; a
    rate below it that chance may explain warns, and so does an unknown one.
    """
    with user_errors():
        found = project.state().facts_of("review_sample")
    return check_of(found, project.project.gates.max_reject_rate)


@dg.asset_check(asset=dataset_splits, blocking=True)
def no_straddling(project: ProjectResource) -> dg.AssetCheckResult:
    """No document, near-duplicate or text stands in two splits."""
    from stillhouse.dataset.dealing.checks import straddling

    with user_errors():
        torn = straddling(project.layout.table("dataset_splits"))
    return dg.AssetCheckResult(passed=not any(torn.values()), metadata={**torn})


@dg.asset_check(asset=dataset_splits)
def answers_are_learned(project: ProjectResource) -> dg.AssetCheckResult:
    """Every answer that is held out stands in some training pair too.

    It stops nothing: every model is wrong there, which counts, and the report says of how many.
    """
    with user_errors():
        found = project.state().facts_of("dataset_splits").unlearnable
    return learned_check(found)


def learned_check(found: list[str]) -> dg.AssetCheckResult:
    """Of answers that are held out and stand in no training pair."""
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"Held out, and in no training pair: {named(found)}. No model can learn them, "
        "and all are wrong there. Add documents with these answers, leave them out "
        "(`tasks[].labels`, `min_examples`), or deal anew (`splits.seed`)."
        if found
        else None,
        metadata={"answers": len(found)},
    )
