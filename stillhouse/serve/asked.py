"""From a request to what the engine is given: which student, which task, which tokens.

`STUDENT:TASK` (or `STUDENT/TASK`) names a task; so does `metadata.task`, or the task's instruction
in what the system says. A student of one task needs no name of it. A completion without a task is
the model's own: the prompt as it stands, and what comes after it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from stillhouse.lm.continuous import Row
from stillhouse.lm.grammar import Constraint
from stillhouse.lm.prompts import Example
from stillhouse.serve.refusals import UNKNOWN, RefusedError, schema_not_served
from stillhouse.serve.schemas import is_servable
from stillhouse.serve.students import Student
from stillhouse.serve.wire import AsObject, BySchema, ChatRequest, CompletionRequest
from stillhouse.tasks import serving
from stillhouse.tasks.common import Kind

COMPLETION_TOKENS = 16  # of a completion that doesn't say how many, as OpenAI has it
# Without white space, as students have learned to write JSON; else they may write nothing else.
COMPACT = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
LONG = 20_000  # characters that take so long to cut into tokens that others would wait for it


@dataclass(frozen=True, eq=False)
class Question:
    """One prompt. `text` is what a user asked. Of a task whose answers are tokens, `example` is
    read; else `row` is written. `field` is where in an object the answer is to stand; `held` is
    whether it is held to a schema of the client's."""

    student: Student
    model: str
    text: str
    kind: Kind | None = None
    example: Example | None = None
    row: Row | None = None
    stops: tuple[str, ...] = ()
    alternatives: int | None = None
    field: str | None = None
    held: bool = False

    @property
    def task(self) -> str | None:
        return self.kind.task.name if self.kind else None

    @property
    def prompt_tokens(self) -> int:
        if self.row is not None:
            return len(self.row.prompt)
        return self.example.response_start if self.example else 0


async def of_chat(students: Mapping[str, Student], request: ChatRequest) -> Question:
    """Raises `RefusedError` for what can't be answered."""
    student, named = find(students, request.model)
    named = named or (request.metadata or {}).get("task")
    kind = _kind(student, named) if named else _told(student, request.told)
    text = request.asked
    if text is None or not text.strip():
        raise RefusedError(400, "no message of a user has a text", param="messages")
    alternatives = (request.top_logprobs or 0) if request.logprobs else None
    form = request.response_format
    return await _of_task(student, kind, text, request, request.limit, alternatives, form)


async def of_completion(
    students: Mapping[str, Student], request: CompletionRequest
) -> list[Question]:
    """One a prompt. Raises `RefusedError` for what can't be answered."""
    if request.stream and len(request.prompts) > 1:
        raise RefusedError(400, "only one prompt at a time is streamed", param="prompt")
    student, named = find(students, request.model)
    found = []
    for prompt in request.prompts:
        if named:
            kind = _kind(student, named)
            one = await _of_task(
                student, kind, prompt, request, request.max_tokens, request.logprobs, None
            )
        else:
            one = await _raw(student, prompt, request)
        found.append(one)
    return found


def find(students: Mapping[str, Student], model: str) -> tuple[Student, str | None]:
    """A student by `NAME`, and the task of `NAME:TASK` or `NAME/TASK`."""
    name, *rest = re.split(r"[:/]", model, maxsplit=1)
    student = students.get(name)
    if student is None or (rest and rest[0] not in student.kinds):
        raise RefusedError(
            404, "there is no such model; GET /v1/models lists them", kind=UNKNOWN,
            code="model_not_found", param="model",
        )  # fmt: skip
    return student, rest[0] if rest else None


def _kind(student: Student, task: str) -> Kind:
    if task not in student.kinds:
        raise RefusedError(
            400, f"{student.name} has no such task; it has {', '.join(student.kinds)}",
            param="metadata.task",
        )  # fmt: skip
    return student.kinds[task]


def _told(student: Student, told: str) -> Kind:
    """The task that the system's instruction is of, or the only one."""
    said = " ".join(told.split())
    kinds = list(student.kinds.values())
    found = [k for k in kinds if " ".join(k.task.instruction.split()) in said]
    if len(found or kinds) == 1:
        return (found or kinds)[0]
    models = ", ".join(f"{student.name}:{task}" for task in student.kinds)
    raise RefusedError(
        400, f"which task is asked? name it as the model: {models}", param="model",
        code="task_not_named",
    )  # fmt: skip


