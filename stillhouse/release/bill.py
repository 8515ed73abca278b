"""The bill of materials of a release: its models, what they learned from, what made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from stillhouse.models.described import public_name
from stillhouse.release.bom import Part, document
from stillhouse.release.dossier import adapts, begun_as, licence_of
from stillhouse.release.libraries import PYTHON, Library
from stillhouse.release.measured import Measured
from stillhouse.report.use import LIMITS, NOT_INTENDED, intended

BILL = "bom.cdx.json"
STUDENT, CHECKPOINT, ADAPTED, TEACHER = "student", "checkpoint", "adapted-teacher", "teacher"
BASE = "base"
LEARNED_FROM = ("train", "validation")


def bill(
    manifest: Mapping[str, Any],
    files: Mapping[str, Mapping[str, Any]],
    figures: Sequence[Measured],
    libraries: Sequence[Library],
    *,
    masked: bool = True,
) -> str:
    """CycloneDX JSON. `files` are those of the release with their SHA-256, by name. The same
    release has the same serial number wherever it is made; who made it is not said. `masked` where
    personal data was, in what it learned from."""
    data = list(_data(manifest, masked=masked))
    used = list(map(of_library, libraries))
    subject = _student(
        manifest, files, [p.ref for p in used], _model_card(manifest, figures, data, masked=masked)
    )
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
    libraries: Sequence[str],
    card: dict[str, Any],
) -> Part:
    model, names = manifest["model"], ("digest", "parameters", "bytes", "bits", "group_size")
    return Part(
        "model",
        STUDENT,
        manifest["student"],
        manifest["release"],
        licence_of(manifest),
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
        needs=[
            CHECKPOINT,
            *(one["ref"] for one in card["modelParameters"]["datasets"]),
            *libraries,
        ],
        extra={"modelCard": card},
    )


def _teachers(manifest: Mapping[str, Any], data: set[str]) -> Iterator[Part]:
    """The models on the way, from what came to what was quantized."""
    teacher, licence = manifest["teacher"], manifest["license"]["teacher"]
    learned = sorted(data & {f"data:{split}" for split in LEARNED_FROM})
    base, trained = begun_as(manifest), adapts(manifest)
    says = "The teacher, after it learned the tasks." if trained else "The teacher, as it is asked."
    yield Part(
        "model",
        TEACHER,
        public_name(teacher["model"], teacher["version"]),
        teacher["version"],
        licence,
        "The teacher as it came.",
        properties={n: teacher[n] for n in ("digest", "architecture", "parameters")},
    )
    yield Part(
        "model", ADAPTED, ADAPTED, None, licence, says,
        properties={"digest": teacher["adapted"]},
        needs=[TEACHER, *(learned if trained else [])],
    )  # fmt: skip
    if base:
        terms = manifest["settings"]["checkpoint"]["init"].get("license")
        yield Part("model", BASE, base, None, terms, "What the student began as.")
    yield Part(
        "model", CHECKPOINT, f"{manifest['student']}-{CHECKPOINT}", None, licence_of(manifest),
        "The student before it was quantized.",
        properties={"digest": manifest["model"]["checkpoint"]},
        needs=[ADAPTED, *([BASE] if base else []), *learned],
    )  # fmt: skip


def _data(manifest: Mapping[str, Any], *, masked: bool) -> Iterator[Part]:
    """Its splits. Digests of content are no SHA-256 of a file: they are properties."""
    how = "replaced before anything was learned from it" if masked else "not masked"
    for split, digest in sorted(manifest["dataset"]["splits"].items()):
        name = f"{manifest['project']}/{split}"
        about = {
            "type": "dataset",
            "name": name,
            "description": f"Pairs of the split {split}, by their content's digest.",
            "sensitiveData": [f"personal data, {how}"],
            "contents": {"properties": [{"name": "stillhouse:digest", "value": digest}]},
        }
        known = {"digest": digest, "dataset": manifest["dataset"]["digest"]}
        extra = {"data": [about]}
        yield Part("data", f"data:{split}", name, digest, properties=known, extra=extra)


def _model_card(
    manifest: Mapping[str, Any],
    figures: Sequence[Measured],
    data: Sequence[Part],
    *,
    masked: bool,
) -> dict[str, Any]:
    # One that was cut from its teacher has its architecture.
    cut = {} if begun_as(manifest) else {"modelArchitecture": manifest["teacher"]["architecture"]}
    return {
        "modelParameters": {
            "approach": {"type": "supervised"},
            "task": ", ".join(sorted(set(manifest["tasks"].values()))),
            "architectureFamily": "transformer",
            **cut,
            "datasets": [{"ref": part.ref} for part in data],
            "inputs": [{"format": "text"}],
            "outputs": [{"format": "text"}],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(map(_metric, figures))},
        "considerations": {
            "useCases": list(intended(masked=masked)),
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
