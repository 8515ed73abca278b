"""What all assets share: each is its step's row in `stillhouse/steps.py`, made or reused."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from stillhouse.assets.metadata import describe
from stillhouse.config.project import Project
from stillhouse.config.student import Student
from stillhouse.config.teacher import Teacher
from stillhouse.endpoint.client import Access, access_of
from stillhouse.errors import UserError
from stillhouse.progress import heartbeat
from stillhouse.resources.project import ProjectResource
from stillhouse.state import Artefact, State
from stillhouse.step import Step
from stillhouse.steps import STEPS
from stillhouse.storage.caches import bound
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import alive
from stillhouse.storage.provenance import Recipe

# What `dg.asset(...)` returns.
AssetDecorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]

logger = logging.getLogger("stillhouse")

OWNERS = ["team:stillhouse"]

# Parts of the code that change no model's answer.
NOT_ASKING = ("report", "drift", "ab_test")

# The check of every asset that says whether it is stale, and why (see sensors/staleness.py).
UP_TO_DATE = "up_to_date"
FRESH = "nothing that it was made of has changed"

teacher_versions = dg.DynamicPartitionsDefinition(name="teacher_version")


def asset_key(step: Step, student: str | None = None) -> dg.AssetKey:
    """`[student, step]` for a step of students, else `[step]`."""
    return dg.AssetKey([student, step.name] if student else [step.name])


def asset_of(
    name: str,
    student: Student | None = None,
    *,
    checks: Mapping[str, str] | None = None,
    students: Sequence[Student] = (),
) -> AssetDecorator:
    """`dg.asset` with all that the step's row says: deps, partitions, group, code version ...

    `checks` are those that its function reports itself, with their descriptions; `students` all
    those of the project, for a step that gathers what was made of them.
    """
    step, owner = STEPS[name], student.name if student else None
    key, partitions = asset_key(step, owner), None if step.scope == "project" else teacher_versions
    described = {UP_TO_DATE: "Nothing that it was made of has changed since.", **(checks or {})}
    return dg.asset(
        key=key,
        # A group for each student: names tell two of them apart at any zoom.
        group_name=owner or step.group,
        owners=OWNERS,
        kinds=set(step.kinds),
        tags={"student": owner} if owner else None,
        partitions_def=partitions,
        code_version=step.code_version,
        pool=step.pool,
        deps=[
            asset_key(STEPS[read], owner if STEPS[read].scope == "student" else None)
            for read in step.reads
        ]
        + [asset_key(STEPS[read], s.name) for read in step.gathers for s in students],
        check_specs=[
            dg.AssetCheckSpec(
                check,
                asset=key,
                description=text,
                # One answer for all versions: see sensors/staleness.py.
                partitions_def=None if check == UP_TO_DATE else partitions,
            )
            for check, text in described.items()
        ],
    )


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn an error that the user can mend into a failure that no retry will try again."""
    try:
        yield
    except UserError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


@dataclass(frozen=True)
class Work:
    """What an asset's function works with: the state that its run sees, and what it is to make.

    `folder` is where to write; `recipe` what the result is made of.
    """

    state: State
    artefact: Artefact
    folder: Path
    recipe: Recipe

    @property
    def project(self) -> Project:
        return self.state.project

    @property
    def layout(self) -> Layout:
        return self.state.layout

    @property
    def version(self) -> str:
        return str(self.artefact.version)

    @property
    def teacher(self) -> Teacher:
        return self.project.teacher(self.version)

    @property
    def dataset(self) -> Path:
        """The pairs that this run works on; they no longer change."""
        assert self.state.snapshot is not None  # noqa: S101 - the recipe could not be made else
        return self.state.snapshot.path

    @property
    def lineage(self) -> Path:
        """Which documents and files these pairs came from."""
        assert self.state.snapshot is not None  # noqa: S101
        return self.state.snapshot.lineage

    @property
    def scratch(self) -> Path:
        """What a killed run of this artefact resumes from."""
        return self.layout.staging(*self.artefact.parts)

    @property
    def access(self) -> Access | None:
        """How the server is reached that runs the teacher; None where its weights are here."""
        return access_of(self.teacher, self.project, self.layout)

    def answered_by(self, weights: str) -> str:
        """What an answer depends on beside the pair: the weights, by their digest, and the code. A
        report's own code changes no answer."""
        code = {part: number for part, number in self.recipe.code.items() if part not in NOT_ASKING}
        return digest(weights, code)

    def facts(self, step: str) -> Any:
        """The facts of another step, of the same teacher version and student."""
        return self.state.facts(self.artefact.beside(step))


def artefact_of(context: Any) -> Artefact:
    """The artefact that an asset or its check is about."""
    *owner, name = context.asset_key.path
    step = STEPS[name]
    # A run of the job "refresh" has a partition for what has none too.
    version = None if step.scope == "project" else context.partition_key
    return Artefact(step, version, owner[0] if owner else None)


def materialize(
    context: dg.AssetExecutionContext,
    project: ProjectResource,
    make: Callable[[Work], Any],
    *,
    license_name: str | None = None,
    before: Callable[[], None] | None = None,
    checks: Callable[[Any], Sequence[dg.AssetCheckResult]] = lambda _: (),
) -> dg.MaterializeResult:
    """Reuse the artefact or make it, and report it; `make` returns its facts.

    `before` is called where it has to be made, before its recipe is written down; `checks` says of
    its facts, made now or before, how its checks came out.
    """
    import shutil

    artefact = artefact_of(context)
    started = time.monotonic()
    with user_errors(), alive(project.layout.run(context.run_id)), heartbeat(str(artefact)):
        state = project.state(context.run_id)
        record, reused = state.make(
            artefact,
            lambda folder, recipe: make(Work(state, artefact, folder, recipe)),
            license_name=license_name,
            before=before,
        )
    shutil.rmtree(project.layout.staging(*artefact.parts), ignore_errors=True)
    if not reused:
        keep = project.project.caches
        bound(project.layout.cache(""), days=keep.days, size=int(keep.gigabytes * 1e9))
    seconds = time.monotonic() - started
    logger.info("%s: %s", artefact, "up to date" if reused else f"done in {seconds:.1f} s")
    return dg.MaterializeResult(
        metadata=describe(state, artefact, record, reused=reused),
        data_version=dg.DataVersion(str(record.facts["digest"])),
        check_results=[
            dg.AssetCheckResult(
                check_name=UP_TO_DATE,
                passed=True,
                severity=dg.AssetCheckSeverity.WARN,
                description=FRESH,
            ),
            *checks(state.facts(artefact)),
        ],
    )
