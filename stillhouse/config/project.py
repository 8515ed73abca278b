"""The project file, `stillhouse.yaml`: its fields, their defaults and what makes them wrong.

Every error names the file and line, the field and a remedy. Paths are relative to the file.
A file with sources, one task, one teacher and one student is complete; all else has a default.
"""

from __future__ import annotations

import difflib
import logging
import os
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from stillhouse.config import explain
from stillhouse.config.audit import LeakAudit
from stillhouse.config.automation import Automation
from stillhouse.config.base import ConfigError, FieldError, Section, Slug
from stillhouse.config.corpus import (
    OCR_DEFAULTS,
    Cleansing,
    Dedup,
    Ocr,
    Password,
    Privacy,
    Programs,
    Source,
)
from stillhouse.config.dataset import AnyTask, Column, Review, Role, Splits, Task
from stillhouse.config.economics import Economics
from stillhouse.config.from_endpoint import require_of_endpoint
from stillhouse.config.latency import Latency
from stillhouse.config.monitor import AbTest, Drift, Traffic
from stillhouse.config.proof import Calibration, EdgeCases
from stillhouse.config.registry import RegisteredTeacher, registered
from stillhouse.config.renamed import renamed
from stillhouse.config.student import Gates, Release, Student
from stillhouse.config.teacher import LicensePolicy, SoftLabels, Teacher
from stillhouse.errors import UserError

logger = logging.getLogger("stillhouse")


class Caches(Section):
    """How long and how much of what can be made again is kept."""

    days: Annotated[float, Field(gt=0)] = 30
    gigabytes: Annotated[float, Field(gt=0)] = 20


