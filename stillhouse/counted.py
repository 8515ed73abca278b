"""What of an input's facts counts in the recipe of what reads it, and what is not finished yet.

Each is given the facts and whose artefact it is, and answers with digests by name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from stillhouse import facts
from stillhouse.shapes import Where
from stillhouse.storage.files import digest


def content(found: Any, _: Where) -> dict[str, str]:
    return {"": found.digest}


def gate(*_: Any) -> dict[str, str]:
    """Nothing of it counts: it comes first, so that its check can stop what follows."""
    return {}


def figures(found: Any, _: Where) -> dict[str, str]:
    """All that was measured; how much of it was computed anew is no figure."""
    return {"": digest({n: v for n, v in asdict(found).items() if n != "computed"})}


def reviewed(found: facts.ReviewFacts, _: Where) -> dict[str, str]:
    """What people said; `asked` counts a teacher's answers."""
    names = [f.name for f in fields(facts.ReviewFacts)] + ["asked"]
    return {"": digest({name: getattr(found, name, None) for name in names})}


def splits(*names: str) -> Callable[[Any, Where], dict[str, str]]:
    """Only these splits: a new test pair leaves what was trained on the others as it is."""

    def parts(found: facts.DatasetSplitsFacts, _: Where) -> dict[str, str]:
        return {f".{name}": found.digests[name] for name in names}

    return parts


def at_temperature(found: facts.SoftLabelsFacts, where: Where) -> dict[str, str]:
    """What this student decodes: another student's temperature is none of its business."""
    temperature = str(where.student.distillation.temperature)
    return {"": found.digests.get(temperature, "not kept for this temperature yet")}


def unread(found: facts.ParsedDocumentsFacts) -> str | None:
    """A read error may pass: a share that hung, a file that was being written."""
    files = found.quarantined_by_category.get("unreadable")
    return f"{files} files could not be read and are tried again" if files else None
