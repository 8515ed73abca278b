"""Candidate teachers side by side, before any is distilled from."""

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.facts import TeacherComparisonFacts
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact
from stillhouse.steps import STEPS
from stillhouse.storage.files import digest


@asset_of("teacher_comparison")
def teacher_comparison(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Every teacher version as it came, asked without and with examples on the validation split:
    licence, score, what it takes, languages. Made when it is asked for, by the job `compare`."""
    return materialize(context, project, _compare)


def _compare(work: Work) -> TeacherComparisonFacts:
    from stillhouse.selection.candidates import NAME, compare_teachers
    from stillhouse.selection.machine import this_machine

    digests = {}
    for teacher in work.project.teachers:
        imported = Artefact(STEPS["teacher_model"], teacher.version)
        digests[teacher.version] = work.state.outside["source"](
            work.state, work.state.where(imported)
        )
    splits = work.facts("dataset_splits").digests
    return compare_teachers(
        work.project, work.dataset, digest(splits["train"], splits["validation"]), digests,
        work.layout.table(NAME), this_machine,
    )  # fmt: skip
