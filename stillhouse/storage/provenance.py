"""`provenance.json`: what an artefact was made of, checked before the artefact is used again."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from stillhouse.storage.files import digest, read_json, write_json

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

    `code_version` is raised by hand when a change of the code changes the result; library
    versions are recorded beside the recipe but don't invalidate it, else every upgrade of
    anything would train everything again.
    """

    inputs: dict[str, str]
    settings: dict[str, Any]
    code_version: str

    @property
    def fingerprint(self) -> str:
        return digest(self.inputs, self.settings, self.code_version)


@dataclass(frozen=True)
class Provenance:
    """A recipe, when and with what it was followed, and figures of the result (`facts`)."""

    recipe: Recipe
    facts: dict[str, Any] = field(default_factory=dict)
    license: str | None = None
    created_at: str = ""
    libraries: dict[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        return self.recipe.fingerprint

    @classmethod
    def of(
        cls, recipe: Recipe, facts: dict[str, Any] | None = None, license_name: str | None = None
    ) -> Provenance:
        return cls(
            recipe,
            facts or {},
            license_name,
            datetime.now(UTC).isoformat(timespec="seconds"),
            library_versions(),
        )

    def write(self, folder: Path) -> None:
        write_json(
            folder / "provenance.json", {**asdict(self), "fingerprint": self.recipe.fingerprint}
        )


def read_provenance(folder: Path) -> Provenance | None:
    """The record in `folder`; None when there is none or it is not one of ours."""
    try:
        values = read_json(folder / "provenance.json")
        values.pop("fingerprint")
        return Provenance(**{**values, "recipe": Recipe(**values["recipe"])})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def current_provenance(folder: Path, recipe: Recipe) -> Provenance | None:
    """The record in `folder` when the artefact there is what `recipe` would make again."""
    found = read_provenance(folder)
    return found if found and found.fingerprint == recipe.fingerprint else None


def why_stale(folder: Path, recipe: Recipe) -> str | None:
    """One line on what differs between the artefact in `folder` and `recipe`; None: nothing."""
    found = read_provenance(folder)
    if found is None:
        return "it was never made"
    if found.fingerprint == recipe.fingerprint:
        return None
    reasons = [
        f"input {name} changed"
        for name in sorted(recipe.inputs.keys() | found.recipe.inputs.keys())
        if recipe.inputs.get(name) != found.recipe.inputs.get(name)
    ]
    changed = [
        str(k)
        for k in sorted(recipe.settings.keys() | found.recipe.settings.keys())
        if digest(recipe.settings.get(k)) != digest(found.recipe.settings.get(k))
    ]
    if changed:
        reasons.append(f"settings changed: {', '.join(changed)}")
    if recipe.code_version != found.recipe.code_version:
        reasons.append("the code of the step changed")
    return "; ".join(reasons)


def library_versions() -> dict[str, str]:
    """Versions of the libraries that shape results, and Python's; without importing them."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def reuse_or_make(
    folder: Path,
    recipe: Recipe,
    make: Callable[[], dict[str, Any]],
    *,
    license_name: str | None = None,
) -> tuple[Provenance, bool]:
    """The artefact in `folder` if `recipe` would make it again, else what `make` makes now.

    `make` writes the artefact and returns its facts, among them "digest", that of its content.
    The record is written last: without it the artefact doesn't count. Returns the record and
    whether the artefact was reused.
    """
    found = current_provenance(folder, recipe)
    if found is not None:
        return found, True
    made = Provenance.of(recipe, make(), license_name)
    made.write(folder)
    return made, False
