"""A real server of a project, on a port of its own, for tests that talk to it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.forked import Started, start

PATIENCE_SECONDS = 180


@contextmanager
def serving(root: Path, *options: object) -> Iterator[tuple[str, Started]]:
    """`stillhouse serve` of the project in `root`: its address, once it answers, and itself."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    output = root / "server"
    output.mkdir()
    server = start("serve", "--project", root, "--port", port, *options, output=output)
    try:
        _wait_until_it_answers(url := f"http://127.0.0.1:{port}", server)
        yield url, server
    finally:
        server.process.kill()
        server.wait()


def _wait_until_it_answers(url: str, server: Started) -> None:
    ends = time.monotonic() + PATIENCE_SECONDS
    with httpx.Client() as client:  # one: each reads all certificates
        while True:
            assert server.process.is_alive(), server.said()
            assert time.monotonic() < ends, f"no answer in {PATIENCE_SECONDS} s: {server.said()}"
            try:
                if client.get(f"{url}/health").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
