"""`provenance.json`: what an artefact was made of, checked before the artefact is used again.

The record stands or falls with what it describes: it is withdrawn before a table or a store
changes, and swapped in together with a folder that is replaced whole.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stillhouse.storage.files import atomic_dir, digest, read_json, write_json

FILE = "provenance.json"

# Recorded beside every artefact.
LIBRARIES = (
    "stillhouse",
    "dagster",
    "duckdb",
    "llmcompressor",
    "peft",
    "presidio-analyzer",
    "spacy",
    "torch",
    "transformers",
    "unstructured",
)


@dataclass(frozen=True)
class Recipe:
    """All that decides an artefact's content: digests of its inputs, its settings, the code.

    `code` holds the version of each part of the code that shapes the result. `libraries` are
    those whose upgrade makes it anew (parsers, recognizers); the others are recorded beside the
    recipe but don't invalidate it, else every upgrade of anything would train everything again.
    """

    inputs: dict[str, str]
    settings: dict[str, Any]
    code: dict[str, int]
    libraries: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return digest(self.inputs, self.settings, self.code, self.libraries)

    def differences(self, made: Recipe) -> list[str]:
        """What has changed since `made`, one phrase each; empty when nothing has."""
        found = [f"input {name} changed" for name in _changed(self.inputs, made.inputs)]
        if settings := _changed(self.settings, made.settings):
            found.append(f"settings changed: {', '.join(settings)}")
        if code := _changed(self.code, made.code):
            found.append(f"code changed: {', '.join(code)}")
        if libraries := _changed(self.libraries, made.libraries):
            found.append(f"libraries changed: {', '.join(libraries)}")
        return found


def _changed(now: dict[str, Any], then: dict[str, Any]) -> list[str]:
    names = sorted(now.keys() | then.keys())
    return [n for n in names if digest(now.get(n)) != digest(then.get(n))]


@dataclass(frozen=True)
class Provenance:
    """A recipe, when and with what it was followed, and figures of the result (`facts`).

    `dataset` is the digest of the dataset's snapshot that was read, for what reads one; `run_id`
    the Dagster run that made it, `seconds` how long it took. `machine` is what it was made on,
    `peaks` the most memory that this took (see storage/machine.py), `project_file` the SHA-256 of
    the file that said how.
    """

    recipe: Recipe
    facts: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    dataset: str | None = None
    run_id: str | None = None
    created_at: str = ""
    libraries: dict[str, str] = field(default_factory=dict)
    seconds: float | None = None
    machine: dict[str, Any] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)
    project_file: str | None = None

    @classmethod
    def now(cls, recipe: Recipe, facts: Any, **about: Any) -> Provenance:
        """A record of this moment; `facts` is a dataclass, `about` other fields."""
        return cls(
            recipe,
            asdict(facts),
            created_at=datetime.now(UTC).isoformat(timespec="seconds"),
            libraries={"python": platform.python_version(), **library_versions(LIBRARIES)},
            **about,
        )

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, {**asdict(self), "fingerprint": self.recipe.fingerprint})


def read_provenance(folder: Path) -> Provenance | None:
    """The record in `folder`; None when there is none or it is not one of ours."""
    try:
        values = read_json(folder / FILE)
        values.pop("fingerprint")
        return Provenance(**{**values, "recipe": Recipe(**values["recipe"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def withdraw(folder: Path) -> None:
    """What lies in `folder` no longer counts; the caller is about to change it."""
    (folder / FILE).unlink(missing_ok=True)


def make_in_place(folder: Path, make: Callable[[], Provenance]) -> Provenance:
    """Change what lies in `folder`, without a record while it changes; the record comes last."""
    withdraw(folder)
    made = make()
    made.write(folder)
    return made


def make_whole(folder: Path, make: Callable[[Path], Provenance]) -> Provenance:
    """Make an artefact in a new folder, record included, that takes the place of `folder`.

    Until then the old one counts, with its own record.
    """
    with atomic_dir(folder) as target:
        made = make(target)
        made.write(target)
    return made


def library_versions(names: tuple[str, ...]) -> dict[str, str]:
    """Versions of those of `names` that are installed; without importing them."""
    return {name: found for name in names if (found := _version(name))}


@cache
def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
