"""What a project's data directory holds, against what its steps would make now.

`State` answers for every artefact: its recipe, its record, why it is stale; and makes it, one
writer at a time. It knows no Dagster: assets, `stillhouse status` and tests ask the same object.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.shapes import Where
from stillhouse.step import Step
from stillhouse.steps import STEPS
from stillhouse.storage.files import digest, digest_if_there
from stillhouse.storage.form import form_of
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive, one_of
from stillhouse.storage.machine import forget_peaks, machine, peaks
from stillhouse.storage.provenance import (
    Provenance,
    Recipe,
    library_versions,
    make_in_place,
    make_whole,
    read_provenance,
)
from stillhouse.storage.snapshots import Snapshot, current_snapshot

logger = logging.getLogger("stillhouse")

# How often an artefact is made again whose inputs changed while it was made.
ATTEMPTS = 3

# Digests of inputs that no step makes, by name; None where one can't be known now (the recorded
# one then counts). Given by who knows the outside: see stillhouse/outside.py.
Outside = Mapping[str, Callable[["State", Where], str | None]]


@dataclass(frozen=True)
class Artefact:
    """What a step makes for a teacher version and a student, or for the project."""

    step: Step
    version: str | None = None
    student: str | None = None

    @property
    def name(self) -> str:
        """`parsed_documents`, `soft_labels` or `router/checkpoint`: the asset's name."""
        return f"{self.student}/{self.step.name}" if self.student else self.step.name

    def __str__(self) -> str:
        return f"{self.name} [{self.version}]" if self.version else self.name

    def beside(self, step: str) -> Artefact:
        """What another step makes for the same teacher version and student, as far as its results
        are one for each."""
        scope = STEPS[step].scope
        version = None if scope == "project" else self.version
        return Artefact(STEPS[step], version, self.student if scope == "student" else None)

    @property
    def parts(self) -> list[str]:
        return [part for part in (self.student, self.step.name, self.version) if part]


