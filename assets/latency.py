"""The latency profile of each student: how fast its own server answers on this machine."""

from typing import Any

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.config.student import Student
from stillhouse.facts import LatencyProfileFacts
from stillhouse.resources.project import ProjectResource

CHECK = "latency_within_limits"
ASKS = "Every limit of `latency.limits` is kept to, by a one-sided 95 % bound; without any, too."


def build_latency_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "latency_profile"]`, with its limits as a check."""

    @asset_of("latency_profile", student, checks={CHECK: ASKS})
    def latency_profile(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The quantized student behind `stillhouse serve`, under loads of the project file: time to
        the first token and to the last, throughput, errors, memory. Figures of this machine."""
        return materialize(context, project, _profile, checks=lambda facts: [_check(facts)])

    return [latency_profile]


def _profile(work: Work) -> LatencyProfileFacts:
    from stillhouse.load.page import write_page
    from stillhouse.load.profile import profile_student
    from stillhouse.load.texts import drawn

    student, settings = work.state.where(work.artefact).student, work.project.latency
    tasks = [work.project.task(name) for name in student.tasks]
    traffic = work.layout.table("production_traffic")
    texts, source = drawn(traffic, work.dataset, tasks, settings) if settings.measured else ([], "")
    facts = profile_student(
        work.project.file, student.name, work.version, texts, source, settings, work.folder
    )
    write_page(work.folder, facts, work.project.name, student.name, work.version)
    return facts


def _check(facts: LatencyProfileFacts) -> dg.AssetCheckResult:
    from stillhouse.judged import MISSED, UNPROVEN, in_words
    from stillhouse.load.shown import said

    numbers: dict[str, Any] = {name: round(value, 4) for name, value in facts.figures.items()}
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=facts.verdict not in (MISSED, UNPROVEN),
        # Nothing was released yet: the gate of the release decides, or a person.
        severity=dg.AssetCheckSeverity.WARN,
        description=said(facts),
        metadata={"verdict": in_words(facts.verdict), **numbers},
    )
