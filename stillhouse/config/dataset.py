"""Sections of the dataset: tasks and splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stillhouse.config.base import AssetName, Section, Slug


class Task(Section):
    """One thing the student learns; its classes are the labels found in its sources."""

    name: AssetName
    kind: Literal["classification"]
    sources: list[Slug] = Field(min_length=1)
    instruction: str = "Name the category of this text."
    labels: list[str] | None = Field(None, description="only these labels; all when left out")
    min_examples: Annotated[int, Field(ge=1)] = 8
    passage_words: Annotated[int, Field(ge=20)] = 60
    max_passages: Annotated[int, Field(ge=1)] = 4

    @field_validator("name")
    @classmethod
    def _is_no_field_of_the_evaluation(cls, name: str) -> str:
        if name in ("parameters", "bytes"):
            raise ValueError(f"{name!r} is a field of evaluation.json; give the task another name")
        return name


class Splits(Section):
    validation: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.1
    test: Annotated[float, Field(gt=0.0, lt=0.5)] = 0.2
    seed: int = 7
