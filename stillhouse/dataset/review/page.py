"""The page on which a person reviews a sample: one file, which works without a server.

Texts, labels and answers come from documents: they are untrusted. They lie in the page as JSON that
no markup can end, and its script shows them as text alone. By its policy the page loads nothing,
sends nothing, and runs no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from stillhouse.config.dataset import ClassificationTask, ExtractionTask, Task
from stillhouse.dataset.review.strata import STRATA
from stillhouse.storage.files import digest
from stillhouse.templates import environment
from stillhouse.wording import visible

Row = Mapping[str, Any]


def render_page(
    title: str,
    kind: str,
    sample: Sequence[Row],
    tasks: Iterable[Task],
    labels: Mapping[str, Sequence[str]],
    folder: str,
) -> str:
    """The page on a sample as `strata.draw` gives it, as HTML.

    `kind` is what the pairs' ids begin with; `labels` are the classes of tasks that have them;
    `folder` says where a saved CSV belongs.
    """
    pages = environment("stillhouse.dataset.review", lstrip_blocks=False)
    style, script = _resource("review.css"), _resource("review.js")
    items = [_item(kind, row) for row in sample]
    data = {
        "key": digest([item["id"] for item in items]),
        "folder": folder,
        "tasks": {task.name: _task(task, labels.get(task.name, ())) for task in tasks},
        "items": items,
    }
    return pages.get_template("review.html.j2").render(
        title=visible(title),
        folder=folder,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        data=_embedded(data),
    )


def _resource(name: str) -> str:
    return (files("stillhouse.dataset.review") / "templates" / name).read_text("utf-8")


def _hash(text: str) -> str:
    """As a policy names an inline script or style (W3C, Content Security Policy 3)."""
    found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"sha256-{found}"


def _embedded(data: Any) -> str:
    """JSON in ASCII in which nothing can end the element that it lies in."""
    text = json.dumps(data)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _task(task: Task, labels: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {"instruction": task.instruction, "classes": None, "fields": None}
    if isinstance(task, ClassificationTask):
        found["classes"] = list(labels)
    if isinstance(task, ExtractionTask):
        found["fields"] = {
            name: {
                "type": field.type,
                "optional": field.optional,
                "list": field.many,
                "values": field.values,
            }
            for name, field in task.fields.items()
        }
    return found


def _item(kind: str, row: Row) -> dict[str, Any]:
    answer = row["label"] if row["label"] is not None else row["answer"]
    # A class is chosen from a list, and so has to be as it is; it is shown apart from other text.
    shown = answer if row["label"] is not None else visible(_laid_out(answer))
    stratum = {name: row[name] for name in STRATA if name != "task" and row[name] is not None}
    return {
        "id": f"{kind}-{row['pair_id']}",
        "task": row["task"],
        "input": visible(row["input"]),
        "answer": shown,
        "stratum": stratum,
    }


def _laid_out(answer: str) -> str:
    """A JSON object with a line for each field; any other answer as it is."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return answer
    return json.dumps(found, indent=2, ensure_ascii=False) if isinstance(found, dict) else answer
