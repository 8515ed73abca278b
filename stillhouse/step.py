"""What a row of the graph says; the rows themselves are `steps.py`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stillhouse.code_of_parts import code_version
from stillhouse.shapes import Where
from stillhouse.storage.layout import Layout

Scope = Literal["project", "teacher", "student"]

# Dagster's pool of the steps that run a model (`Step.heavy`); its size is
# `automation.models_at_once`.
POOL = "models"


@dataclass(frozen=True, eq=False)
class Step:
    """A row of the graph.

    `reads` names the steps that this one reads, and what of their facts counts; `settings` are
    the settings that shape its result; `libraries` those whose upgrade makes it anew. `folder` is
    where its artefact and its record lie, which is `replaced` whole or changed in place. `heavy`
    steps run a model: they take turns. `outside` are inputs that no step makes. Of the steps that
    it `gathers`, one reads whatever there is, of all students and teacher versions. Unless
    `of_one_dataset`, a result may be of models that learned from another dataset. What is made
    `on_demand` is part of no other run, and nobody misses it.
    """

    name: str
    group: str
    scope: Scope
    reads: dict[str, Callable[[Any, Where], dict[str, str]]]
    settings: Callable[[Where], dict[str, Any]]
    facts: type
    code: tuple[str, ...]
    kinds: tuple[str, ...]
    folder: Callable[[Layout, Where], Path]
    libraries: Callable[[Where], tuple[str, ...]] = lambda _: ()
    outside: tuple[str, ...] = ()
    unfinished: Callable[[Any], str | None] = lambda _: None
    replaced: bool = False
    heavy: bool = False
    gathers: tuple[str, ...] = ()
    of_one_dataset: bool = True
    on_demand: bool = False

    @property
    def versions(self) -> dict[str, int]:
        return {part: code_version(part) for part in self.code}

    @property
    def code_version(self) -> str:
        return "-".join(f"{part}.{number}" for part, number in self.versions.items())

    @property
    def pool(self) -> str | None:
        return POOL if self.heavy else None

    @property
    def reads_dataset(self) -> bool:
        return self.scope != "project" and "dataset_splits" in self.reads
