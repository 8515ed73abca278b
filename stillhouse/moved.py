"""Which students the dataset has moved on from: for the sensor, the check and `status`."""

from __future__ import annotations

from datetime import UTC, datetime

from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.dataset.moved import Moved, moved_since
from stillhouse.release.channels import PRODUCTION, pointed
from stillhouse.release.published import read_manifest
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.teacher.answers import TABLE


def moved_on(state: State, student: str, version: str) -> Moved | None:
    """How far the present dataset is from what the student of this teacher version learned from;
    None where there is no student, or no dataset."""
    layout, made = state.layout, Artefact(STEPS["checkpoint"], version, student)
    learned = state.folder(made) / LEARNED_FROM
    dataset = layout.table("dataset_splits")
    if state.record(made) is None or not learned.exists() or not dataset.exists():
        return None
    answers = layout.teacher_answers(version) / TABLE
    return moved_since(learned, answers, dataset, state.project.student(student).tasks)


def in_full(state: State, artefact: Artefact, reason: str | None) -> str | None:
    """Why an artefact is stale, and of a student by how many pairs its dataset is behind: that an
    input changed says little to who decides whether to distil again."""
    if reason is None or artefact.step.name != "checkpoint":
        return reason
    moved = moved_on(state, str(artefact.student), str(artefact.version))
    return f"{reason}; {moved}" if moved is not None and str(moved) else reason


def worth_another(state: State, version: str, *, now: datetime | None = None) -> dict[str, str]:
    """The students that should be distilled again from this teacher version, each with why: see
    `config.automation.Redistill`. A student that was never made is not one of them."""
    limits = state.project.automation.redistill
    found: dict[str, str] = {}
    for student in state.project.students:
        moved = moved_on(state, student.name, version)
        if moved is None or not (moved.new or moved.gone):
            continue
        age = (now or datetime.now(UTC)) - _made_at(state, student.name, version)
        if moved.share >= limits.changed:
            found[student.name] = f"{moved}, {moved.share:.0%} of what it learned from"
        elif age.total_seconds() >= limits.days * 86_400:
            found[student.name] = f"{moved}, and {limits.days:g} days have passed"
    return found


def _made_at(state: State, student: str, version: str) -> datetime:
    record = state.record(Artefact(STEPS["checkpoint"], version, student))
    assert record is not None  # noqa: S101 - see `moved_on`
    return datetime.fromisoformat(record.created_at)


def version_in_use(state: State) -> str | None:
    """The teacher version of what is released into production, the newest where students differ;
    before there is such a release, the newest version that has a student; else None.

    Raises `UserError` for a release that was edited.
    """
    released, distilled = set(), set()
    for student in state.project.students:
        if release := pointed(state.layout, student.name, PRODUCTION):
            released.add(read_manifest(state.layout, student.name, release)["teacher"]["version"])
        for teacher in state.project.teachers:
            if state.record(Artefact(STEPS["checkpoint"], teacher.version, student.name)):
                distilled.add(teacher.version)
    for chosen in (released, distilled):
        for teacher in reversed(state.project.teachers):
            if teacher.version in chosen:
                return teacher.version
    return None
