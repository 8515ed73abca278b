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

    about = f"leak_audit.attacks: {file.name}"
    try:
        text = file.read_text(encoding="utf-8")
        rows = _lines(text) if file.suffix == ".jsonl" else _items(text)
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        mark = getattr(error, "problem_mark", None)
        at = f", line {mark.line + 1}" if mark else ""
        raise UserError(
            f"{about}{at}: can't be read ({type(error).__name__})",
            remedy="give a list in YAML, or JSON lines: objects with `name` and `prompt`.",
        ) from error
    for line, row in rows:
        texts = row.values() if isinstance(row, dict) else ()
        right = isinstance(row, dict) and set(row) == {"name", "prompt"}
        if not right or not all(isinstance(t, str) and t.strip() for t in texts):
            raise UserError(
                f"{about}, line {line}: no attack",
                remedy="an entry has a `name` and a `prompt`, both texts, and nothing else.",
            )
    return [Attack(row["name"], row["prompt"]) for _, row in rows]


def _lines(text: str) -> list[tuple[int, Any]]:
    """Values of JSON lines, with the numbers of their lines; None where a line holds no JSON."""
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append((number, json.loads(line)))
            except ValueError:
                found.append((number, None))
    return found


def _items(text: str) -> list[tuple[int, Any]]:
    """What a list in YAML holds, with the lines on which each begins; what is no list, as one."""
    import yaml

    rows, node = yaml.safe_load(text), yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(node, yaml.SequenceNode):
        return [(1, rows)]
    return [(item.start_mark.line + 1, row) for item, row in zip(node.value, rows, strict=True)]
