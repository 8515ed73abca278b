"""What every section of the project file shares: strictness, kinds of names, the error."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from stillhouse.errors import UserError

# Partition keys and asset names end up in paths, URLs and comma-separated lists.
_SLUG = r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9_-]+)*$"
Slug = Annotated[str, Field(pattern=_SLUG, max_length=100)]
AssetName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


def is_slug(name: str) -> bool:
    """Whether a version or the like may be called so."""
    return len(name) <= 100 and re.fullmatch(_SLUG, name) is not None


class ConfigError(UserError):
    """The project file is missing, is not YAML, or has a wrong field."""


class FieldError(ValueError):
    """What is wrong with a field that only its neighbours show; `location` leads to it."""

    def __init__(self, location: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


def settings_of(section: BaseModel) -> dict[str, Any]:
    """The section as plain JSON values, for fingerprints and provenance."""
    return section.model_dump(mode="json", by_alias=True)


def compared_by(section: BaseModel) -> dict[str, Any]:
    """`settings_of`, for recipes and digests, which are compared by name: a mapping whose order
    counts (`ORDERED_SETTINGS`) is a list of its pairs."""
    ordered = getattr(section, "ORDERED_SETTINGS", ())
    return {
        name: list(map(list, value.items())) if name in ordered else value
        for name, value in settings_of(section).items()
    }
