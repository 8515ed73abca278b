"""Files read in processes of their own: one that hangs, crashes or fills the memory costs itself.

Neither `concurrent.futures` nor joblib survives a worker that dies, and none limits memory; so a
worker here has a connection, one file at a time, and somebody who watches it. Memory is what a
process really occupies: an address space limit would count what libraries only reserve.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import psutil

from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.corpus.parse.worker import PAGE, PROGRAM, READY
from stillhouse.errors import UserError

Job = dict[str, Any]
Result = list[dict[str, Any]] | Path | Unparsable

WATCH_SECONDS = 0.1
# A process takes seconds to import its parsers, as long as some fifty usual files take. One more is
# also started when a file takes long, so that the others need not wait for it.
FILES_WORTH_A_PROCESS = 50
LONG_SECONDS = 20.0
START_SECONDS = 120.0
STUCK_SECONDS = 5.0
# What a process takes at first, with its parsers.
START_BYTES = 384 << 20
# Of the memory for all, this much may be taken before one of them makes room: it is measured ten
# times a second, and grows in between.
TAKEN = 0.9
# Where this much of the memory for all is taken, a process that holds as much of its share is
# replaced after a file: the next needs more. Not at once: a new one loads its models again.
HELD = 0.8
FILES_WORTH_A_START = 10
# What counts of the process that starts the others, beside what it grows by: of a run in a terminal
# it holds much that has nothing to do with files.
OWN_BYTES = 400 << 20
# A crash may be chance (somebody else filled the memory): a file that does it twice is at fault.
ATTEMPTS = 2


@dataclass(frozen=True)
class Limits:
    """What one file may take; `seconds` begin anew with each page that is read off a picture, and
    with each file in it that another program reads. `memory` is that of such a program, too.

    `total` is for all processes together with the one that started them; by default a gigabyte for
    each, at least two. A process that keeps most of its share after a file is replaced. Where there
    is no room for all, the file that began last gives way and is read again later.
    """

    memory: int = 3 << 29
    seconds: float = 180.0
    seconds_a_megabyte: float = 60.0
    files_a_process: int = 1000
    total: int | None = None

    def allowed(self, size: int) -> float:
        return self.seconds + self.seconds_a_megabyte * size / 1e6


def processes_here(limits: Limits) -> int:
    """One for each core that this process may use, as far as memory for their limits is there."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(cores or 1, psutil.virtual_memory().total // limits.memory))


