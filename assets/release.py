"""The release of each student: what it was held to, and, if nothing forbids it, the candidate."""

import dagster as dg

from stillhouse.assets.common import Work, asset_of, materialize
from stillhouse.assets.teacher import license_of
from stillhouse.config.student import Student
from stillhouse.facts import ReleaseFacts
from stillhouse.resources.project import ProjectResource
from stillhouse.storage.files import write_json

CHECK = "releasable"


def build_release_asset(student: Student) -> list[dg.AssetsDefinition]:
    """`[student, "release"]`, with the check that says whether it may go out."""

    @asset_of("release", student, checks={CHECK: "No gate is missed, and nothing is stale."})
    def release(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:
        """The student's gates in one place; a signed release and the channel `candidate`, if none
        is missed. `stillhouse release` leads `production` to it.

        A student that may not go out leaves the run green, so that it can be compared.
        """
        name = license_of(project, context.partition_key, student)
        return materialize(
            context, project, _release, license_name=name, checks=lambda facts: [_result(facts)]
        )

    return [release]


def _release(work: Work) -> ReleaseFacts:
    from stillhouse.release.dossier import dossier, facts_of, held_by
    from stillhouse.release.promote import propose

    content = dossier(work.state, work.version, str(work.artefact.student))
    release, candidate = None, False
    if not held_by(content):
        release, candidate = propose(work.state, content)
    write_json(work.folder / "dossier.json", content)
    return facts_of(content, release, candidate=candidate)


def _result(facts: ReleaseFacts) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=facts.releasable,
        # Nothing lies below it, and nothing was released: a person decides.
        severity=dg.AssetCheckSeverity.WARN,
        description="Nothing holds it back."
        if facts.releasable
        else f"Nothing was released: {', '.join(facts.held_by)}. Mend it and run again; or whoever "
        "answers for it overrides it: stillhouse release --override GATE --by NAME --reason WHY.",
        metadata={
            "held_by": ", ".join(facts.held_by) or "nothing",
            "not_measured_or_proven": ", ".join(facts.not_measured) or "none",
        },
    )
