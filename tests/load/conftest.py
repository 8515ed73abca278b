"""Servers of the tests' own, processes on loopback."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stillhouse.load.request import Prompt
from stillhouse.load.target import Target, target_of


class Own:
    def __init__(self) -> None:
        file = Path(__file__).with_name("server.py")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", file], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}/v1"

    @property
    def target(self) -> Target:
        return target_of(self.url)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture
def own_server() -> Iterator[Callable[[], Own]]:
    started: list[Own] = []

    def start() -> Own:
        started.append(Own())
        return started[-1]

    yield start
    for one in started:
        one.kill()


@pytest.fixture(scope="module")
def server() -> Iterator[Own]:
    one = Own()
    yield one
    one.kill()


@pytest.fixture
def asks() -> Callable[..., list[Prompt]]:
    """Prompts for models, whose names say what the server does."""

    def of(*models: str) -> list[Prompt]:
        message = [{"role": "user", "content": "Hello"}]
        return [Prompt("/chat/completions", {"model": m, "messages": message}, m) for m in models]

    return of
