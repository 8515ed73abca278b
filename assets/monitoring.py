"""Monitoring: production's requests, and whether they have drifted from what a student learned."""

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.assets.evaluation import candidates
from stillhouse.config.monitor import Drift
from stillhouse.config.student import Student
from stillhouse.facts import DriftReportFacts
from stillhouse.resources.project import ProjectResource

CHECK = "drift_within_gate"


@asset_of("production_traffic")
def production_traffic(
    context: dg.AssetExecutionContext, project: ProjectResource
) -> dg.MaterializeResult:
    """Requests of the logs that `traffic.logs` names, masked, each once; lines that gave none are
    in quarantine with the reason. Without such logs it is empty."""
    from stillhouse.corpus.masked import ensure_secrets
    from stillhouse.monitor.traffic import read_traffic

    return materialize(
        context,
        project,
        lambda work: read_traffic(work.project, work.layout, work.folder),
        before=lambda: ensure_secrets(project.layout) if project.project.traffic.logs else None,
    )


def build_drift_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "drift_report"]`, with its verdict as a check."""

    @asset_of(
        "drift_report",
        student,
        checks={
            CHECK: "No difference between traffic and dataset is over its limit and no chance."
        },
    )
    def drift_report(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """Traffic of this student against what it learned from: texts, answers, confidence, and
        whether student and teacher still agree. Nothing is compared where no log is named."""
        limits = project.project.drift
        return materialize(context, project, _report, checks=lambda facts: [_check(facts, limits)])

    return [drift_report]


def _report(work: Work) -> DriftReportFacts:
    from stillhouse.monitor.drift import report_drift
    from stillhouse.monitor.traffic import STEP

    student = work.state.where(work.artefact).student
    models = {model.name: model for model in candidates(work, student)}
    return report_drift(
        work.layout.table(STEP),
        work.dataset,
        [work.project.task(name) for name in student.tasks],
        student.name,
        (models["student_quantized"], models["teacher"]),
        work.project.drift,
        work.folder,
    )


def _check(facts: DriftReportFacts, limits: Drift) -> dg.AssetCheckResult:
    """Without traffic nothing has drifted: that is said, and no warning."""
    from stillhouse.monitor.verdict import limit_of, verdict

    found = verdict(facts, limits)
    numbers = {
        f"{test.task}_{test.name}": round(test.effect, 4)
        for test in facts.tests
        if not test.name.startswith("component_")
    }
    over = [f"{t.task}: {t.name} {t.effect:.3f} > {limit_of(t, limits)}" for t in found.over]
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=not found.drifted,
        # A person, or the sensor `drift`, decides what follows from it.
        severity=dg.AssetCheckSeverity.WARN,
        description=found.said,
        metadata={**numbers, **({"over": dg.MetadataValue.json(over)} if over else {})},
    )
