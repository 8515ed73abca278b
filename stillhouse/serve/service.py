"""What a server holds: students, the engine, gauges, the log; and the channels that it follows."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from stillhouse.errors import UserError
from stillhouse.serve.answers import Deliveries, Piece, answer
from stillhouse.serve.asked import Question
from stillhouse.serve.door import Limits
from stillhouse.serve.engine import Engine
from stillhouse.serve.gauges import Gauges
from stillhouse.serve.keys import Keys
from stillhouse.serve.log import RequestLog
from stillhouse.serve.refusals import LIMITED, UNKNOWN, RefusedError
from stillhouse.serve.replaced import Replaced
from stillhouse.serve.shadow import Shadow
from stillhouse.serve.students import Student
from stillhouse.serve.wire import ChatRequest, CompletionRequest, Feedback, choice_id

logger = logging.getLogger("stillhouse")

LOOK_SECONDS = 1.0
# A release that could not be taken is tried again, as somebody may restore it.
AGAIN_SECONDS = 60.0


@dataclass(frozen=True)
class Followed:
    """A student's channel: the id of the release that it leads to now, and how to load that."""

    student: str
    release: Callable[[], str | None]
    load: Callable[[], Student]


@dataclass(frozen=True)
class Heard:
    """What was answered to a request, by the number of the choice, for the log."""

    id: str
    asked: ChatRequest | CompletionRequest
    entries: dict[int, dict[str, Any]] = field(default_factory=dict)

    def alone(self, number: int) -> ChatRequest | CompletionRequest:
        """The request that asks for one choice alone."""
        if isinstance(self.asked, ChatRequest):
            return self.asked
        return self.asked.model_copy(update={"prompt": self.asked.prompts[number]})


