"""The shadow: another channel's students answer again what was answered, and nobody waits for it.

A process of its own, of the lowest priority and on one thread, is asked once an answer was sent.
Whatever becomes of it (it is slow, fails, is killed), clients see nothing of it: what comes while
too much waits is dropped, and counted. See `shadowing` for the other end.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stillhouse.serve.wire import ChatRequest, CompletionRequest

logger = logging.getLogger("stillhouse")

# Requests, and bytes of them, that wait or are being answered.
WAITING, WAITING_BYTES = 256, 32 << 20
CLOSE_SECONDS = 20.0
ANSWERED, DROPPED, FAILED = "answered", "dropped", "failed"

Entry = dict[str, Any]


class Shadow:
    """Students of `channel`, by the names of those that are served."""

    def __init__(
        self, project: Path, channel: str, students: Sequence[str], *, waiting: int = WAITING
    ) -> None:
        self.channel, self._most = channel, waiting
        self._command = [sys.executable, "-m", "stillhouse.serve.shadowing", str(project), channel]
        self._command += students
        self._waiting: dict[int, tuple[Entry, int]] = {}
        self._bytes = self._number = 0
        self._lock = threading.Lock()
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._ended = True

    def start(self, log: Callable[[Entry], None], count: Callable[[str], None]) -> None:
        """From now on it answers. Each entry is given to `log` once, with the shadow's answer where
        there is one; `count` is told what became of it. Both are called from another thread."""
        self._log, self._count = log, count
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._ended = False
        self._threads = [
            threading.Thread(target=run, name=f"shadow {n}", daemon=True)
            for n, run in enumerate((self._hand_over, self._read))
        ]
        for thread in self._threads:
            thread.start()

    def put(self, entry: Entry, asked: ChatRequest | CompletionRequest) -> bool:
        """Let it answer too; False where too much waits, or it has ended: the entry is then the
        caller's to log."""
        if self._ended or len(self._waiting) >= self._most:
            return False
        chat = isinstance(asked, ChatRequest)
        request = asked.model_dump(exclude_unset=True, by_alias=True)
        message = {"chat": chat, "request": {**request, "stream": False}}
        with self._lock:
            self._number += 1
            line = json.dumps({"n": self._number, **message}).encode("ascii") + b"\n"
            if self._ended or self._bytes + len(line) > WAITING_BYTES:
                return False
            self._waiting[self._number] = entry, len(line)
            self._bytes += len(line)
        self._lines.put(line)
        return True

    def health(self) -> dict[str, Any]:
        return {"channel": self.channel, "status": "ended" if self._ended else "ok"}

    def close(self) -> None:
        """Let it finish what waits, for `CLOSE_SECONDS` at most; what is left is logged without."""
        self._lines.put(None)
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def _hand_over(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - as it was started
        try:
            while (line := self._lines.get()) is not None:
                pipe.write(line)
                pipe.flush()
            pipe.close()
        except OSError:
            pass  # it has ended, which `_read` sees too

    def _read(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None  # noqa: S101 - as it was started
        for line in pipe:
            try:
                said = json.loads(line)
            except ValueError:
                break  # it was killed as it said this
            self._done(said.pop("n"), said)
        with self._lock:
            self._ended = True
            left = list(self._waiting)
        if left or self._process.wait():
            logger.error("The shadow has ended; requests are answered, and not shadowed")
        for number in left:
            self._done(number, {})

    def _done(self, number: int, said: dict[str, Any]) -> None:
        with self._lock:
            entry, size = self._waiting.pop(number)
            self._bytes -= size
        answered = "answer" in said
        self._count(ANSWERED if answered else FAILED)
        self._log(entry | ({"shadow": said} if answered else {}))