async def _of_task(
    student: Student,
    kind: Kind,
    asked: str,
    request: ChatRequest | CompletionRequest,
    limit: int | None,
    alternatives: int | None,
    form: Any,
) -> Question:
    text = serving.posed(kind, asked)
    if not text or not text.strip():
        raise RefusedError(
            400, f"task {kind.task.name} lacks a part of what it is asked: send a JSON object with "
            "`question` and `passage` as the text", param="messages",
        )  # fmt: skip
    row = {"pair_id": "", "instruction": kind.task.instruction, "input": text}
    if len(text) > LONG:
        (example,) = await asyncio.to_thread(student.encoder.prompts, [row])
    else:
        (example,) = student.encoder.prompts([row])
    longest = serving.longest_answer(kind, student.encoder)
    if example.cut:
        (ids,) = await asyncio.to_thread(student.encoder.texts, [text])
        _require_room(student, len(ids) + longest)
    question: dict[str, Any] = {
        "student": student,
        "model": request.model,
        "text": text,
        "kind": kind,
    }
    if kind.answer_tokens:
        field = _field(form, kind.options)
        return Question(**question, example=example, alternatives=alternatives, field=field)
    own = _schema(form)
    grammar = own or await asyncio.to_thread(serving.grammar, kind, text)
    return Question(
        **question,
        example=example,
        row=Row(
            example.ids[: example.response_start],
            min(limit or longest, longest),
            constraint=await _constraint(student, grammar, own=own is not None),
            barred=student.encoder.unwritten,
            alternatives=alternatives or 0,
        ),
        stops=tuple(request.stops),
        alternatives=alternatives,
        held=own is not None,
    )


async def _raw(student: Student, prompt: str, request: CompletionRequest) -> Question:
    encode = student.encoder.texts
    (ids,) = await asyncio.to_thread(encode, [prompt]) if len(prompt) > LONG else encode([prompt])
    if not ids:
        raise RefusedError(400, "the prompt has no tokens", param="prompt")
    limit = request.max_tokens or COMPLETION_TOKENS
    _require_room(student, len(ids) + limit)
    temperature = request.temperature or 0.0
    seed = secrets.randbits(64) if request.seed is None else request.seed
    row = Row(
        ids,
        limit,
        temperature,
        request.top_p or 1.0,
        random.Random(seed) if temperature else None,
        alternatives=request.logprobs or 0,
    )
    stops, alternatives = tuple(request.stops), request.logprobs
    return Question(student, request.model, prompt, row=row, stops=stops, alternatives=alternatives)


def _require_room(student: Student, tokens: int) -> None:
    if tokens > student.context:
        raise RefusedError(
            400,
            f"prompt and answer take {tokens} tokens, and {student.name} takes {student.context}",
            code="context_length_exceeded",
            param="messages",
        )


def _schema(form: Any) -> str | None:
    """The grammar of a format that the client asks for."""
    if isinstance(form, BySchema):
        schema = form.json_schema.schema_
    elif isinstance(form, AsObject):
        schema = {"type": "object"}
    else:
        return None
    try:
        return f"start: %json {json.dumps({**schema, 'x-guidance': COMPACT})}"
    except RecursionError:
        raise schema_not_served() from None


async def _constraint(student: Student, grammar: str | None, *, own: bool) -> Constraint | None:
    """`own` is whether a client wrote the grammar."""
    if grammar is None:
        return None
    if own and not await is_servable(grammar):
        raise schema_not_served()
    compile_ = partial(student.grammars.compile, trusted=not own)
    try:
        return await asyncio.to_thread(compile_, grammar)
    except ValueError:
        raise schema_not_served() from None


def _field(form: Any, options: Sequence[str]) -> str | None:
    """Where in an object an answer is to stand that is one of few: `answer`, or the one property
    of a schema that takes each of them."""
    if isinstance(form, AsObject):
        return "answer"
    if not isinstance(form, BySchema):
        return None
    properties = form.json_schema.schema_.get("properties")
    if isinstance(properties, Mapping) and len(properties) == 1:
        ((name, of),) = properties.items()
        values = of.get("enum", options) if isinstance(of, Mapping) else []
        said = of.get("type", "string") if isinstance(of, Mapping) else None
        if said == "string" and isinstance(values, list) and all(o in values for o in options):
            return str(name)
    raise schema_not_served(
        "this task answers with one of its classes: a schema for it is an object with one property "
        "of type string, whose enum, if it has one, holds every class"
    )
