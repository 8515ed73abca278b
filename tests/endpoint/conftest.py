"""The tests' own server, in a fork that has imported torch, and teachers that it runs."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.teacher import Teacher
from stillhouse.endpoint.client import Access
from stillhouse.endpoint.importing import import_endpoint
from tests.forked import FORKED


class Served:
    """A server process, and the means to have it misbehave."""

    def __init__(self, model: Path, folder: Path) -> None:
        from tests.endpoint.server import main

        self.model, self._address = model, folder / "port.json"
        self.process = FORKED.Process(target=main, args=(str(model), str(self._address)))
        self.process.start()

    @property
    def root(self) -> str:
        ends = time.monotonic() + 120
        while not self._address.exists():
            assert self.process.is_alive(), "the server ended"
            assert time.monotonic() < ends, "the server does not begin"
            time.sleep(0.02)
        return f"http://127.0.0.1:{json.loads(self._address.read_text())}"

    @property
    def model_of(self) -> str:
        return f"openai:{self.root}/v1#tiny"

    def behave(self, **how: Any) -> None:
        data = json.dumps(how).encode()
        request = urllib.request.Request(f"{self.root}/behave", data=data, method="PUT")
        urllib.request.urlopen(request, timeout=60).close()

    @property
    def seen(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.root}/seen", timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def stop(self) -> None:
        self.process.kill()
        self.process.join()


@pytest.fixture(scope="session")
def run_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Served]]:
    started: list[Served] = []

    def run(model: Path) -> Served:
        started.append(Served(model, tmp_path_factory.mktemp("server")))
        return started[-1]

    yield run
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def the_server(run_server: Callable[[Path], Served], tiny_base: Path) -> Served:
    """One that runs `tiny_base`."""
    return run_server(tiny_base)


@pytest.fixture
def server(the_server: Served) -> Served:
    """The same, behaving well."""
    the_server.behave()
    return the_server


@pytest.fixture
def teacher_of(server: Served) -> Callable[..., Teacher]:
    """A teacher that the server runs; `settings` are those of its section `endpoint`."""

    def make(**settings: Any) -> Teacher:
        quick = {"patience": 5.0, "timeout": 2.0, "concurrency": 4}
        return Teacher.model_validate(
            {
                "version": "remote-1",
                "model": server.model_of,
                "license": "MIT",
                "tokenizer": str(server.model),
                "adapt": {"method": "none"},
                "prompt": {"shots": 2},
                "endpoint": {**quick, **settings},
            }
        )

    return make


@pytest.fixture
def imported(
    teacher_of: Callable[..., Teacher], access: Callable[[Teacher], Access], tmp_path: Path
) -> Callable[..., tuple[Path, Access]]:
    """The folder of a teacher that the server runs, made anew, and how it is reached."""

    def make(**settings: Any) -> tuple[Path, Access]:
        teacher = teacher_of(**settings)
        folder = tmp_path / "model"
        folder.mkdir()
        reach = access(teacher)
        import_endpoint(teacher, Path(str(teacher.tokenizer)), folder, reach)
        return folder, reach

    return make


@pytest.fixture
def access(tmp_path: Path) -> Callable[[Teacher], Access]:
    return lambda teacher: Access(teacher.endpoint, tmp_path, tmp_path / "answered")
