"""Prompts that try to make a model give away what it learned: a file that comes along, and one of
the project's own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError

SHIPPED = Path(__file__).with_name("attacks.yaml")
INSTRUCTION = "{instruction}"


@dataclass(frozen=True)
class Attack:
    name: str
    prompt: str

    def prompts(self, instructions: Sequence[str]) -> list[str]:
        """The prompt, with each instruction where it asks for one."""
        if INSTRUCTION not in self.prompt:
            return [self.prompt]
        return [self.prompt.replace(INSTRUCTION, text) for text in dict.fromkeys(instructions)]


def attacks_of(own: Path | None) -> list[Attack]:
    """Those that come along, and those of a file: YAML with a list, or JSON lines; each is an
    object with `name` and `prompt`.

    Raises `UserError` that names file and entry, where the file can't be read so.
    """
    found = _read(SHIPPED)
    if own is not None:
        found += _read(own)
    return found


def _read(file: Path) -> list[Attack]:
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        if file.suffix == ".jsonl":
            rows: Any = [json.loads(line) for line in text.splitlines() if line.strip()]
        else:
            rows = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(
            f"leak_audit.attacks: {file.name}: can't be read ({type(error).__name__})",
            remedy="give a list in YAML, or JSON lines: objects with `name` and `prompt`.",
        ) from error
    if not isinstance(rows, list):
        rows = [rows]
    for number, row in enumerate(rows, start=1):
        texts = row.values() if isinstance(row, dict) else ()
        right = isinstance(row, dict) and set(row) == {"name", "prompt"}
        if not right or not all(isinstance(t, str) and t.strip() for t in texts):
            raise UserError(
                f"leak_audit.attacks: {file.name}: entry {number} is no attack",
                remedy="an entry has a `name` and a `prompt`, both texts, and nothing else.",
            )
    return [Attack(row["name"], row["prompt"]) for row in rows]
