"""Installed libraries as they state themselves: version, licence, digest of their files.

Nothing is imported or fetched: all of it stands in the metadata that lies beside a library's files
(https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from stillhouse.storage.files import digest

OURS, PYTHON = "stillhouse", "python"
# A licence's whole text may stand where its name should.
LONGEST_LICENCE = 100
_OF_CLASSIFIER = "License :: "


@dataclass(frozen=True)
class Library:
    """A library that is used. `licence` is what it states, by its SPDX expression if it has one;
    `archive` the SHA-256 of the file that it was installed from, where the installer kept it.
    `files` is a digest of the names and digests of its installed files: the same wheel has the
    same one wherever it is installed. What is not known is None."""

    name: str
    version: str
    licence: str | None = None
    archive: str | None = None
    files: str | None = None


def used(recorded: Mapping[str, str]) -> list[Library]:
    """What this installation runs with, and `recorded` versions by name, which count: they are
    those that something was made with. Of a version that is no longer installed nothing else is
    known. By name; Python itself is none of them."""
    found = {library.name: library for library in installed()}
    for name, version in recorded.items():
        if name == PYTHON:
            continue
        now = found.get(_canonical(name))
        if now is None or now.version != version:
            found[_canonical(name)] = Library(_canonical(name), version)
    return [found[name] for name in sorted(found)]


@cache
def installed(root: str = OURS) -> tuple[Library, ...]:
    """The library `root` and all that it needs here, without its extras; none where it isn't
    installed."""
    from packaging.requirements import Requirement

    found: dict[str, Library] = {}
    wanted = [root]
    while wanted:
        name = _canonical(wanted.pop())
        if name in found:
            continue
        try:
            held = distribution(name)
        except PackageNotFoundError:
            continue
        found[name] = stated(held)
        needs = map(Requirement, held.requires or ())
        wanted += [n.name for n in needs if n.marker is None or n.marker.evaluate({"extra": ""})]
    return tuple(found[name] for name in sorted(found))


def stated(held: Distribution) -> Library:
    """What the metadata of an installed library says."""
    said = held.metadata
    library = Library(_canonical(said["Name"]), held.version, _licence(held))
    return replace(library, archive=_archive(held), files=_files(held))


def _licence(held: Distribution) -> str | None:
    """From the newest field to the oldest: of old ones, many hold the whole text."""
    said = held.metadata
    classifiers = [c for c in said.get_all("Classifier") or () if c.startswith(_OF_CLASSIFIER)]
    named = " AND ".join(c.rsplit(" :: ", 1)[-1] for c in classifiers)
    for name in (said["License-Expression"], said["License"], named):
        if name and "\n" not in name.strip() and len(name) <= LONGEST_LICENCE:
            return str(name).strip()
    return None


def _archive(held: Distribution) -> str | None:
    """As PEP 610 keeps it; an address that stands beside it is none of a bill's business."""
    try:
        kept = json.loads(held.read_text("direct_url.json") or "{}")
        return str(kept["archive_info"]["hashes"]["sha256"])
    except (ValueError, KeyError, TypeError):
        return None


def _files(held: Distribution) -> str | None:
    """What an installer adds (its name, scripts, compiled files) differs from place to place."""
    listed = [
        (str(file), file.hash.value)
        for file in held.files or ()
        if file.hash is not None
        and file.hash.mode == "sha256"
        and ".." not in file.parts
        and not (file.parts[0].endswith(".dist-info") and file.name in _OF_INSTALLERS)
        and file.suffix != ".pyc"
    ]
    return digest(sorted(listed)) if listed else None


_OF_INSTALLERS = ("INSTALLER", "REQUESTED", "direct_url.json", "RECORD")


def _canonical(name: str) -> str:
    from packaging.utils import canonicalize_name

    return canonicalize_name(name)