@dataclass(eq=False)
class Service:
    """`students` answer by their names; a new release replaces one of them between two requests.
    `refused` says of a student which release its channel leads to that could not be taken. What
    `shadow` answers too is logged once it has."""

    students: dict[str, Student]
    followed: tuple[Followed, ...] = ()
    keys: Keys = field(default_factory=lambda: Keys({}))
    limits: Limits = field(default_factory=Limits)
    log: RequestLog | None = None
    shadow: Shadow | None = None
    gauges: Gauges = field(default_factory=Gauges)
    refused: dict[str, str] = field(default_factory=dict)
    _replaced: Replaced = field(default_factory=Replaced)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """The engine runs inside; at the end it finishes what it has."""
        self._deliveries = Deliveries(asyncio.get_running_loop())
        self._engine = Engine(self._deliveries.flush, self.gauges.batch.observe)
        self._engine.start()
        # In one thread all of them: each thread has memory of its own (an arena of malloc's), and
        # what a student took in one is not there for the next one in another.
        self._loads = ThreadPoolExecutor(1, "loads")
        for name in self.students:  # a student held by a name here would outlive its release
            self._told(name)
        if self.shadow is not None:
            self.shadow.start(self._log, self._of_shadow)
        following = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            following.cancel()
            self._loads.shutdown(wait=False, cancel_futures=True)
            await asyncio.to_thread(self._engine.stop)
            if self.shadow is not None:
                await asyncio.to_thread(self.shadow.close)
            if self.log is not None:
                await asyncio.to_thread(self.log.close)

    @property
    def well(self) -> bool:
        return self._engine.is_alive

    async def pieces(
        self, question: Question, heard: Heard, number: int = 0
    ) -> AsyncIterator[Piece]:
        """As `answer`; what was asked and answered is counted, and `heard` as this choice."""
        said: list[str] = []
        stream = answer(self._engine, self._deliveries, question, self.limits.seconds)
        async for piece in stream:
            said.append(piece.text)
            if piece.finish is not None:
                self._count(question, piece)
                if self.log is not None:
                    known = {"id": choice_id(heard.id, number), "time": _now()}
                    heard.entries[number] = known | _entry(question, "".join(said), piece)
            yield piece

    def sent(self, heard: Heard) -> None:
        """What was heard goes to the shadow, or to the log: after the answer, which neither is to
        delay."""
        for number, entry in heard.entries.items():
            if self.shadow is None:
                self._log(entry)
            elif not self.shadow.put(entry, heard.alone(number)):
                self._of_shadow("dropped")
                self._log(entry)

    def told(self, feedback: Feedback) -> None:
        """Raises `RefusedError` where there is no log, or it is full."""
        if self.log is None:
            raise RefusedError(
                404, "feedback is kept in the log of requests, and this server keeps none",
                kind=UNKNOWN, code="no_log",
            )  # fmt: skip
        score = feedback.score if feedback.correct is None else float(feedback.correct)
        metrics = {feedback.metric.name: feedback.metric.value} if feedback.metric else None
        said = {"score": score, "right_answer": feedback.answer, "metrics": metrics}
        entry = {n: v for n, v in said.items() if v is not None}
        if not self.log.put({"time": _now(), "about": feedback.about, **entry}):
            raise RefusedError(
                429, "the log takes nothing now; send it again later", kind=LIMITED,
                code="log_full", headers={"retry-after": "5"},
            )  # fmt: skip
        self.gauges.feedback.inc()

    def health(self) -> dict[str, Any]:
        status = "ok" if self.well and not self.refused else "degraded"
        students = {
            name: {"release": student.release, "tasks": list(student.kinds)}
            | ({"refused": self.refused[name]} if name in self.refused else {})
            for name, student in self.students.items()
        }
        shadow = {"shadow": self.shadow.health()} if self.shadow else {}
        log = {"log": self.log.health()} if self.log else {}
        return {"status": status, "students": students, **shadow, **log}

    def _count(self, question: Question, last: Piece) -> None:
        self.gauges.tokens.labels("prompt").inc(question.prompt_tokens)
        self.gauges.tokens.labels("completion").inc(last.written)
        if last.about.get("escalate"):
            self.gauges.escalated.labels(question.task).inc()

    def _log(self, entry: dict[str, Any]) -> None:
        if self.log is not None:
            taken = self.log.put(entry)
            self.gauges.logged.labels("handed" if taken else "dropped").inc()

    def _of_shadow(self, what: str) -> None:
        self.gauges.shadow.labels(what).inc()

    def _told(self, name: str) -> None:
        student = self.students[name]
        self.gauges.release.remove_by_labels({"student": student.name})
        self.gauges.release.labels(student.name, student.release or "unreleased").set(1)
        self.gauges.refused.labels(student.name).set(student.name in self.refused)

    async def _follow(self) -> None:
        tried: dict[str, tuple[str | None, float]] = {}
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self._replaced.let_go()
            for one in self.followed:
                release = await asyncio.to_thread(one.release)
                before, when = tried.get(one.student, (None, 0.0))
                waits = release == before and time.monotonic() < when + AGAIN_SECONDS
                if release == self.students[one.student].release:
                    self.refused.pop(one.student, None)
                    self.gauges.refused.labels(one.student).set(0)
                elif not waits:
                    tried[one.student] = (release, time.monotonic())
                    await self._take(one, release)

    async def _take(self, one: Followed, release: str | None) -> None:
        """Load the release beside the old one, which answers meanwhile, and on if it can't be."""
        try:
            new = await asyncio.get_running_loop().run_in_executor(self._loads, one.load)
        except Exception as error:
            why = error.message if isinstance(error, UserError) else type(error).__name__
            known = self.students[one.student].release
            logger.error("%s: %s: %s goes on answering", one.student, why, known)
            self.refused[one.student] = f"{release or 'nothing'} can't be served; see the log"
            self.gauges.refused.labels(one.student).set(1)
            return
        self._replaced.add(self.students[one.student])
        self.students[one.student] = new
        self.refused.pop(one.student, None)
        self._told(one.student)
        logger.info("%s: %s answers from now on", one.student, new.release)


def _entry(question: Question, said: str, last: Piece) -> dict[str, Any]:
    task = {} if question.task is None else {"task": question.task}
    return {
        "model": question.student.name,
        "release": question.student.release,
        **task,
        "input": question.text,
        "answer": said,
        "confidence": last.about.get("confidence"),
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
