"""All teacher versions side by side."""

from collections.abc import Sequence

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.config.student import Student
from stillhouse.facts import VersionComparisonFacts
from stillhouse.resources.project import ProjectResource

CHECK = "gap_is_stable"


def build_comparison_asset(students: Sequence[Student]) -> list[dg.AssetsDefinition]:
    """`version_comparison`, over the reports of all students and versions that there are."""
    says = "The gap between teacher and student grew from no version to the next."

    @asset_of("version_comparison", students=students, checks={CHECK: says})
    def version_comparison(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """Teacher, student and quantized student of every teacher version, by task, class and
        field, and how the gap between them moves."""
        return materialize(context, project, _compare, checks=lambda facts: [_result(facts)])

    return [version_comparison]


def _compare(work: Work) -> VersionComparisonFacts:
    from stillhouse.history.comparison import NAME, compare_versions

    there = [artefact for artefact, _ in work.state.gathered("evaluation_report")]
    reports = [(str(a.student), str(a.version), work.state.folder(a)) for a in there]
    return compare_versions(reports, work.layout.table(NAME))


def _result(facts: VersionComparisonFacts) -> dg.AssetCheckResult:
    if facts.grown:
        description = " ".join(facts.remedies)
    elif facts.compared:
        description = "No gap grew by more than chance explains. With few test texts, little shows."
    else:
        description = "There is one version so far: nothing to compare."
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not facts.grown,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={"compared": facts.compared, "grown": len(facts.grown)},
    )
