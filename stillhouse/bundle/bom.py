"""The bill of materials of a bundle: CycloneDX 1.6, with its models as such (an ML-BOM)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from uuid import uuid4
from zipfile import ZipFile, ZipInfo

from stillhouse.bundle.models import PackedModel
from stillhouse.bundle.packages import OURS, Package
from stillhouse.release.bom import Part, document
from stillhouse.storage.files import sha256_of

# A member of a wheel that holds weights; smaller ones are tests' (the package onnx has thousands).
WEIGHTS = (".onnx", ".safetensors", ".gguf")
SMALLEST_BYTES = 500_000


def bill_of_materials(packages: list[Package], models: list[PackedModel]) -> bytes:
    """Libraries and models with versions, licences and SHA-256, in JSON.

    Weights inside a wheel are components inside that of the wheel.
    """
    found = {package.name: _library(package) for package in packages}
    whole = replace(found.pop(OURS), kind="application")
    parts = [*found.values(), *map(_model, models)]
    # By their metadata some need what is left out on purpose (requirements-nodeps.txt): the whole
    # stands on all of them.
    whole = replace(whole, needs=[part.ref for part in parts])
    return document(whole, parts, serial=uuid4(), made=datetime.now(UTC)).encode()


def _library(package: Package) -> Part:
    ref = f"{package.name}=={package.version}"
    with ZipFile(package.wheel) as archive:
        members = archive.infolist()
        is_model = any(_finds_a_pipeline(archive, member) for member in members)
        inside = [
            Part(
                "model",
                f"{ref}/{member.filename}",
                member.filename.rpartition("/")[2],
                sha256=sha256(archive.read(member)).hexdigest(),
            )
            for member in members
            if member.filename.endswith(WEIGHTS) and member.file_size >= SMALLEST_BYTES
        ]
    return Part(
        "model" if is_model else "library",
        ref,
        package.name,
        package.version,
        licence=package.license or None,
        sha256=package.sha256,
        of_index=True,
        within=inside,
    )


def _finds_a_pipeline(archive: ZipFile, member: ZipInfo) -> bool:
    """Whether it is the entry point that spaCy finds a pipeline by: the wheel is a model."""
    folder, _, name = member.filename.partition(".dist-info/")
    is_it = name == "entry_points.txt" and "/" not in folder
    return is_it and b"[spacy_models]" in archive.read(member)


def _model(model: PackedModel) -> Part:
    ref = f"model:{model.name}"
    files = [
        Part("file", f"{ref}/{name}", name, sha256=sha256_of(file))
        for name, file in model.files.items()
    ]
    return Part("model", ref, model.name, licence=model.license or None, within=files)
