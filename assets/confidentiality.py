"""How confidential documents are, and the checks that nothing above the limit goes any further.

Texts are chosen where they leave the corpus (`unique_documents`). The checks ask again, of what
each stage really holds, by the levels and the clusters themselves.
"""

from pathlib import Path

import dagster as dg

from stillhouse.assets.common import asset_key, asset_of, materialize, teacher_versions, user_errors
from stillhouse.config.student import Student
from stillhouse.resources.project import ProjectResource
from stillhouse.steps import STEPS

CHECK = "nothing_above_train_up_to"


@asset_of("document_confidentiality")
def document_confidentiality(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """How confidential each document is and why: the highest of source, folder, markings, file
    properties and rules; only a named person's rule lowers one."""
    from stillhouse.corpus.document_confidentiality import find_confidentiality

    return materialize(
        context, project, lambda work: find_confidentiality(work.project, work.layout)
    )


def _result(project: ProjectResource, documents: object, *, known: bool) -> dg.AssetCheckResult:
    """`known`: a document of which no level is known fails the check as well."""
    from stillhouse.corpus.document_confidentiality import above

    limit = project.project.privacy.train_up_to
    with user_errors():
        found = above(project.layout, limit, documents)  # type: ignore[arg-type]
    return dg.AssetCheckResult(
        passed=not found["above"] and not (known and found["unknown"]),
        metadata={**found, "train_up_to": limit},
    )


@dg.asset_check(asset=asset_key(STEPS["instruction_pairs"]), name=CHECK, blocking=True)
def pairs_stay_below(project: ProjectResource) -> dg.AssetCheckResult:
    """No pair is of a document above `privacy.train_up_to`, nor of one with such a copy."""
    return _result(project, project.layout.table("instruction_pairs"), known=True)


@dg.asset_check(asset=asset_key(STEPS["dataset_splits"]), name=CHECK, blocking=True)
def splits_stay_below(project: ProjectResource) -> dg.AssetCheckResult:
    """No pair of a split is of a document above `privacy.train_up_to`."""
    return _result(project, project.layout.table("dataset_splits"), known=True)


@dg.asset_check(asset=asset_key(STEPS["review_sample"]), name=CHECK, blocking=True)
def sample_stays_below(project: ProjectResource) -> dg.AssetCheckResult:
    """No pair that is shown for review is of a document above `privacy.train_up_to`."""
    from stillhouse.dataset.lineage import documents_of_pairs

    layout = project.layout
    shown = documents_of_pairs(layout.table("review_sample"), [layout.table("instruction_pairs")])
    return _result(project, shown, known=True)


@dg.asset_check(
    asset=asset_key(STEPS["soft_labels"]),
    name=CHECK,
    blocking=True,
    partitions_def=teacher_versions,
)
def labels_stay_below(
    context: dg.AssetCheckExecutionContext, project: ProjectResource
) -> dg.AssetCheckResult:
    """No stored soft label is of a document above `privacy.train_up_to`; hidden states are kept of
    the same pairs."""
    import pyarrow as pa

    from stillhouse.dataset.lineage import documents_of_pairs
    from stillhouse.soft_labels.store import keys_below
    from stillhouse.teacher.answers import TABLE

    layout, version = project.layout, context.partition_key
    answers = layout.teacher_answers(version) / TABLE
    keys = pa.table({"pair_id": pa.array(keys_below(layout.soft_labels(version)), pa.string())})
    labelled = documents_of_pairs(keys, [layout.table("dataset_splits"), answers])
    return _result(project, labelled, known=False)


def build_vocabulary_check(student: Student) -> dg.AssetChecksDefinition:
    """What a student learned from decides its vocabulary too (see student/vocabulary.py)."""
    key = asset_key(STEPS["checkpoint"], student.name)

    @dg.asset_check(asset=key, name=CHECK, blocking=True, partitions_def=teacher_versions)
    def student_stays_below(
        context: dg.AssetCheckExecutionContext, project: ProjectResource
    ) -> dg.AssetCheckResult:
        """Neither what the student learned from nor what its vocabulary was cut to is of a
        document above `privacy.train_up_to`."""
        from stillhouse.dataset.lineage import LEARNED_FROM

        folder: Path = project.layout.student(student.name, context.partition_key)
        return _result(project, folder / "checkpoint" / LEARNED_FROM, known=False)

    return student_stays_below
