"""A project's own edge cases: `edge_cases.jsonl` beside the project file, an object a line.

Fields: `task`, `text` (for questions `question` and `passage`), and either `answer`, as a pair has
it, or `expect` with the text that it is compared with in `as`; `kind` names what it is an example
of. Texts are the project's own, and masked as documents are before a model sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.errors import UserError
from stillhouse.evaluate.asking import ASKED
from stillhouse.storage.files import sha256_of
from stillhouse.tasks.common import Kind
from stillhouse.tasks.edge_cases import EXPECTS, EdgeCase
from stillhouse.tasks.kinds import kind_of

FILE = "edge_cases.jsonl"
FIELDS = ("task", *ASKED, "answer", "expect", "as", "kind")
# What is expected of a text by itself.
ALONE = ("out_of_scope",)
OWN = "own"  # the kind of a case whose line names none
KIND = re.compile(r"[\w -]{1,40}")
MOST_TOLD = 8

Mask = Callable[[str, str], str]
"""A text without personal data; what stands in the second text as well may stay."""


@dataclass(frozen=True)
class _Of:
    """A task that cases are of, and the classes that an answer may be."""

    task: Task
    labels: Container[str]


class _AnyLabel:
    """The classes of a task before there is a dataset, which alone says them."""

    def __contains__(self, _: object) -> bool:
        return True


def file_digest(root: Path) -> str | None:
    """Of the file; "none" without one, None where it can't be read now."""
    try:
        return sha256_of(root / FILE) if (root / FILE).exists() else "none"
    except OSError:
        return None


def read_cases(
    root: Path, kinds: Sequence[Kind], known: Collection[str], mask: Mask
) -> dict[str, list[EdgeCase]]:
    """The cases of these tasks, by task; those of other tasks that are `known` are left out.

    Raises `UserError` that names every line which can't be used, and why; nothing that it says.
    """
    by_name = {k.task.name: _Of(k.task, getattr(k, "classes", ())) for k in kinds}
    return _read(root, by_name, known, mask)


def count_cases(root: Path, tasks: Sequence[Task]) -> int:
    """How many cases there are of these tasks, all that a project has. Raises as `read_cases` does,
    but for answers that are none of the classes: before a dataset is there, nobody knows these."""
    found = _read(
        root,
        {task.name: _Of(task, _AnyLabel()) for task in tasks},
        [task.name for task in tasks],
        lambda text, _: text,
    )
    return sum(map(len, found.values()))


def _read(
    root: Path, by_name: Mapping[str, _Of], known: Collection[str], mask: Mask
) -> dict[str, list[EdgeCase]]:
    file = root / FILE
    if not file.exists():
        return {}
    found: dict[str, list[EdgeCase]] = {}
    bad = []
    try:
        lines = file.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{FILE}: it can't be read as UTF-8 text", remedy="write it again, or remove it."
        ) from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            values = _object(line)
            if values["task"] not in known:
                raise ValueError(f"`task` is none of {', '.join(known)}")
            if values["task"] in by_name:
                case = _case(by_name[values["task"]], values, mask)
                found.setdefault(values["task"], []).append(case)
        except ValueError as error:
            bad.append(f"{FILE}:{number}: {error}")
    if bad:
        more = [f"and {len(bad) - MOST_TOLD} more lines"] if len(bad) > MOST_TOLD else []
        raise UserError(
            "\n".join([*bad[:MOST_TOLD], *more]),
            remedy='correct these lines: {"task": "...", "text": "...", "answer": "..."}, or '
            f'"expect" (one of {", ".join(e for e in EXPECTS if e != "answer")}) with the text to '
            'compare with in "as"; see docs/evaluation.md.',
        )
    return found


def _object(line: str) -> Mapping[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    if unknown := values.keys() - set(FIELDS):
        raise ValueError(f"unknown field ({len(unknown)} of them); known are {', '.join(FIELDS)}")
    if not isinstance(values.get("task"), str):
        raise ValueError("`task` names no task")
    return values


def _case(of: _Of, values: Mapping[str, Any], mask: Mask) -> EdgeCase:
    name = values.get("kind", OWN)
    if not isinstance(name, str) or not KIND.fullmatch(name):
        raise ValueError("`kind` is a word or a few, of letters, digits, spaces and hyphens")
    text = _posed(of.task, values, mask)
    expect = values.get("expect")
    if ("answer" in values) == (expect is not None):
        raise ValueError("either `answer` or `expect` is wanted")
    if expect is None:
        return EdgeCase(name, text, "answer", answer=_answer(of, values, text, mask), own=True)
    if not isinstance(expect, str) or expect not in EXPECTS or expect == "answer":
        raise ValueError("`expect` is nothing that is known")
    if expect in ALONE:
        return EdgeCase(name, text, "out_of_scope", own=True)
    other = values.get("as")
    if isinstance(other, str) and "question" in values:
        other = {"question": other, "passage": values.get("passage")}
    if not isinstance(other, (str, dict)):
        raise ValueError(f"`as` is missing: the text that {expect} compares with")
    compared = other if isinstance(other, dict) else {"text": other}
    return EdgeCase(name, text, expect, of=_posed(of.task, compared, mask), own=True)  # type: ignore[arg-type]


def _posed(task: Task, values: Mapping[str, Any], mask: Mask) -> str:
    asked = {name: values[name] for name in ASKED if name in values}
    if not all(isinstance(value, str) and value.strip() for value in asked.values()):
        raise ValueError(f"{' and '.join(asked)}: no text")
    found = kind_of(task).posed({name: mask(value, "") for name, value in asked.items()})
    if not found:
        raise ValueError("it has no `text` (for questions `question` and `passage`)")
    return found


def _answer(of: _Of, values: Mapping[str, Any], text: str, mask: Mask) -> tuple[str, str | None]:
    said = _masked(values["answer"], text, mask)
    said = said if isinstance(said, str) else json.dumps(said)
    return kind_of(of.task).corrected(of.task, said, of.labels)


def _masked(value: Any, text: str, mask: Mask) -> Any:
    if isinstance(value, str):
        return mask(value, text)
    if isinstance(value, list):
        return [_masked(item, text, mask) for item in value]
    if isinstance(value, dict):
        return {name: _masked(item, text, mask) for name, item in value.items()}
    return value
