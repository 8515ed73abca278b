"""Sections of the teacher: its licence, its adaptation, its soft labels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from stillhouse.config.base import Section, Slug
from stillhouse.config.training import TrainingSettings


class LicensePolicy(Section):
    """Licences a teacher may have, by SPDX name; others need their terms accepted by version."""

    allow: list[str] = ["Apache-2.0", "MIT", "BSD-3-Clause"]
    accepted_terms: list[str] = []


class Adaptation(TrainingSettings):
    """How a teacher learns the tasks before it labels; `none` leaves it as it is."""

    method: Literal["lora", "none"] = "lora"
    layers: Annotated[int, Field(ge=1)] = Field(8, description="train the top layers only")
    rank: Annotated[int, Field(ge=1)] = 16
    epochs: Annotated[int, Field(ge=1)] = 3
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3


class Teacher(Section):
    version: Slug
    model: str
    license: str
    adapt: Adaptation = Adaptation()


class SoftLabels(Section):
    """What is kept of the teacher's distribution at each response token."""

    encoding: Literal["labels", "top_k", "sampled"] = "labels"
    k: Annotated[int, Field(ge=1)] = 32
    draws: Annotated[int, Field(ge=1, le=32)] = 12
    shard_pairs: Annotated[int, Field(ge=1)] = 64
    batch_size: Annotated[int, Field(ge=1)] = 16