@dataclass(frozen=True)
class State:
    """`snapshot` is the dataset that a run works on; the present one where none is given."""

    project: Project
    outside: Outside = field(default_factory=dict)
    snapshot: Snapshot | None = None
    run_id: str | None = None

    @property
    def layout(self) -> Layout:
        return Layout(self.project.data_path)

    def artefacts(self, versions: list[str] | None = None) -> Iterator[Artefact]:
        """Every artefact of the project (of these teacher versions), inputs before outputs."""
        for step in STEPS.values():
            if step.scope == "project" and not step.gathers:
                artefact = Artefact(step)
                # What nobody asked for is not missing.
                if not step.on_demand or self.record(artefact) is not None:
                    yield artefact
        for version in versions or [t.version for t in self.project.teachers]:
            for step in STEPS.values():
                if step.scope == "teacher":
                    yield Artefact(step, version)
            for student in self.project.students:
                for step in STEPS.values():
                    if step.scope == "student":
                        yield Artefact(step, version, student.name)
        yield from (Artefact(step) for step in STEPS.values() if step.gathers)

    def gathered(self, name: str) -> list[tuple[Artefact, Provenance]]:
        """What a step of students has made, of all students and teacher versions there are: also of
        those that the project file no longer has, which come first."""
        versions = [teacher.version for teacher in self.project.teachers]
        found = []
        for folder in self.layout.student("x", "y").parents[2].glob("[!.]*/[!.]*/"):
            artefact = Artefact(STEPS[name], folder.name, folder.parent.name)
            if (record := self.record(artefact)) is not None:
                place = versions.index(folder.name) if folder.name in versions else -1
                found.append((folder.parent.name, place, folder.name, artefact, record))
        return [(artefact, record) for *_, artefact, record in sorted(found, key=lambda x: x[:3])]

    def where(self, artefact: Artefact) -> Where:
        return Where(self.project, artefact.version, artefact.student)

    def folder(self, artefact: Artefact) -> Path:
        return artefact.step.folder(self.layout, self.where(artefact))

    def upstream(self, artefact: Artefact) -> list[Artefact]:
        """The artefacts that this one reads."""
        return [artefact.beside(name) for name in artefact.step.reads]

    def record(self, artefact: Artefact) -> Provenance | None:
        """How the artefact was made, None when there is none."""
        return read_provenance(self.folder(artefact))

    def facts(self, artefact: Artefact) -> Any:
        """The facts of an artefact as its step's dataclass; of the dataset, those of the snapshot.

        Raises `UserError` when it was not made yet, or by a release with other facts.
        """
        from pydantic import ValidationError

        if artefact.step.name == "dataset_splits" and self.snapshot is not None:
            values: dict[str, Any] | None = self.snapshot.facts
        else:
            record = self.record(artefact)
            values = record.facts if record else None
        said = "was not made yet"
        try:
            if values is not None:
                return _reader(artefact.step.facts).validate_python(values)
        except ValidationError:
            said = "was made by an earlier release, whose record says too little"
        raise UserError(
            f"{artefact} {said}",
            remedy="materialize it first: `stillhouse run` makes everything in order.",
        )

    def facts_of(self, step: str, version: str | None = None, student: str | None = None) -> Any:
        """`facts`, by the step's name."""
        return self.facts(Artefact(STEPS[step], version, student))

    def recipe(self, artefact: Artefact) -> Recipe:
        """What the artefact would be made of now; raises `UserError` where an input lacks."""
        step, where = artefact.step, self.where(artefact)
        inputs: dict[str, str] = {}
        for name in step.outside:
            known = self.outside[name](self, where) if name in self.outside else None
            if known == "":  # there is no such input
                continue
            if known is None:  # it can't be looked at now: what was recorded counts
                record = self.record(artefact)
                known = record.recipe.inputs.get(name, "") if record else ""
            inputs[name] = known
        for upstream in self.upstream(artefact):
            counted = step.reads[upstream.step.name](self.facts(upstream), where)
            inputs |= {f"{upstream.step.name}{part}": found for part, found in counted.items()}
        for name in step.gathers:
            all_there = [(str(a), record.facts.get("digest")) for a, record in self.gathered(name)]
            inputs[name] = digest(all_there)
        return Recipe(
            inputs, step.settings(where), step.versions, library_versions(step.libraries(where))
        )

    def why_stale(self, artefact: Artefact) -> str | None:
        """One line on what has changed since the artefact was made; None: it is up to date.

        Looks at the artefact alone; `status` says what lies below something stale.
        """
        record = self.record(artefact)
        if record is None:
            return "not made yet"
        try:
            changed = self.recipe(artefact).differences(record.recipe)
            again = artefact.step.unfinished(self.facts(artefact))
            return "; ".join([*changed, *([again] if again else [])]) or None
        except UserError as error:
            return error.message

    def statuses(self, versions: list[str] | None = None) -> dict[Artefact, str | None]:
        """Why each artefact is not up to date, None where it is: for a reason of its own, or
        because it lies below something that is not."""
        found: dict[Artefact, str | None] = {}
        for artefact in self.artefacts(versions):
            reason = self.why_stale(artefact)
            above = [u for u in self.upstream(artefact) if found.get(u)]
            if above and self.record(artefact) is not None:
                are = "is" if len(above) == 1 else "are"
                below = f"{', '.join(map(str, above))} above it {are} not up to date"
                reason = f"{reason}; {below}" if reason else below
            found[artefact] = reason
        return found

    def make(
        self,
        artefact: Artefact,
        make: Callable[[Path, Recipe], Any],
        *,
        license_name: str | None = None,
        before: Callable[[], None] | None = None,
    ) -> tuple[Provenance, bool]:
        """The artefact as it is if its recipe would make it again, else made now.

        `make` is given the folder to write to (an empty one where the step's is `replaced`) and
        the recipe, and returns the facts. Waits for another writer of the same artefact, and
        where the step is heavy for whatever else runs a model; an artefact that is up to date
        waits for nothing. Returns its record, and whether it was reused.

        Raises `UserError` as `recipe` does, and where inputs were made from another dataset.
        """
        found = self._current(artefact)
        if found is not None:
            return found, True
        if before is not None:
            before()
        self._require_one_dataset(artefact)
        with exclusive(self.layout.lock(*artefact.parts), artefact.name):
            if (found := self._current(artefact)) is not None:
                return found, True  # another process made it meanwhile
            if not artefact.step.heavy:
                return self._made(artefact, make, license_name), False
            places = self.layout.models(self.project.automation.models_at_once)
            with one_of(places, f"{artefact}: the GPU"):
                return self._made(artefact, make, license_name), False

    def _current(self, artefact: Artefact) -> Provenance | None:
        return self.record(artefact) if self.why_stale(artefact) is None else None

    def _made(
        self, artefact: Artefact, make: Callable[[Path, Recipe], Any], license_name: str | None
    ) -> Provenance:
        folder = self.folder(artefact)
        folder.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(ATTEMPTS):
            recipe = self.recipe(artefact)

            def made(target: Path, recipe: Recipe = recipe) -> Provenance:
                started = time.monotonic()
                forget_peaks()
                facts = make(target, recipe)
                about: dict[str, Any] = {"license": license_name, "run_id": self.run_id}
                about["seconds"] = round(time.monotonic() - started, 3)
                about |= {"machine": machine(), "peaks": peaks()}
                about["project_file"] = digest_if_there(self.project.file)
                if artefact.step.reads_dataset and self.snapshot is not None:
                    about["dataset"] = self.snapshot.digest
                return Provenance.now(recipe, facts, **about)

            if artefact.step.replaced:
                record = make_whole(folder, made)
            else:
                record = make_in_place(folder, lambda: made(folder))
            # What was read is what the record says, or it is made again.
            if self.recipe(artefact).fingerprint == recipe.fingerprint:
                return record
            logger.info("%s: its inputs changed while it was made; making it again", artefact)
        raise UserError(
            f"{artefact}: its inputs changed each of {ATTEMPTS} times that it was made",
            remedy="wait until other runs of this project have ended, and start it again.",
        )

    def _require_one_dataset(self, artefact: Artefact) -> None:
        """Nothing is made of models that learned from different datasets, or from other pairs
        than those that it would learn from itself."""
        if not artefact.step.reads_dataset or not artefact.step.of_one_dataset:
            return
        dataset = self.facts(Artefact(STEPS["dataset_splits"]))
        others = []
        for upstream in self.upstream(artefact):
            record = self.record(upstream)
            if record is None or upstream.step.scope == "project":
                continue
            for split, now in dataset.digests.items():
                if record.recipe.inputs.get(f"dataset_splits.{split}", now) != now:
                    others.append(str(upstream))
                    break
        if others:
            raise UserError(
                f"{artefact}: {', '.join(others)} learned from another dataset than "
                "dataset_splits holds now",
                remedy=f"materialize {', '.join(others)} first; `stillhouse run` makes everything "
                "that is stale, in order.",
            )


@cache
def _reader(facts: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(facts)


def state_of(project: Project, outside: Outside, *, run_id: str | None = None) -> State:
    """The state that a run sees, pinned to the dataset that it began with; without `run_id` the
    present one. Raises `UserError` for a data directory of a newer release."""
    layout = Layout(project.data_path)
    form_of(layout.root)
    return State(project, outside, current_snapshot(layout, run_id), run_id)
