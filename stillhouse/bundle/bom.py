"""The bill of materials of a bundle: CycloneDX 1.6, with its models as such (an ML-BOM)."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile, ZipInfo

from stillhouse.bundle.models import PackedModel
from stillhouse.bundle.packages import OURS, Package
from stillhouse.storage.files import sha256_of

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

# A member of a wheel that holds weights; smaller ones are tests' (the package onnx has thousands).
WEIGHTS = (".onnx", ".safetensors", ".gguf")
SMALLEST_BYTES = 500_000


def bill_of_materials(packages: list[Package], models: list[PackedModel]) -> bytes:
    """Libraries and models with versions, licences and SHA-256, in JSON.

    Weights inside a wheel are components inside that of the wheel.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.output.json import JsonV1Dot6

    bom = Bom()
    found = {package.name: _library(package) for package in packages}
    bom.metadata.component = whole = found.pop(OURS)
    bom.components.update(found.values(), map(_model, models))
    # By their metadata some need what is left out on purpose (requirements-nodeps.txt): the whole
    # stands on all of them.
    bom.register_dependency(whole, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2).encode() + b"\n"


def _library(package: Package) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    kind = ComponentType.APPLICATION if package.name == OURS else ComponentType.LIBRARY
    with ZipFile(package.wheel) as archive:
        members = archive.infolist()
        if any(_finds_a_pipeline(archive, member) for member in members):
            kind = ComponentType.MACHINE_LEARNING_MODEL
        inside = [
            Component(
                name=member.filename.rpartition("/")[2],
                type=ComponentType.MACHINE_LEARNING_MODEL,
                bom_ref=f"{package.name}=={package.version}/{member.filename}",
                hashes=[_hash(sha256(archive.read(member)).hexdigest())],
            )
            for member in members
            if member.filename.endswith(WEIGHTS) and member.file_size >= SMALLEST_BYTES
        ]
    return Component(
        name=package.name,
        version=package.version,
        type=kind,
        bom_ref=f"{package.name}=={package.version}",
        purl=PackageURL("pypi", None, package.name, package.version),
        licenses=_licences(package.license),
        hashes=[_hash(package.sha256)],
        components=inside,
    )


def _finds_a_pipeline(archive: ZipFile, member: ZipInfo) -> bool:
    """Whether it is the entry point that spaCy finds a pipeline by: the wheel is a model."""
    folder, _, name = member.filename.partition(".dist-info/")
    is_it = name == "entry_points.txt" and "/" not in folder
    return is_it and b"[spacy_models]" in archive.read(member)


def _model(model: PackedModel) -> Component:
    from cyclonedx.model.component import Component, ComponentType

    return Component(
        name=model.name,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref=f"model:{model.name}",
        licenses=_licences(model.license),
        components=[
            Component(
                name=name,
                type=ComponentType.FILE,
                bom_ref=f"model:{model.name}/{name}",
                hashes=[_hash(sha256_of(file))],
            )
            for name, file in model.files.items()
        ],
    )


def _licences(stated: str) -> list[Any]:
    from cyclonedx.factory.license import LicenseFactory

    return [LicenseFactory().make_from_string(stated)] if stated else []


def _hash(digest: str) -> Any:
    from cyclonedx.model import HashAlgorithm, HashType

    return HashType(alg=HashAlgorithm.SHA_256, content=digest)
