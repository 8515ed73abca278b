"""The thread that owns the models: whatever waits is answered together, between steps of what is
being written.

A task whose answers are one token takes one forward pass over all that wait for it: these come
first, as they are done at once. Rows of written answers join between two steps, and leave when they
are done. Each request belongs to the student that it was made for: when a release is replaced, what
was asked of the old one is answered by it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.lm.continuous import Continuous, Row, Step
from stillhouse.lm.prompts import Example
from stillhouse.serve.students import Student
from stillhouse.tasks.common import Examples

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger("stillhouse")


class TooLateError(Exception):
    """A request was not done by its deadline."""


class FailedError(Exception):
    """Something went wrong in the engine; what, is in the log."""


@dataclass(eq=False)
class Job:
    """One request. `deadline` is a moment of `time.monotonic`. `deliver` is called in the engine's
    thread, and must not take long: with a row of probabilities, or with each `Step` of a `row`
    (None where its grammar left no token), and with an exception when it was not answered."""

    student: Student
    deadline: float
    deliver: Callable[[NDArray[Any] | Step | Exception | None], None]
    task: str | None = None
    example: Example | None = None
    row: Row | None = None
    unwanted: bool = False

    @property
    def dropped(self) -> bool:
        """Nobody waits for it any more; tells those who do, where it is too late."""
        if not self.unwanted and time.monotonic() > self.deadline:
            self.unwanted = True
            self.deliver(TooLateError())
        return self.unwanted


class Engine:
    """Answers jobs, in a thread of its own. `flush` is called after each round, when what was
    delivered may be passed on; `seen` with the number of requests of each pass."""

    def __init__(
        self,
        flush: Callable[[], None] = lambda: None,
        seen: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._flush, self._seen = flush, seen
        self._inbox: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._passes: deque[Job] = deque()
        self._rows: deque[Job] = deque()
        self._writing: dict[Row, Job] = {}
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._inbox.put(job)

    def stop(self) -> None:
        """Answer what is there, and end; waits for it."""
        self._inbox.put(None)
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def _run(self) -> None:
        while self._take():
            try:
                if self._passes:
                    self._pass()
                    self._flush()
                if self._rows or self._writing:
                    self._write()
            except Exception as error:  # whatever it is, those who ask next are answered
                self._fail_all(error)
            self._flush()

    def _take(self) -> bool:
        """Take in what came; waits where there is nothing to do. False at the end."""
        while True:
            idle = not (self._passes or self._rows or self._writing)
            if idle and self._ending:
                return False
            try:
                job = self._inbox.get(block=idle)
            except queue.Empty:
                return True
            if job is None:
                self._ending = True
            else:
                (self._rows if job.row is not None else self._passes).append(job)

    def _pass(self) -> None:
        """One forward pass, for all that asked the same task of the same student as the first."""
        first = self._passes[0]
        taken: list[Job] = []
        left: deque[Job] = deque()
        for job in self._passes:
            same = job.student is first.student and job.task == first.task
            (taken if same and len(taken) < first.student.at_once else left).append(job)
        self._passes = left
        jobs = [job for job in taken if not job.dropped]
        if not jobs:
            return
        kind, student = first.student.kinds[str(first.task)], first.student
        examples = [job.example for job in jobs if job.example is not None]
        blank = [""] * len(examples)
        try:
            asked = Examples(kind, examples, blank, blank)
            found = kind.predict(student.model, student.encoder, asked)
        except Exception as error:
            self._failed(jobs, error)
            return
        self._seen(len(jobs))
        for job, probabilities in zip(jobs, found, strict=True):
            job.deliver(probabilities)

    def _write(self) -> None:
        """Let rows join that there is room for, and write one token of each under way."""
        unwanted = [row for row, job in self._writing.items() if job.dropped]
        for student in {self._writing[row].student for row in unwanted}:
            student.writer.leave(unwanted)
        for row in unwanted:
            del self._writing[row]
        waiting = [job for job in self._rows if not job.dropped]
        self._rows = deque()
        students = list(dict.fromkeys([j.student for j in (*self._writing.values(), *waiting)]))
        for student in students:
            own = [job for job in waiting if job.student is student]
            try:
                writer = student.writer
                count = writer.fitting([job.row for job in own if job.row])
                self._rows.extend(own[count:])
                self._begin(own[:count], writer)
                if writer.rows:
                    self._seen(len(writer.rows))
                    self._told(writer.step())
            except Exception as error:
                mine = [j for j in (*self._writing.values(), *own) if j.student is student]
                self._writing = {r: j for r, j in self._writing.items() if j not in mine}
                self._rows = deque(job for job in self._rows if job not in mine)
                _reset(student)
                self._failed(mine, error)

    def _begin(self, jobs: Sequence[Job], writer: Continuous) -> None:
        rows = {job.row: job for job in jobs if job.row is not None}
        if rows:
            self._writing |= rows
            self._told(writer.admit(list(rows)))

    def _told(self, steps: Sequence[tuple[Row, Step | None]]) -> None:
        for row, step in steps:
            job = self._writing[row]
            if row.done:
                del self._writing[row]
            job.deliver(step)

    def _fail_all(self, error: Exception) -> None:
        jobs = [*self._passes, *self._rows, *self._writing.values()]
        self._passes, self._rows, self._writing = deque(), deque(), {}
        for student in {job.student for job in jobs}:
            _reset(student)
        self._failed(jobs, error)

    def _failed(self, jobs: Sequence[Job], error: Exception) -> None:
        # Its words may be those of a document.
        logger.error("%d requests failed: %s", len(jobs), type(error).__name__)
        for job in jobs:
            job.deliver(FailedError())


def _reset(student: Student) -> None:
    """What state its rows are in, nobody knows."""
    vars(student).pop("writer", None)