class Project(Section):
    """The whole project file. `root` is the folder it lies in."""

    name: Slug
    data_dir: Path = Path("var")
    sources: list[Source] = Field(min_length=1)
    ocr: Ocr = OCR_DEFAULTS
    passwords: list[Password] = []
    programs: Programs = Programs()
    cleansing: Cleansing = Cleansing()
    privacy: Privacy = Privacy()
    dedup: Dedup = Dedup()
    tasks: list[AnyTask] = Field(min_length=1)
    splits: Splits = Splits()
    review: Review = Review()
    license_policy: LicensePolicy = LicensePolicy()
    teachers: list[Teacher] = Field(min_length=1)
    teacher_registry: Path | None = None
    soft_labels: SoftLabels = SoftLabels()
    students: list[Student] = Field(min_length=1)
    gates: Gates = Gates()
    calibration: Calibration = Calibration()
    edge_cases: EdgeCases = EdgeCases()
    leak_audit: LeakAudit = LeakAudit()
    latency: Latency = Latency()
    release: Release = Release()
    caches: Caches = Caches()
    automation: Automation = Automation()
    traffic: Traffic = Traffic()
    drift: Drift = Drift()
    ab_test: AbTest = AbTest()
    economics: Economics = Economics()

    file: Path = Field(Path("stillhouse.yaml"), exclude=True)

    @property
    def root(self) -> Path:
        return self.file.parent

    @property
    def data_path(self) -> Path:
        return self.root / self.data_dir

    @property
    def registry(self) -> Path:
        """The folder that a mirror fills with teachers; by default among their results."""
        named = self.teacher_registry
        return self.root / named.expanduser() if named else self.registered

    @property
    def registered(self) -> Path:
        """The folder of what was found out of them; see `Layout.registered`."""
        return self.data_path / "teachers"

    @model_validator(mode="after")
    def _names_refer_to_something(self) -> Project:
        for section in ("sources", "tasks", "students"):
            _unique([item.name for item in getattr(self, section)], (section,), "name")
        schedules = [schedule.name for schedule in self.automation.schedules]
        _unique(schedules, ("automation", "schedules"), "name")
        _unique([t.version for t in self.teachers], ("teachers",), "version")
        sources, tasks = {s.name for s in self.sources}, {t.name for t in self.tasks}
        for number, task in enumerate(self.tasks):
            _known(task.sources, sources, ("tasks", number, "sources"))
        for number, student in enumerate(self.students):
            _known(student.tasks, tasks, ("students", number, "tasks"))
        for number, rule in enumerate(self.privacy.confidentiality_rules):
            if rule.source is not None:
                where = ("privacy", "confidentiality_rules", number, "source")
                _known_one(rule.source, sources, where)
        for name in self.gates.tasks:
            _known_one(name, tasks, ("gates", "tasks", name))
        for model, name in self.traffic.models.items():
            known = {s.name for s in self.students}
            _known_one(name, known, ("traffic", "models", model))
        for said, name in self.traffic.task.names.items():
            _known_one(name, tasks, ("traffic", "task", "names", said))
        _known(self.drift.sources, sources, ("drift", "sources"))
        return self

    @model_validator(mode="after")
    def _groups_can_be_read(self) -> Project:
        if self.splits.group is not None and all(s.kind != "records" for s in self.sources):
            message = "no source is one of records, which alone have columns; remove it"
            raise FieldError(("splits", "group"), message)
        return self

    @model_validator(mode="after")
    def _soft_labels_can_be_kept(self) -> Project:
        asked = self.soft_labels.encoding
        if asked is None:
            return self
        for task in self.tasks:
            if asked not in task.ENCODINGS:
                raise FieldError(
                    ("soft_labels", "encoding"),
                    f"{asked} is for answers that are classes, and those of task {task.name} are "
                    "texts; leave it out, and each task has its own, or use one of "
                    f"{', '.join(task.ENCODINGS)}",
                )
        return self

    @model_validator(mode="after")
    def _students_can_learn_from_teachers(self) -> Project:
        for teacher in self.teachers:
            self.require_labels_of(teacher)
        return self

    def require_labels_of(self, teacher: Teacher) -> None:
        """Raise `FieldError` where this teacher's soft labels can't be kept as they should be."""
        asked, adapted = self.soft_labels.encoding, teacher.adapt.method != "none"
        kept = [self.soft_labels.encoding_of(t, adapted=adapted) for t in self.tasks]
        if teacher.elsewhere:
            require_of_endpoint(teacher, self.soft_labels, self.tasks, self.students)
        if asked is not None and asked not in kept:
            raise FieldError(
                ("soft_labels", "encoding"),
                f"{asked} keeps a teacher's next tokens, and {teacher.version} answers with "
                "the classes' names (`adapt: {method: none}`); leave it out or use labels, "
                "or adapt the teacher",
            )

    @property
    def softly_learned(self) -> list[AnyTask]:
        """The tasks of which some student learns from soft labels."""
        students = [(s.tasks, s.distillation) for s in self.students]
        return [
            task
            for task in self.tasks
            if any(task.name in names and how.alpha_of(task) for names, how in students)
        ]

    def columns_of(self, source: str) -> list[str]:
        """Columns of a source's records that tasks read, beside those that `fields` maps, and that
        by which splits keep records together."""
        named = [c for task in self.tasks if source in task.sources for c in task.columns]
        named += [self.splits.group] if self.splits.group is not None else []
        return sorted(set(named))

    def reading(self, source: str) -> list[Column]:
        """Those columns, with what they are to the tasks; what one asks about is no answer of
        another."""
        tasks = [task for task in self.tasks if source in task.sources]
        found = []
        for column in self.columns_of(source):
            readers = [task for task in tasks if column in task.columns]
            roles = {task.roles.get(column, "answer") for task in readers} or {"group"}
            role: Role = next(r for r in ("passage", "question", "answer", "group") if r in roles)
            keys = sorted({key for task in readers for key in task.keys})
            found.append(Column(name=column, role=role, keys=tuple(keys)))
        return found

    def source(self, name: str) -> Source:
        return next(s for s in self.sources if s.name == name)

    def task(self, name: str) -> Task:
        return next(t for t in self.tasks if t.name == name)

    def student(self, name: str) -> Student:
        """The student of that name; `UserError` when the project file has none."""
        for student in self.students:
            if student.name == name:
                return student
        raise UserError(
            f"{self.file}: students: there is no {name!r}",
            remedy=f"use one of {', '.join(s.name for s in self.students)}.",
        )

    def teacher(self, version: str) -> Teacher:
        """The teacher of that version; `UserError` when neither the project file nor the registry
        has one."""
        for teacher in self.teachers:
            if teacher.version == version:
                return teacher
        if reason := self.with_registered()[1].get(version):
            raise ConfigError(
                f"teacher version {version} can't be used: {reason}", remedy="see there."
            )
        raise UserError(
            f"{self.file}: teachers: there is no version {version!r}",
            remedy=f"use one of {', '.join(t.version for t in self.teachers)}, or add it to the "
            f"project file; if it was mistyped in the UI, `stillhouse teachers remove {version}` "
            "takes it out again.",
        )

    @property
    def teachers_of_file(self) -> list[Teacher]:
        """Those that stand in the project file itself."""
        return [t for t in self.teachers if not isinstance(t, RegisteredTeacher)]

    def with_registered(self) -> tuple[Project, dict[str, str]]:
        """The project with the versions of the registry behind those of its file, by the time at
        which they were found; and why others can't be used."""
        own = self.teachers_of_file
        found, problems = registered(self.registered)
        more = []
        for teacher in found:
            try:
                self.require_labels_of(teacher)
            except FieldError as error:
                problems[teacher.version] = f"{'.'.join(map(str, error.location))}: {error}"
            else:
                more += [teacher] if teacher.version not in {t.version for t in own} else []
        return self.model_copy(update={"teachers": [*own, *more]}), problems