def read_files(
    jobs: Iterable[Job], handler: str, *, limits: Limits, processes: int | None = None
) -> Iterator[tuple[Job, Result]]:
    """Each job with what `handler` ("module:name") makes of it, as they are finished.

    A job is JSON; `size` is that of its file in bytes. Few jobs share one process.

    Raises:
        UserError: the handler did.
        RuntimeError: a process doesn't even start.
    """
    processes = processes or processes_here(limits)
    room_for_all = _Room(limits.total or max(2, processes) << 30, processes)
    jobs = iter(jobs)
    head = list(itertools.islice(jobs, processes * FILES_WORTH_A_PROCESS))
    wanted = -(-len(head) // FILES_WORTH_A_PROCESS)
    again: deque[Job] = deque()
    waiting = itertools.chain(head, jobs)
    workers: list[_Worker] = []
    crashes: dict[str, int] = {}
    try:
        while True:
            workers = [worker for worker in workers if worker.alive]
            for worker in workers:
                if worker.job is None and (job := _next(again, waiting)) is not None:
                    worker.give(job)
            taking_long = sum(worker.takes_long() for worker in workers)
            room = min(processes, wanted + taking_long) - len(workers)
            while room > 0 and room_for_all.for_one_more(workers):
                if (job := _next(again, waiting)) is None:
                    break
                room -= 1
                workers.append(_Worker(handler, limits))
                workers[-1].give(job)
            again.extend(room_for_all.made(workers))
            busy = [worker for worker in workers if worker.job is not None]
            if not busy:
                return
            ready = wait([worker.connection for worker in busy], timeout=WATCH_SECONDS)
            for worker in busy:
                job = worker.job or {}
                result = worker.look(worker.connection in ready)
                if result is None:
                    continue
                if worker.alive and room_for_all.outgrown(worker, workers):
                    worker.end()
                name = json.dumps(job, sort_keys=True)
                if isinstance(result, Unparsable) and result.category == "crashed":
                    crashes[name] = crashes.get(name, 0) + 1
                    if crashes[name] < ATTEMPTS:
                        again.append(job)
                        continue
                crashes.pop(name, None)
                yield job, result
    finally:
        for worker in workers:
            worker.end()


def _next(again: deque[Job], waiting: Iterator[Job]) -> Job | None:
    return again.popleft() if again else next(waiting, None)


class _Room:
    """The memory for all processes, in bytes, and who has to leave it."""

    def __init__(self, total: int, processes: int) -> None:
        self.most, self.processes = int(TAKEN * total), processes
        self._process = psutil.Process()
        self._before = self._process.memory_info().rss

    def _own(self) -> int:
        grown = self._process.memory_info().rss - self._before
        return max(0, min(self._before, OWN_BYTES) + int(grown))

    def _used(self, workers: list[_Worker]) -> int:
        return self._own() + sum(w.memory() for w in workers if w.alive)

    def for_one_more(self, workers: list[_Worker]) -> bool:
        """One there is always: what it may take is limited by itself."""
        return not workers or self._used(workers) + START_BYTES <= self.most

    def outgrown(self, worker: _Worker, workers: list[_Worker]) -> bool:
        """Whether it holds too much of what becomes scarce, and more than it begins with."""
        if worker.files < FILES_WORTH_A_START or self._used(workers) < HELD * self.most:
            return False
        share = (self.most - self._own()) // self.processes
        return worker.memory() > max(HELD * share, START_BYTES)

    def made(self, workers: list[_Worker]) -> Iterator[Job]:
        """End processes until there is room; the jobs that are to be done again. The job that
        began first goes on, so that each is done in the end."""
        while self._used(workers) > self.most:
            alive = [worker for worker in workers if worker.alive]
            if len(alive) < 2:
                return
            last = max(alive, key=lambda worker: (worker.job is None, worker.given))
            last.end()
            if last.job is not None:
                yield last.job
                last.job = None


class _Worker:
    """A process, the file it reads, and how long and in how much memory it may do so."""

    def __init__(self, handler: str, limits: Limits) -> None:
        self.limits = limits
        self.connection, theirs = Pipe()
        command = [sys.executable, "-P", "-m", "stillhouse.corpus.parse.worker"]
        with theirs:
            # Not multiprocessing: that would import the caller's main module in each worker.
            self.process = subprocess.Popen(  # noqa: S603 - our own module
                [*command, str(theirs.fileno()), handler],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                process_group=0,  # with the programs that it starts
                # One process a core: threads of theirs would wait for each other.
                env={**os.environ, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"},
            )
        self.usage = psutil.Process(self.process.pid)
        self.job: Job | None = None
        self.ready, self.alive, self.files = False, True, 0
        self.has_program = False
        self.deadline = self.started = self.given = 0.0

    def give(self, job: Job) -> None:
        self.job, self.given = job, time.monotonic()
        self.files += 1
        self._start_clock()
        with suppress(OSError):  # it died in between: `look` says so
            self.connection.send_bytes(json.dumps(job).encode())

    def _start_clock(self) -> None:
        size = (self.job or {}).get("size") or 0
        self.started = time.monotonic()
        allowed = self.limits.allowed(size) if self.ready else START_SECONDS
        self.deadline = self.started + allowed

    def takes_long(self) -> bool:
        return self.job is not None and time.monotonic() > self.started + LONG_SECONDS

    def look(self, has_words: bool) -> Result | None:
        """What came of the job; None while it is being read."""
        try:
            if has_words:
                return self._hear(self.connection.recv_bytes())
        except (EOFError, OSError):
            return self._lost()
        if self.memory() > self.limits.memory:
            return self._killed(
                "too_large",
                f"reading it takes more than {self.limits.memory >> 20} MB of memory",
                "split it into smaller files, or save it anew: a small file that unpacks to so "
                "much may be made to do harm.",
            )
        if time.monotonic() > self.deadline:
            if not self.ready:
                self.end()
                raise RuntimeError("a process that reads files does not start")
            size = (self.job or {}).get("size") or 0
            return self._killed(
                "too_slow",
                f"reading it takes more than {self.limits.allowed(size):.0f} seconds",
                "split it into smaller files, or save it anew in its own program.",
            )
        return None

    def _hear(self, words: bytes) -> Result | None:
        if words == READY:
            self.ready = True
            self._start_clock()
            return None
        if words in (PAGE, PROGRAM):
            self.has_program |= words == PROGRAM
            self.deadline = max(self.deadline, time.monotonic() + self.limits.seconds)
            return None
        answer = json.loads(words)
        self.job, self.has_program = None, False
        if "user_error" in answer:
            message, remedy = answer["user_error"]
            raise UserError(message, remedy=remedy)
        if self.files >= self.limits.files_a_process:
            self.end()
        if "part" in answer:
            return Path(answer["part"])
        if "rows" in answer:
            rows: list[dict[str, Any]] = answer["rows"]
            return rows
        category, reason, remedy = answer["unparsable"] or (
            "too_large",
            "reading it takes more memory than there is",
            "split it into smaller files.",
        )
        return Unparsable(category, reason, remedy=remedy)

    def _lost(self) -> Unparsable:
        self.end(patience=STUCK_SECONDS)
        code = self.process.returncode or 0
        if not self.ready:
            raise RuntimeError(f"a process that reads files does not start: it ended with {code}")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return Unparsable(
            "crashed",
            f"its parser crashed ({how})",
            remedy="open it in its own program and save it again, or remove it.",
        )

    def _killed(self, category: str, reason: str, remedy: str) -> Unparsable:
        self.end()
        return Unparsable(category, reason, remedy=remedy)

    def memory(self) -> int:
        """Bytes that the process occupies, and the programs that it has started."""
        held = 0
        with suppress(psutil.Error):
            held = int(self.usage.memory_info().rss)
            for other in self.usage.children(recursive=True) if self.has_program else ():
                with suppress(psutil.Error):
                    held += int(other.memory_info().rss)
        return held

    def end(self, patience: float = 0.0) -> None:
        """Kill the process, unless it ends by itself in time, and all that it started."""
        self.alive = False
        self.connection.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(patience)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        # What reads from a share that is dead can't even be killed: it is left to itself.
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STUCK_SECONDS)
