"""Sections of the student: initialisation, distillation, quantization, gates."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.config.base import AssetName, Fraction, Section
from stillhouse.config.training import TrainingSettings


class StudentInit(Section):
    from_: Literal["teacher"] = Field("teacher", alias="from")
    layers: Annotated[int, Field(ge=1)] = 6
    vocabulary: Literal["corpus", "full"] = "corpus"


class Distillation(TrainingSettings):
    """`alpha` is the soft labels' share of the loss. `alignment` is the weight of another term,
    which draws the student's hidden states to its teacher's at first; 0 leaves it out."""

    temperature: Annotated[float, Field(gt=0)] = 2.0
    alpha: Fraction = 0.7
    alignment: Annotated[float, Field(ge=0)] = 0.0
    epochs: Annotated[int, Field(ge=1)] = 4
    learning_rate: Annotated[float, Field(gt=0)] = 5e-4


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


class Gates(Section):
    max_accuracy_drop: Fraction = 0.03
    max_quantization_drop: Fraction = 0.01
    max_ece: Fraction = 0.10
