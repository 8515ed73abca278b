"""The bill of materials of a release: its models, what they learned from, what made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from stillhouse.models.described import public_name
from stillhouse.release.bom import Part, document
from stillhouse.release.libraries import PYTHON, Library
from stillhouse.release.measured import Measured
from stillhouse.report.use import INTENDED, LIMITS, NOT_INTENDED

BILL = "bom.cdx.json"
STUDENT, CHECKPOINT, ADAPTED, TEACHER = "student", "checkpoint", "adapted-teacher", "teacher"
LEARNED_FROM = ("train", "validation")


def bill(
    manifest: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Any]],
    figures: Sequence[Measured],
    libraries: Sequence[Library],
) -> str:
    """CycloneDX JSON. `files` are those of the release with their SHA-256, by name. The same
    release has the same serial number wherever it is made; who made it is not said."""
    data = list(_data(manifest))
    used = list(map(of_library, libraries))
    subject = _student(manifest, files, figures, [p.ref for p in data], [p.ref for p in used])
    name = f"stillhouse:{manifest['student']}:{manifest['release']}:{manifest['model']['digest']}"
    return document(
        subject,
        [*_teachers(manifest, {p.ref for p in data}), *data, *used],
        serial=uuid5(NAMESPACE_URL, name),
        made=datetime.fromisoformat(manifest["created"]["time"]),
    )


def of_library(library: Library) -> Part:
    """A library as a part of a bill: of an installation, too."""
    return Part(
        "library",
        f"library:{library.name}",
        library.name,
        library.version,
        library.licence,
        sha256=library.archive,
        properties={"files": library.files},
    )


def _student(
    manifest: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Any]],
    figures: Sequence[Measured],
    data: Sequence[str],
    libraries: Sequence[str],
) -> Part:
    model, names = manifest["model"], ("digest", "parameters", "bytes", "bits", "group_size")
    return Part(
        "model",
        STUDENT,
        manifest["student"],
        manifest["release"],
        manifest["license"]["teacher"],
        f"Distilled for the project {manifest['project']} from teacher version "
        f"{manifest['teacher']['version']}, quantized.",
        properties={
            **{name: model[name] for name in names},
            "python": manifest["libraries"].get(PYTHON),
            **{f"duty:{n}": duty for n, duty in enumerate(manifest["license"]["duties"], 1)},
            **{f"gate:{gate['name']}": gate["verdict"] for gate in manifest["gates"]},
        },
        within=[
            Part("file", f"file:{name}", name, sha256=found["sha256"])
            for name, found in sorted(files.items())
        ],
        needs=[CHECKPOINT, *data, *libraries],
        extra={"modelCard": _model_card(manifest, figures, data)},
    )


def _teachers(manifest: Mapping[str, Any], data: set[str]) -> Iterator[Part]:
    """The models on the way, from what came to what was quantized."""
    teacher, licence = manifest["teacher"], manifest["license"]["teacher"]
    learned = sorted(data & {f"data:{split}" for split in LEARNED_FROM})
    made: dict[str, tuple[str, str, str, list[str]]] = {
        ADAPTED: (teacher["adapted"], "The teacher, after it learned the tasks.", TEACHER, learned),
        CHECKPOINT: (
            manifest["model"]["checkpoint"],
            "The student before it was quantized.",
            ADAPTED,
            learned,
        ),
    }
    yield Part(
        "model",
        TEACHER,
        public_name(teacher["model"], teacher["version"]),
        teacher["version"],
        licence,
        "The teacher as it came.",
        properties={n: teacher[n] for n in ("digest", "architecture", "parameters")},
    )
    for ref, (digest, says, above, learns) in made.items():
        name = f"{manifest['student']}-{ref}" if ref == CHECKPOINT else ref
        known = {"digest": digest}
        needs = [above, *learns]
        yield Part("model", ref, name, None, licence, says, properties=known, needs=needs)


def _data(manifest: Mapping[str, Any]) -> Iterator[Part]:
    """Its splits. Digests of content are no SHA-256 of a file: they are properties."""
    for split, digest in sorted(manifest["dataset"]["splits"].items()):
        name = f"{manifest['project']}/{split}"
        about = {
            "type": "dataset",
            "name": name,
            "description": f"Pairs of the split {split}, by their content's digest.",
            "sensitiveData": ["personal data, replaced before anything was learned from it"],
            "contents": {"properties": [{"name": "stillhouse:digest", "value": digest}]},
        }
        known = {"digest": digest, "dataset": manifest["dataset"]["digest"]}
        extra = {"data": [about]}
        yield Part("data", f"data:{split}", name, digest, properties=known, extra=extra)


def _model_card(
    manifest: Mapping[str, Any], figures: Sequence[Measured], data: Sequence[str]
) -> dict[str, Any]:
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": ", ".join(sorted(set(manifest["tasks"].values()))),
            "architectureFamily": "transformer",
            "modelArchitecture": manifest["teacher"]["architecture"],
            "datasets": [{"ref": ref} for ref in data],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(map(_metric, figures))},
        "considerations": {
            "useCases": list(INTENDED),
            "technicalLimitations": [*(f"Not for: {said}" for said in NOT_INTENDED), *LIMITS],
        },
    }


def _metric(found: Measured) -> dict[str, Any]:
    said: dict[str, Any] = {
        "type": found.metric,
        "value": f"{found.value:.6g}",
        "slice": f"task {found.task}, {found.n} held-out texts",
    }
    if found.low is not None and found.high is not None:
        bounds = {"lowerBound": f"{found.low:.6g}", "upperBound": f"{found.high:.6g}"}
        said["confidenceInterval"] = bounds
    return said
