"""Bills of materials: CycloneDX 1.6 in JSON, of whatever parts are given.

What is listed goes in and a document comes out; nothing is looked up here. The library writes the
document. Two fields of the standard it has no classes for, `modelCard` and `data`
(https://cyclonedx.org/docs/1.6/json/): they are added to what it wrote, and the tests validate the
whole by the standard's schema.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

from stillhouse.storage.provenance import library_versions

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

Kind = Literal["application", "model", "data", "library", "file"]
# Whose the names of properties are.
OURS = "stillhouse"


@dataclass(frozen=True)
class Part:
    """Something that is listed. `ref` names it within the bill, and `needs` what it was made of or
    runs with. `licence` is an SPDX expression, or a licence's name; `sha256` that of the file that
    the part is. `of_index` where it is a package of the Python index, as libraries are.
    `properties` are what else is known, by names of ours. `within` are its own files.

    `extra` are fields of the standard that the library can't write: `model_card` of a model,
    `data` of a set of data.
    """

    kind: Kind
    ref: str
    name: str
    version: str | None = None
    licence: str | None = None
    description: str | None = None
    sha256: str | None = None
    of_index: bool = False
    properties: Mapping[str, object] = field(default_factory=dict)
    within: Sequence[Part] = ()
    needs: Sequence[str] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)


def document(subject: Part, parts: Sequence[Part], *, serial: UUID, made: datetime) -> str:
    """The bill of `subject`, and of the `parts` that it was made of, as CycloneDX JSON that ends
    with a line break. The same arguments give the same text.

    Raises ValueError where two parts have one `ref`, or something is needed that is not listed.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    known = [p.ref for p in _all([subject, *parts])]
    if twice := {ref for ref in known if known.count(ref) > 1}:
        raise ValueError(f"listed twice: {', '.join(sorted(twice))}")
    components = {part.ref: _component(part) for part in (subject, *parts)}
    bom = Bom(serial_number=serial, components=[components[part.ref] for part in parts])
    bom.metadata.timestamp = made
    bom.metadata.component = components[subject.ref]
    own = library_versions((OURS,)).get(OURS)
    tool = Component(type=ComponentType.APPLICATION, name=OURS, version=own)
    bom.metadata.tools.components.add(tool)
    for part in (subject, *parts):
        if lacking := set(part.needs) - components.keys():
            raise ValueError(f"{part.ref} needs what is not listed: {', '.join(sorted(lacking))}")
        bom.register_dependency(components[part.ref], [components[ref] for ref in part.needs])
    written: dict[str, Any] = json.loads(JsonV1Dot6(bom).output_as_string())
    of_ref = {part.ref: part.extra for part in _all([subject, *parts])}
    for component in _written([written["metadata"]["component"], *written.get("components", ())]):
        component |= of_ref[component["bom-ref"]]
    return json.dumps(written, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def _all(parts: Sequence[Part]) -> Iterator[Part]:
    for part in parts:
        yield part
        yield from _all(part.within)


def _written(components: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for component in components:
        yield component
        yield from _written(component.get("components", ()))


def _component(part: Part) -> Component:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    types = {
        "application": ComponentType.APPLICATION,
        "model": ComponentType.MACHINE_LEARNING_MODEL,
        "data": ComponentType.DATA,
        "library": ComponentType.LIBRARY,
        "file": ComponentType.FILE,
    }
    is_package = part.of_index or part.kind == "library"
    return Component(
        type=types[part.kind],
        bom_ref=part.ref,
        name=part.name,
        version=part.version,
        description=part.description,
        licenses=[LicenseFactory().make_from_string(part.licence)] if part.licence else [],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=part.sha256)] if part.sha256 else [],
        purl=PackageURL("pypi", None, part.name, part.version) if is_package else None,
        properties=[
            Property(name=f"{OURS}:{name}", value=str(value))
            for name, value in part.properties.items()
            if value is not None
        ],
        components=[_component(inner) for inner in part.within],
    )
