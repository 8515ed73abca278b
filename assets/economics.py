"""What the students in use cost."""

from collections.abc import Sequence

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.config.student import Student
from stillhouse.facts import TcoReportFacts
from stillhouse.resources.project import ProjectResource


def build_tco_asset(students: Sequence[Student]) -> list[dg.AssetsDefinition]:
    """`tco_report`, over the students of the teacher version in use."""

    @asset_of("tco_report", students=students)
    def tco_report(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """Each student on own hardware beside its teacher and beside APIs: cost, break-even and
        what it hangs on, by the prices of the file that `economics.prices` names. Without one
        nothing is reckoned."""
        return materialize(context, project, _report)

    return [tco_report]


def _report(work: Work) -> TcoReportFacts:
    from stillhouse.economics.tco import report
    from stillhouse.moved import version_in_use

    return report(work.state, version_in_use(work.state), work.folder)
