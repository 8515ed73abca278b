"""What is known of a student that may go out: where it came from, and what it was held to.

Read from what its steps recorded, so that it says what the models were made from, not how the
project is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from stillhouse.config.base import settings_of
from stillhouse.config.student import FROM_TEACHER
from stillhouse.errors import UserError
from stillhouse.evaluate.asking import CALIBRATION
from stillhouse.facts import ReleaseFacts, ReleaseGateFacts
from stillhouse.models.described import public_name
from stillhouse.models.licence_terms import student_duties
from stillhouse.release.gates import gates_of, missed, not_measured
from stillhouse.report.assemble import EVALUATION
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.files import digest
from stillhouse.storage.locks import exclusive
from stillhouse.storage.provenance import Provenance

# What a manifest says that isn't what the release is: the same student, held to the same, is the
# same release whenever and by whomever it was made.
CIRCUMSTANCES = ("release", "created", "runs", "files", "learned_from", "task_settings")
# Overridden by this name, a student may go out that isn't what would be made now.
STALE = "stale"
MODEL = "quantized"
FORM = 1

_MADE_BY = ("teacher_model", "adapted_teacher", "checkpoint", "quantized_model")


def dossier(state: State, version: str, student: str) -> dict[str, Any]:
    """What the manifest of the student's release says, but for its id, files and signature.

    Raises `UserError` when one of its steps was not made yet.
    """
    records = {
        name: _record(state, name, version, student) for name in (*_MADE_BY, "evaluation_report")
    }
    teacher, trained = records["teacher_model"], records["checkpoint"]
    quantized = records["quantized_model"].facts
    report = records["evaluation_report"].facts
    licence = str(teacher.facts["license"])
    tasks = [state.project.task(name) for name in state.project.student(student).tasks]
    return {
        "form": FORM,
        "project": state.project.name,
        "student": student,
        "tasks": {task.name: task.kind for task in tasks},
        # What a server asks by; what a release is, the digest of its dataset says.
        "task_settings": {task.name: settings_of(task) for task in tasks},
        "teacher": {
            "version": version,
            "digest": teacher.facts["digest"],
            "adapted": records["adapted_teacher"].facts["digest"],
            **{n: teacher.facts[n] for n in ("model", "architecture", "parameters")},
        },
        "license": {
            "teacher": licence,
            # Of a student that begins as another model, that of both.
            **({"student": trained.license} if trained.license not in (None, licence) else {}),
            "allowed_by": teacher.facts["license_allowed_by"],
            "stated": teacher.facts["license_stated"],
            "duties": list(student_duties(trained.license or licence)),
        },
        "dataset": {
            "digest": trained.dataset,
            "splits": _splits(trained) | _splits(records["evaluation_report"]),
            "test_examples": report["test_examples"],
        },
        "model": {
            "checkpoint": trained.facts["digest"],
            **{n: quantized[n] for n in ("digest", "parameters", "bytes", "bits", "group_size")},
        },
        "settings": {name: found.recipe.settings for name, found in records.items()},
        "code": {n: v for found in records.values() for n, v in found.recipe.code.items()},
        "libraries": trained.libraries,
        "figures": {name: round(value, 6) for name, value in report["figures"].items()},
        "gates": [asdict(gate) for gate in gates_of(state, version, student)],
        "required": sorted(state.project.release.require),
        "stale": why_stale(state, version, student),
        "overrides": {},
        "runs": {name: found.run_id for name, found in records.items()},
    }


def begun_as(manifest: Mapping[str, Any]) -> str | None:
    """Public name of the model that the student began as, None where its teacher was cut."""
    base = manifest["settings"]["checkpoint"].get("init", {}).get("from", FROM_TEACHER)
    return None if base == FROM_TEACHER else public_name(base, f"base-of-{manifest['student']}")


def adapts(manifest: Mapping[str, Any]) -> bool:
    """Whether the teacher learned the tasks before it taught them."""
    return bool(manifest["settings"]["adapted_teacher"].get("method") != "none")


def licence_of(manifest: Mapping[str, Any]) -> str:
    """Of the student: its teacher's, and that of what it began as."""
    found = manifest["license"]
    return str(found.get("student", found["teacher"]))


def _splits(record: Provenance) -> dict[str, str]:
    """Digests of the splits that were read."""
    named = "dataset_splits."
    inputs = record.recipe.inputs.items()
    return {name.removeprefix(named): found for name, found in inputs if name.startswith(named)}


