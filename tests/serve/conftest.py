"""A student of two tasks that knows nothing, served in this process."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from stillhouse.config.dataset import ClassificationTask, ExtractionTask, QuestionAnsweringTask
from stillhouse.serve.app import application
from stillhouse.serve.service import Service
from stillhouse.serve.students import Student, load

Talk = Callable[[httpx.AsyncClient], Awaitable[Any]]


@pytest.fixture(scope="session")
def tasks(routing: ClassificationTask) -> list[Any]:
    order = ExtractionTask(
        name="order",
        kind="extraction",
        sources=["tickets"],
        instruction="Read the order.",
        max_answer_tokens=36,
        fields={"color": {"values": ["red", "green"]}, "urgent": {"type": "boolean"}},
    )
    asked = QuestionAnsweringTask(
        name="handbook", kind="question_answering", sources=["tickets"], max_answer_tokens=6
    )
    return [routing, order, asked]


@pytest.fixture(scope="session")
def student(tiny_teacher: Path, tasks: list[Any], tmp_path_factory: Any) -> Student:
    folder = tmp_path_factory.mktemp("served")
    shutil.copytree(tiny_teacher, folder / "quantized")
    return load("router", folder, tasks, 64)


@pytest.fixture
def service(student: Student) -> Service:
    return Service({"router": student})


@pytest.fixture
def talk() -> Callable[..., Any]:
    """Lets a coroutine talk to a service that runs meanwhile."""

    def run(service: Service, said: Talk, host: str = "localhost") -> Any:
        async def both() -> Any:
            app = application(service)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)  # type: ignore[arg-type]
            async with (
                service.running(),
                httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client,
            ):
                return await said(client)

        return asyncio.run(both())

    return run


@pytest.fixture
def limited(service: Service) -> Callable[..., Service]:
    def with_limits(**limits: Any) -> Service:
        service.limits = replace(service.limits, **limits)
        return service

    return with_limits
