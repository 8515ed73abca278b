"""From raw files to unique, masked documents. Unpartitioned, and incremental inside each asset."""

import dagster as dg

from stillhouse.assets.common import asset_of, materialize, user_errors
from stillhouse.resources.project import ProjectResource


@asset_of("source_files")
def source_files(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Every file of the project's sources, with its hash; a file that was not touched keeps it."""
    from stillhouse.corpus.sources import scan_sources

    return materialize(context, project, lambda work: scan_sources(work.project, work.layout))


@asset_of("parsed_documents")
def parsed_documents(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Text of each document and record; what can't be read is in quarantine with its reason."""
    from stillhouse.corpus.parsed import parse_sources

    return materialize(context, project, lambda work: parse_sources(work.project, work.layout))


@asset_of("cleansed_documents")
def cleansed_documents(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Documents without boilerplate and noise, mojibake mended; all of it is kept, with reasons."""
    from stillhouse.corpus.cleansed import cleanse_documents

    return materialize(
        context, project, lambda work: cleanse_documents(work.project.cleansing, work.layout)
    )


@asset_of("masked_documents")
def masked_documents(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Documents with personal data replaced by keyed pseudonyms; originals lie in the vault."""
    from stillhouse.corpus.masked import ensure_secrets, mask_documents

    return materialize(
        context,
        project,
        lambda work: mask_documents(work.project.privacy, work.layout, work.project.root),
        before=lambda: ensure_secrets(project.layout),
    )


@asset_of("pii_quality")
def pii_quality(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """How much of the personal data that a person marked in texts is masked, kind by kind."""
    from stillhouse.corpus.pii_quality import measure_masking

    settings = project.project
    return materialize(
        context,
        project,
        lambda work: measure_masking(settings.privacy, settings.root, work.layout),
    )


@asset_of("unique_documents")
def unique_documents(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """One document of each cluster of exact and near-duplicates."""
    from stillhouse.corpus.unique import unique_documents as find_unique

    return materialize(
        context,
        project,
        lambda work: find_unique(
            work.project.dedup,
            work.layout,
            work.project.privacy.train_up_to,
            group=work.project.splits.group,
        ),
    )


@asset_of("reidentification_risk")
def reidentification_risk(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """How many documents what is still said of somebody may fit: k, l and t of the dates, ages,
    places, roles, organisations and rare words that are detected. What isn't detected counts as
    unknown to everybody, so the true k is at most this one."""
    from stillhouse.corpus.reidentification_risk import measure_risk

    privacy = project.project.privacy
    return materialize(context, project, lambda work: measure_risk(privacy, work.layout))


@dg.asset_check(asset=parsed_documents, blocking=True)
def no_unaccounted_parse_loss(project: ProjectResource) -> dg.AssetCheckResult:
    """Every source file gave a document, or stands in quarantine with a reason and a remedy."""
    from stillhouse.corpus.parsed import unaccounted_files

    with user_errors():
        lost = unaccounted_files(project.layout)
    return dg.AssetCheckResult(passed=not lost, metadata={"lost": lost})


@dg.asset_check(asset=masked_documents, blocking=True)
def no_pii_left(project: ProjectResource) -> dg.AssetCheckResult:
    """The last scan of masked texts and titles finds none of the configured kinds.

    Kinds with a fixed form (addresses, numbers) must be gone altogether. A recognizer of names
    reads a masked text differently and sees other "names", which are masked in their turn; those
    that are still seen then fail above 1 % of documents.
    """
    from stillhouse.corpus.pii.residual import residual_findings

    with user_errors():
        found = residual_findings(project.layout)
    return dg.AssetCheckResult(
        passed=found.passed,
        metadata={
            "documents": found.documents,
            "residual_of_fixed_form": found.residual_of_fixed_form,
            "documents_with_residual_names": found.documents_with_residual_names,
            "by_kind": dg.MetadataValue.json(found.by_kind),
        },
    )


@dg.asset_check(asset=pii_quality, blocking=True)
def recall_is_proven(project: ProjectResource) -> dg.AssetCheckResult:
    """At least `privacy.min_recall` of the personal data marked in `privacy.pii_gold` is masked.

    The lower end of the 95 % interval is compared, not the share itself. A piece counts when all
    of its letters and digits are covered, by whatever kind. Without such texts recall is unknown:
    this check then warns, and blocks nothing.
    """
    from stillhouse.corpus.pii_quality import proven

    with user_errors():
        found, limit = project.state().facts_of("pii_quality"), project.project.privacy.min_recall
    if found.recall is None:
        return dg.AssetCheckResult(
            passed=False,
            severity=dg.AssetCheckSeverity.WARN,
            description="Recall is unknown: privacy.pii_gold names no texts to measure it on. That "
            "a scan by the same recognizers finds nothing more is no proof.",
            metadata={"marked_texts": 0},
        )
    return dg.AssetCheckResult(
        passed=proven(found, limit),
        metadata={
            "recall": found.recall,
            "low": found.recall_low,
            "high": found.recall_high,
            "min_recall": limit,
            "spans": found.spans,
            "by_kind": dg.MetadataValue.json(found.recall_by_kind),
            "not_looked_for": dg.MetadataValue.json(found.not_looked_for),
        },
    )


@dg.asset_check(asset=reidentification_risk, blocking=True)
def few_can_be_told_apart(project: ProjectResource) -> dg.AssetCheckResult:
    """At most `privacy.max_unique` of the documents are the only one that something known fits
    (k = 1), and at most `privacy.max_below_5` one of fewer than five (k < 5).

    k covers only what is detected. Without a limit this check warns of documents with k = 1, and
    blocks nothing.
    """
    from stillhouse.corpus.reidentification_risk import COVERS, too_risky

    with user_errors():
        found, privacy = project.state().facts_of("reidentification_risk"), project.project.privacy
        over = too_risky(found, privacy)
    limited = privacy.max_unique is not None or privacy.max_below_5 is not None
    return dg.AssetCheckResult(
        passed=not over and (limited or not found.unique_documents),
        severity=dg.AssetCheckSeverity.ERROR if limited else dg.AssetCheckSeverity.WARN,
        description=f"{COVERS} {'' if limited else 'No limit is set.'}".strip(),
        metadata={
            "unique_share": found.unique_share,
            "below_5_share": found.below_5_share,
            "over": dg.MetadataValue.json(over),
        },
    )