def _record(state: State, step: str, version: str, student: str) -> Provenance:
    artefact = Artefact(STEPS["evaluation_report"], version, student).beside(step)
    state.facts(artefact)  # tells when it was not made yet
    found = state.record(artefact)
    assert found is not None  # noqa: S101 - its facts were read from it
    return found


def why_stale(state: State, version: str, student: str) -> str | None:
    """Why the student is not what its steps would make now, None where it is.

    That source files moved on is no reason: a log that grows by the minute would forbid every
    release. What was ingested of them, and every setting, is.
    """
    asks = {name: ask for name, ask in state.outside.items() if name != "files"}
    looked = replace(state, outside=asks)
    report = Artefact(STEPS["evaluation_report"], version, student)
    # That some file can't be read is tried again in every run, and changes nothing of the student.
    changed = [f"{a}: {why}" for a in _lineage(looked, report) if (why := _changed(looked, a))]
    return "; ".join(changed) or None


def _lineage(state: State, artefact: Artefact) -> Iterator[Artefact]:
    """The artefact and all that it was made from, inputs first."""
    wanted, found = [artefact], {artefact}
    while wanted:
        new = [above for above in state.upstream(wanted.pop()) if above not in found]
        found |= set(new)
        wanted += new
    return (Artefact(s, a.version, a.student) for s in STEPS.values() for a in found if a.step is s)


def _changed(state: State, artefact: Artefact) -> str | None:
    record = state.record(artefact)
    if record is None:
        return "not made yet"
    try:
        return "; ".join(state.recipe(artefact).differences(record.recipe)) or None
    except UserError as error:
        return error.message


def held_by(content: Mapping[str, Any]) -> list[str]:
    """What forbids the release: gates that are missed, those that the project file requires and
    nobody has measured or proven, and that the student is stale; but for those that somebody has
    overridden."""
    gates = [ReleaseGateFacts(**gate) for gate in content["gates"]]
    open_ones = [name for name in not_measured(gates) if name in content["required"]]
    held = [*missed(gates), *open_ones, *([STALE] if content["stale"] else [])]
    return [name for name in held if name not in content["overrides"]]


def release_id(content: Mapping[str, Any]) -> str:
    """The teacher version, and a digest of what the release is. Of its gates the verdicts count:
    figures of the corpus move with every document, and the student is the same."""
    said = {name: value for name, value in content.items() if name not in CIRCUMSTANCES}
    said["gates"] = {gate["name"]: gate["verdict"] for gate in content["gates"]}
    return f"{content['teacher']['version']}-{digest(said)[:10]}"


def files_of(state: State, version: str, student: str) -> dict[str, Path]:
    """The files of a release by their names in it, where they lie now. The report is not among
    them: it shows what documents say, masked, and has to go when they go."""
    folder = state.layout.student(student, version)
    model = folder / MODEL
    found = {f"{MODEL}/{f.relative_to(model).as_posix()}": f for f in model.rglob("[!.]*")}
    found |= {name: folder / name for name in (EVALUATION, CALIBRATION)}
    if found[CALIBRATION].exists():  # then what a report once left beside the weights is older
        found.pop(f"{MODEL}/{CALIBRATION}", None)
    return {name: file for name, file in sorted(found.items()) if file.is_file()}


@contextmanager
def unchanging(state: State, version: str, student: str) -> Iterator[None]:
    """Nothing writes the student's files while the block runs."""
    with ExitStack() as held:
        for step in ("checkpoint", "quantized_model", "evaluation_report"):
            artefact = Artefact(STEPS[step], version, student)
            held.enter_context(exclusive(state.layout.lock(*artefact.parts), artefact.name))
        yield


def facts_of(content: Mapping[str, Any], release: str | None, *, candidate: bool) -> ReleaseFacts:
    """What a run reports; `release` was made, or nothing."""
    gates = [ReleaseGateFacts(**gate) for gate in content["gates"]]
    return ReleaseFacts(
        digest=digest({n: v for n, v in content.items() if n not in CIRCUMSTANCES}),
        releasable=release is not None,
        held_by=held_by(content),
        release=release,
        candidate=candidate,
        missed=missed(gates),
        not_measured=not_measured(gates),
        gates=gates,
        stale=content["stale"],
        manifest=f"releases/{content['student']}/{release}/manifest.json" if release else None,
        trained_on=content["dataset"]["digest"],
        duties=content["license"]["duties"],
    )
