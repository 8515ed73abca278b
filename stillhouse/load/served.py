"""A student's own server: `stillhouse serve`, a process beside this one, on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from stillhouse.errors import UserError

HOST = "127.0.0.1"
STARTS_SECONDS, ENDS_SECONDS = 600.0, 20.0
# Requests that it takes at once, beyond the callers: those of an open loop may pile up.
QUEUE = 1024


@dataclass(frozen=True)
class Served:
    """`url` is its interface, `starts` how many seconds it took until it answered."""

    url: str
    process: int
    starts: float


@contextmanager
def serving(
    project_file: Path, student: str, version: str, *, queue: int = QUEUE
) -> Iterator[Served]:
    """The student as it is now, released or not, while the block runs; it is gone afterwards, also
    where this process is killed.

    Raises `UserError` where it doesn't start.
    """
    port = _free_port()
    command = [
        *(sys.executable, "-m", "stillhouse.cli.attached", "serve", student, "--unreleased"),
        *("--teacher", version, "--project", str(project_file), "--host", HOST),
        *("--port", str(port), "--queue", str(queue)),
    ]
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - our own command
        command,
        # Open as long as this process lives.
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    ) as process:
        try:
            _wait(process, port, student)
            yield Served(f"http://{HOST}:{port}/v1", process.pid, time.monotonic() - began)
        finally:
            _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, student: str) -> None:
    import httpx

    ends = time.monotonic() + STARTS_SECONDS
    # One client: each reads all certificates, which costs the starting server a core.
    with httpx.Client(trust_env=False, timeout=5) as client:
        while process.poll() is None and time.monotonic() < ends:
            with suppress(httpx.TransportError):
                if client.get(f"http://{HOST}:{port}/health").status_code == 200:
                    return
            time.sleep(0.1)
    raise UserError(
        f"latency: `stillhouse serve {student}` did not start",
        remedy=f"see above what it said; try `stillhouse serve {student} --unreleased` yourself.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()  # as it would be, were this process killed
    try:
        process.wait(ENDS_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
