"""Sections of the student: initialisation, distillation, quantization, gates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stillhouse.config.base import AssetName, FieldError, Fraction, Section
from stillhouse.config.dataset import Task
from stillhouse.config.endpoint import is_endpoint
from stillhouse.config.training import TrainingSettings

FROM_TEACHER = "teacher"  # a student that is cut from it


class StudentInit(Section):
    """What a student begins as: layers of its teacher, or of a model of its own (`from`, named as
    teachers are, with its `license`)."""

    from_: str = Field(FROM_TEACHER, alias="from")
    license: str | None = None
    layers: Annotated[int, Field(ge=1)] | Literal["all"] = 6
    vocabulary: Literal["corpus", "full"] = "corpus"

    @property
    def base(self) -> str | None:
        """The model of its own; None where it is cut from its teacher."""
        return None if self.from_ == FROM_TEACHER else self.from_

    @model_validator(mode="after")
    def _says_its_licence(self) -> StudentInit:
        if self.base and is_endpoint(self.base):
            raise FieldError(("from",), "a server has no layers here; name a model with weights")
        if self.base and not self.license:
            message = "a student inherits the licence of what it begins as; add `license:` to it"
            raise FieldError(("from",), message)
        if self.license and not self.base:
            message = "the teacher's own says it; remove it, or name a model in `from`"
            raise FieldError(("license",), message)
        return self


class Distillation(TrainingSettings):
    """`alpha` is the soft labels' share of the loss. `alignment` is the weight of another term,
    which draws the student's hidden states to its teacher's at first; 0 leaves it out.

    Left out, both are what did best for each task's kind of answer (benchmarks/README.md): classes
    are learned from soft labels, without alignment; written answers from the words, with.
    """

    temperature: Annotated[float, Field(gt=0)] = 2.0
    alpha: Fraction | None = None
    alignment: Annotated[float, Field(ge=0)] | None = None
    epochs: Annotated[int, Field(ge=1)] = 4
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4

    def alpha_of(self, task: Task) -> float:
        return task.ALPHA if self.alpha is None else self.alpha

    def alignment_of(self, task: Task) -> float:
        return task.ALIGNMENT if self.alignment is None else self.alignment


class Quantization(Section):
    method: Literal["gptq"] = "gptq"
    bits: Literal[4, 8] = 4
    group_size: int | None = Field(None, description="chosen from the model's widths by default")
    calibration_texts: Annotated[int, Field(ge=8)] = 256


class Student(Section):
    name: AssetName
    teacher: Literal["teacher"] = "teacher"
    init: StudentInit = StudentInit()
    tasks: list[str] = Field(min_length=1)
    distillation: Distillation = Distillation()
    quantization: Quantization = Quantization()

    @model_validator(mode="after")
    def _draws_to_what_it_was_cut_from(self) -> Student:
        if self.init.base and self.distillation.alignment:
            raise FieldError(
                ("distillation", "alignment"),
                "it draws layers to those of the teacher that they were cut from, and this student "
                "begins as another model; remove it",
            )
        return self

    def alignment_of(self, task: Task) -> float:
        """The weight of alignment; 0 for a student that is not cut from its teacher."""
        return 0.0 if self.init.base else self.distillation.alignment_of(task)


class TaskGates(Section):
    """Limits of one task; those left out are the project's."""

    max_score_drop: Fraction | None = None
    max_quantization_drop: Fraction | None = None
    max_ece: Fraction | None = None


class Gates(Section):
    """What a student and its quantization may cost, in points of each task's headline score
    (0.03: three of a hundred), and how far its confidence may be off; `tasks` has other limits for
    some tasks. And how many of a hundred answers reviewers may find wrong, before anything is
    trained on them."""

    max_score_drop: Fraction = 0.03
    max_quantization_drop: Fraction = 0.01
    max_ece: Fraction = 0.10
    max_reject_rate: Fraction = 0.10
    tasks: dict[str, TaskGates] = {}

    def limit(self, name: str, task: str) -> float:
        """The limit of that name on a task."""
        own = getattr(self.tasks[task], name) if task in self.tasks else None
        found: float = getattr(self, name) if own is None else own
        return found


Measurable = Literal[
    "student_within_gate",
    "quantized_within_gate",
    "calibrated",
    "beats_baseline",
    "pii_quality",
    "reidentification_unique",
    "reidentification_below_5",
    "confidentiality",
    "reject_rate",
    "answers_reject_rate",
    "leak_audit",
    "latency",
]


class Release(Section):
    """What has to be measured, and proven, before a student is released: a gate that is not named
    here holds nothing back as long as nobody measured it."""

    require: list[Measurable] = []
