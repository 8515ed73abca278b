"""The log of requests, masked before any of it is written.

Masking takes longer than answering, so a process of its own does it, of low priority, behind a
bounded queue: what comes too fast is dropped, and counted, and no request ever waits for it. What
that process reads comes through a pipe and lies on no disk. See `masked_log` for the other end.
"""

from __future__ import annotations

import json
import logging
import queue
import subprocess
import sys
import threading
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from stillhouse.errors import UserError

logger = logging.getLogger("stillhouse")

WAITING = 1000  # requests
CLOSE_SECONDS = 60.0


def require_writable(folder: Path) -> None:
    """Make the folder; raises `UserError` where no file can be written to it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"--log {folder}: no file can be written there ({error.strerror})",
            remedy="name a folder that the account which serves may write to.",
        ) from error


class RequestLog:
    """Masks by the settings of `project`, a project file, and writes to `folder`."""

    def __init__(self, project: Path, folder: Path, *, waiting: int = WAITING) -> None:
        self._waiting: queue.Queue[bytes | None] = queue.Queue(waiting)
        command = [sys.executable, "-m", "stillhouse.serve.masked_log", str(project), str(folder)]
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            # Ctrl-C ends the server alone, which then closes the log.
            command,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )
        self._broken = False
        self._thread = threading.Thread(target=self._hand_over, name="log", daemon=True)
        self._thread.start()

    def put(self, entry: dict[str, Any]) -> bool:
        """Hand a request over; False where it is dropped: the queue is full, or the process is
        gone."""
        if self._broken or self._process.poll() is not None:
            return False
        try:
            self._waiting.put_nowait(json.dumps(entry).encode("ascii") + b"\n")
        except queue.Full:
            return False
        return True

    def health(self) -> dict[str, Any]:
        return {"status": "ok" if self._process.poll() is None else "ended"}

    def close(self) -> None:
        """Let what waits be masked and written, for `CLOSE_SECONDS` at most."""
        try:
            if not self._broken:
                self._waiting.put(None, timeout=CLOSE_SECONDS)
            self._thread.join(CLOSE_SECONDS)
            self._process.wait(CLOSE_SECONDS)
        except (queue.Full, subprocess.TimeoutExpired):
            logger.warning("The log of requests was not done in time; the rest of it is dropped")
            self._process.kill()
            self._process.wait()

    def _hand_over(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None  # noqa: S101 - as it was started
        try:
            while (line := self._waiting.get()) is not None:
                pipe.write(line)
                if self._waiting.empty():
                    pipe.flush()
            pipe.close()
        except OSError:
            self._broken = True
            logger.error("The log of requests has ended; requests are answered, and not logged")
