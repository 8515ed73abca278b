"""From what the engine delivers to pieces of an answer, as text."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from stillhouse.lm.continuous import Step
from stillhouse.lm.generation import Generated
from stillhouse.lm.prompts import Encoder
from stillhouse.serve.asked import Question
from stillhouse.serve.engine import Engine, Job, TooLateError
from stillhouse.serve.refusals import SERVER, RefusedError, as_json, schema_not_served
from stillhouse.tasks import serving
from stillhouse.tasks.common import Answered

UNFINISHED = "\ufffd"  # bytes of a character whose others are still to come


@dataclass(frozen=True)
class Token:
    """What a token says, its log-probability, and the likeliest ones in its place."""

    text: str
    log_prob: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Piece:
    """A part of an answer. The last one has `finish` (stop or length), how many tokens were written
    in all, and what is known `about` the answer."""

    text: str
    tokens: tuple[Token, ...] = ()
    finish: str | None = None
    written: int = 0
    about: dict[str, Any] = field(default_factory=dict)


class Deliveries:
    """From the engine's thread to the loop: what one round delivered is passed on at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: list[tuple[asyncio.Queue[Any], Any]] = []

    def to(self, target: asyncio.Queue[Any]) -> Any:
        return lambda item: self._waiting.append((target, item))

    def flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._loop.call_soon_threadsafe(_put, waiting)


def _put(waiting: list[tuple[asyncio.Queue[Any], Any]]) -> None:
    for target, item in waiting:
        target.put_nowait(item)


async def answer(
    engine: Engine, deliveries: Deliveries, question: Question, seconds: float
) -> AsyncIterator[Piece]:
    """Pieces of the answer, as they come. Whoever stops listening ends it.

    Raises `RefusedError` where it takes longer than `seconds`, or fails.
    """
    arrived: asyncio.Queue[Any] = asyncio.Queue()
    job = Job(
        question.student,
        time.monotonic() + seconds,
        deliveries.to(arrived),
        question.task,
        question.example,
        question.row,
    )
    engine.submit(job)
    try:
        if question.row is None:
            yield _of_probabilities(question, _checked(await arrived.get()))
        else:
            async for piece in _of_steps(question, arrived):
                yield piece
    finally:
        job.unwanted = True


def _checked(item: Any) -> Any:
    if isinstance(item, TooLateError):
        raise RefusedError(
            503, "not answered in time; try again later", kind=SERVER, code="timeout",
            headers={"retry-after": "5"},
        )  # fmt: skip
    if isinstance(item, Exception):
        raise RefusedError(500, "the answer failed; the server's log says how", kind=SERVER)
    return item


def _of_probabilities(question: Question, probabilities: Any) -> Piece:
    """Of a task whose answers are tokens, from the probabilities of each of them."""
    kind = question.kind
    assert kind is not None  # noqa: S101 - only tasks are answered so
    known = question.student.calibrated(kind.task.name)
    tempered = _tempered([float(p) for p in probabilities], known.temperature)
    said = kind.answers([question.text], [tempered], known.learned)[0]
    text = said.label or said.response
    tokens: tuple[Token, ...] = ()
    if question.alternatives is not None:
        ranked = sorted(
            zip(kind.options, map(_log, probabilities), strict=True), key=lambda pair: -pair[1]
        )
        own = next(value for name, value in ranked if name == text)
        tokens = (Token(text, own, tuple(ranked[: question.alternatives])),)
    if question.field is not None:
        text = as_json({question.field: text}).decode("ascii")
    return Piece(text, tokens, "stop", 1, about(question, said))


def _tempered(probabilities: list[float], temperature: float) -> list[float]:
    """As if the logits had been divided by `temperature` (Guo et al. 2017)."""
    if temperature == 1.0:
        return probabilities
    logs = [_log(p) / temperature for p in probabilities]
    most = max(logs)
    weights = [math.exp(value - most) for value in logs]
    return [weight / sum(weights) for weight in weights]


def _log(probability: Any) -> float:
    return math.log(max(float(probability), 1e-30))


def about(question: Question, said: Answered | None) -> dict[str, Any]:
    """What an answer brings beside OpenAI's fields: the release, and what its confidence is worth.
    It is below the threshold that the task has, if any, where somebody else should answer."""
    found: dict[str, Any] = {"release": question.student.release}
    if said is None or question.task is None:
        return found
    threshold = question.student.calibrated(question.task).threshold
    found |= {
        "task": question.task,
        "confidence": round(said.confidence, 4),
        "threshold": threshold,
        "escalate": threshold is not None and said.confidence < threshold,
        "truncated": bool(question.example and question.example.cut),
    }
    parts = {name: round(value, 4) for name, value in said.parts.items()}
    return found | ({"confidence_of": parts} if parts else {})


async def _of_steps(question: Question, arrived: asyncio.Queue[Any]) -> AsyncIterator[Piece]:
    row, encoder = question.row, question.student.encoder
    assert row is not None  # noqa: S101 - see `answer`
    words = _Words(encoder, question.stops, strips=question.kind is not None)
    ids: list[int] = []
    log_probs: list[float] = []
    finish = None
    while finish is None:
        step: Step | None = _checked(await arrived.get())
        tokens: tuple[Token, ...] = ()
        if step is None and question.held:
            raise schema_not_served()
        if step is not None:
            log_probs.append(step.log_prob)
        if step is None or step.ends:
            finish, text = "stop", words.rest()
        else:
            ids.append(step.token)
            text = words.add(step.token)
            if question.alternatives is not None:
                tokens = (_token(encoder, step, question.alternatives),)
            if words.stopped:
                finish = "stop"
            elif len(ids) >= row.limit:
                finish, text = "length", text + words.rest()
        if finish is None:
            yield Piece(text, tokens)
    said = None
    if question.kind is not None:
        generated = Generated(ids, log_probs, finish == "stop")
        known = question.student.calibrated(question.kind.task.name)
        said = serving.written(question.kind, encoder, question.text, generated, known.learned)
    yield Piece(text, tokens, finish, len(ids), about(question, said))


def _token(encoder: Encoder, step: Step, alternatives: int) -> Token:
    said = encoder.tokenizer.decode
    likeliest = step.likeliest[:alternatives]
    return Token(said([step.token]), step.log_prob, tuple((said([t]), p) for t, p in likeliest))


class _Words:
    """Tokens as text, while they come: what may be the beginning of a stop, or of a character, is
    held back until that is known."""

    def __init__(self, encoder: Encoder, stops: tuple[str, ...], *, strips: bool) -> None:
        self._tokenizer, self._stops = encoder.tokenizer, stops
        self._strips = strips  # white space before the answer
        self._ids: list[int] = []
        self._start = self._read = 0
        self._held = ""
        self.stopped = False

    def add(self, token: int) -> str:
        self._ids.append(token)
        before = self._decoded(self._ids[self._start : self._read])
        now = self._decoded(self._ids[self._start :])
        if now.endswith(UNFINISHED) and len(self._ids) - self._read < 4:
            return ""
        self._start, self._read = self._read, len(self._ids)
        return self._said(now[len(before) :])

    def rest(self) -> str:
        before = self._decoded(self._ids[self._start : self._read])
        text = self._said(self._decoded(self._ids[self._start :])[len(before) :])
        held, self._held = self._held, ""
        return text if self.stopped else text + held

    def _decoded(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True))

    def _said(self, text: str) -> str:
        if self._strips:
            text = text.lstrip()
            self._strips = not text
        text = self._held + text
        places = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        keep = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How much of the text's end may be the beginning of `stop`."""
    return next(
        (n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0
    )
