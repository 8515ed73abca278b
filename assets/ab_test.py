"""The A/B test of each student: beside what is in production, on production's own requests."""

from typing import TYPE_CHECKING

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.assets.evaluation import candidates
from stillhouse.config.monitor import AbTest
from stillhouse.config.student import Student
from stillhouse.errors import UserError
from stillhouse.facts import AbTestFacts
from stillhouse.resources.project import ProjectResource

if TYPE_CHECKING:
    from stillhouse.evaluate.side_by_side import Candidate
    from stillhouse.monitor.ab.asked import Side
    from stillhouse.monitor.ab.run import Sides

CHECK = "not_inferior"


def build_ab_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "ab_test"]`, with its verdict as a check."""

    @asset_of("ab_test", student, checks={CHECK: "It is not surely worse by more than the margin."})
    def ab_test(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student beside the release in production (the teacher, where there is none) on a
        sample of traffic: asked again, or as its shadow answered. Without traffic nothing is."""
        terms = project.project.ab_test
        return materialize(context, project, _test, checks=lambda facts: [_check(facts, terms)])

    return [ab_test]


def _test(work: Work) -> AbTestFacts:
    from stillhouse.monitor.ab.page import write_page
    from stillhouse.monitor.ab.run import run_test
    from stillhouse.monitor.traffic import STEP

    student = work.state.where(work.artefact).student
    terms = work.project.ab_test
    facts = run_test(
        work.layout.table(STEP),
        work.dataset,
        [work.project.task(name) for name in student.tasks],
        student.name,
        _sides(work, student),
        terms,
        work.folder,
        work.layout.ab_test(student.name, work.version),
    )
    write_page(work.folder, facts, terms, work.project.name, student.name, work.version)
    return facts


def _sides(work: Work, student: Student) -> "Sides":
    from stillhouse.monitor.ab.asked import Side
    from stillhouse.monitor.ab.run import Sides
    from stillhouse.release.channels import PRODUCTION, pointed
    from stillhouse.release.published import read_manifest

    models = {model.name: model for model in candidates(work, student)}
    quantized = work.facts("quantized_model").digest
    candidate = Side(models["student_quantized"], _releases_of(work, student.name, quantized))
    teacher, release = Side(models["teacher"]), pointed(work.layout, student.name, PRODUCTION)
    if release is None or not work.project.traffic.logs:
        return Sides(candidate, teacher)
    manifest = read_manifest(work.layout, student.name, release, files=True)
    production = _released(work, manifest, candidate.model, quantized)
    return Sides(candidate, teacher, production, release)


def _released(work: Work, manifest: dict, candidate: "Candidate", own: str) -> "Side":  # type: ignore[type-arg]
    """What is in production, asked as it was when it was released."""
    from dataclasses import replace

    from stillhouse.monitor.ab.asked import Side
    from stillhouse.release.published import released_model
    from stillhouse.storage.files import digest

    of = manifest["model"]["digest"]
    folder, max_tokens = released_model(work.layout, manifest)
    model = replace(
        candidate,
        folder=folder,
        # The same weights are the same model, whatever else was released with them.
        digest=candidate.digest if of == own else digest(of, candidate.digest, "released"),
        max_tokens=max_tokens,
    )
    return Side(model, _releases_of(work, manifest["student"], of), manifest.get("task_settings"))


def _releases_of(work: Work, student: str, model: str) -> frozenset[str]:
    """The releases with these weights: what one of them answered, the model did."""
    from stillhouse.release.published import read_manifest, releases_of

    found = []
    for release in releases_of(work.layout, student):
        try:
            manifest = read_manifest(work.layout, student, release)
        except UserError:
            continue  # it was edited, and is nobody's
        if manifest["model"]["digest"] == model:
            found.append(release)
    return frozenset(found)


def _check(facts: AbTestFacts, terms: AbTest) -> dg.AssetCheckResult:
    """What is not yet told is no warning: it says how many requests it takes."""
    from stillhouse.monitor.ab.looks import INFERIOR
    from stillhouse.monitor.ab.said import summary, worst

    numbers: dict[str, float] = {}
    for task in facts.tasks:
        if task.looks:
            last = task.looks[-1]
            said = {"difference": last.difference, "low": last.low, "high": last.high}
            numbers |= {f"{task.task}_{name}": round(value, 4) for name, value in said.items()}
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=worst(facts) != INFERIOR,
        # A person decides what is in production.
        severity=dg.AssetCheckSeverity.WARN,
        description=summary(facts, terms),
        metadata=numbers,
    )
