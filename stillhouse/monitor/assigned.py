"""Which task and student a request belongs to, and the text that was asked without its prompt."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.config.project import Project
from stillhouse.monitor.requests import NO_TEXT, Request, UnusableError, found_at
from stillhouse.tasks.kinds import kind_of

NO_TASK = "no_task"
# How a prompt of this project ends (see lm/prompts.py).
_END = re.compile(r"\s*Answer:\s*\Z")


@dataclass(frozen=True)
class Assigned:
    """A request's task, the student that it was sent to (None: any), and its text, NOT masked."""

    task: str
    student: str | None
    text: str


def assigned(request: Request, project: Project) -> Assigned:
    """Where a request belongs: by the log's field, the instruction in its prompt, or as there is
    one task alone, of the project or of its student. Raises `UnusableError` where it can't be told,
    or has no text for its task."""
    student = _student(request.model, project)
    task = _named(request, project) or _instructed(request, project.tasks)
    if task is None:
        names = project.student(student).tasks if student else [t.name for t in project.tasks]
        if len(names) > 1:
            raise UnusableError(NO_TASK)
        task = project.task(names[0])
    text = _text(request.input, task)
    if not text or not text.strip():
        raise UnusableError(NO_TEXT)
    return Assigned(task.name, student, text.strip())


def _named(request: Request, project: Project) -> Task | None:
    how = project.traffic.task
    places = [how.field] if how.field else ["task", "metadata.task"]
    said = next((s for place in places if (s := found_at(request.of, place))), None)
    if said is None and request.model in how.names:
        said = request.model
    if said is None:
        return None
    name = how.names.get(said, said)
    known = next((task for task in project.tasks if task.name == name), None)
    if known is None and how.field is not None:
        raise UnusableError(NO_TASK)
    return known


def _instructed(request: Request, tasks: Sequence[Task]) -> Task | None:
    asked = request.input if isinstance(request.input, str) else ""
    said = _plain(f"{request.told}\n{asked}")
    found = [task for task in tasks if _plain(task.instruction) in said]
    return max(found, key=lambda task: len(task.instruction), default=None)


def _plain(text: str) -> str:
    return " ".join(text.split())


def _text(asked: str | Mapping[str, Any], task: Task) -> str | None:
    if not isinstance(asked, str):
        fields = {k: v for k, v in asked.items() if isinstance(v, str)}
        return kind_of(task).posed(fields)
    text, instruction = asked.strip(), task.instruction.strip()
    if text.startswith(instruction) and text != instruction:
        return _END.sub("", text[len(instruction) :]).strip()
    return text


def _student(model: str | None, project: Project) -> str | None:
    """A student by the name it is served under, its own, or its folder's."""
    if model is None:
        return None
    names = {student.name for student in project.students}
    if model in project.traffic.models:
        return project.traffic.models[model]
    parts = [*PurePath(model).parts, *re.split(r"[:@]", model)]
    return next((part for part in parts if part in names), None)
