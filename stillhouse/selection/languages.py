"""Which languages a model's makers say that it knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.models.gguf import read_metadata
from stillhouse.models.licence import front_matter
from stillhouse.models.sources import files_of

CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z]{2,8})?")
GGUF_KEY = "general.languages"


def stated_languages(source: Path) -> list[str]:
    """Their codes, from the front matter of the model card or the header of a .gguf file; empty
    where neither says so."""
    found: set[str] = set()
    for file in files_of(source):
        if file.name.lower() == "readme.md":
            found |= _codes(front_matter(file).get("language"))
        elif file.suffix == ".gguf":
            try:
                found |= _codes(read_metadata(file, GGUF_KEY).get(GGUF_KEY))
            except UserError:
                continue
    return sorted(found)


def _codes(said: Any) -> set[str]:
    """Whatever is no code of a language is left out: a card is untrusted."""
    values = said if isinstance(said, list) else [said]
    return {value for value in values if isinstance(value, str) and CODE.fullmatch(value)}