def _unique(names: list[str], section: tuple[str, ...], field: str) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f"{name!r} stands more than once; rename one"
            raise FieldError((*section, number, field), message)


def _known(names: list[str], known: set[str], location: tuple[str | int, ...]) -> None:
    for number, name in enumerate(names):
        _known_one(name, known, (*location, number))


def _known_one(name: str, known: set[str], location: tuple[str | int, ...]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, sorted(known), n=1)
        meant = f"did you mean `{close[0]}`? " if close else ""
        raise FieldError(
            location, f"unknown {name!r}; {meant}the file has {', '.join(sorted(known))}"
        )


def find_project_file(explicit: str | Path | None = None, *, or_sample: bool = False) -> Path:
    """The project file: `explicit`, else $STILLHOUSE_PROJECT, else ./stillhouse.yaml.

    With `or_sample` the sample of a checkout comes last. Raises `ConfigError` where there is none.
    """
    named = explicit or os.environ.get("STILLHOUSE_PROJECT")
    candidates = [Path(named)] if named else [Path("stillhouse.yaml")]
    if or_sample and not named:
        candidates.append(Path(__file__).resolve().parents[2] / "examples" / "helpdesk")
    for candidate in candidates:
        path = candidate / "stillhouse.yaml" if candidate.is_dir() else candidate
        if path.is_file():
            return path.resolve()
    raise ConfigError(
        f"{candidates[0]}: there is no project file",
        remedy="write one with `stillhouse init DIR`, or name one with --project or "
        "STILLHOUSE_PROJECT.",
    )


def load_project(path: str | Path | None = None, *, or_sample: bool = False) -> Project:
    """Read and check the project file, found as `find_project_file` does; raises `ConfigError`.

    Its teachers are followed by those of the registry.
    """
    file = find_project_file(path, or_sample=or_sample)
    values, lines = explain.read_yaml(file)
    values = renamed(values, file, lines)
    try:
        project = Project.model_validate({**values, "file": file})
    except ValidationError as error:
        raise explain.explain(error, file, lines, Project) from None
    whole, problems = project.with_registered()
    for version, reason in problems.items():
        _warn(f"Teacher version {version} is left out: {reason}")
    return whole


@cache
def _warn(message: str) -> None:
    logger.warning(message)
