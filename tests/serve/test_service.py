"""A release takes the place of the one before, and no request is lost; the log is masked."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import resource
import shutil
import signal
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.monitor.assigned import assigned
from stillhouse.monitor.requests import requests_in
from stillhouse.release import channels
from stillhouse.release.promote import Asked, release, rollback
from stillhouse.serve import service as service_module
from stillhouse.serve.log import RequestLog
from stillhouse.serve.masked_log import masked, write
from stillhouse.serve.running import Asked as Served
from stillhouse.serve.running import open_service
from stillhouse.serve.service import Service
from stillhouse.serve.students import Calibration, _calibration
from stillhouse.state import State
from tests.made import MINIMAL
from tests.release.conftest import answering, finished, reopened

__all__ = ["finished"]
CHAT = "/v1/chat/completions"
BODY = {"model": "router", "messages": [{"role": "user", "content": "Hello"}]}
WHY = Asked("wanted in the shop")


@pytest.fixture
def released(finished: Path, tiny_teacher: Path, tmp_path: Path) -> State:
    """Two students, of which the first is in production."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    state = reopened(tmp_path)
    answering(state, tiny_teacher)
    release(state, "router", WHY, version="t-1")
    return state


@pytest.fixture
def opened(released: State, monkeypatch: pytest.MonkeyPatch) -> Service:
    monkeypatch.setattr(service_module, "LOOK_SECONDS", 0.02)
    return open_service(released.project, Served())


async def until(client: httpx.AsyncClient, done: Callable[[dict[str, Any]], bool]) -> None:
    """Ask until the health is as wanted; every request is answered meanwhile."""
    for _ in range(2000):
        answers = [await client.post(CHAT, json=BODY) for _ in range(2)]
        assert [a.status_code for a in answers] == [200, 200]
        if done((await client.get("/health")).json()):
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never came to be")


def test_a_new_release_answers_and_no_request_is_lost(
    released: State, opened: Service, talk: Callable[..., Any]
) -> None:
    old = opened.students["router"].release

    async def moved(client: httpx.AsyncClient) -> Any:
        body = {**BODY, "model": "router", "stream": False}
        before = await client.post(CHAT, json=body)
        new = await asyncio.to_thread(lambda: release(released, "router", WHY, version="t-2"))
        await until(client, lambda h: h["students"]["router"]["release"] == new.release)
        after = await client.post(CHAT, json=body)
        await asyncio.to_thread(rollback, released.layout, "router", WHY)
        await until(client, lambda h: h["students"]["router"]["release"] == old)
        told = (await client.get("/metrics")).text
        return before, after, new.release, told

    before, after, new, told = talk(opened, moved)
    assert before.json()["stillhouse"]["release"] == old != new
    assert after.json()["stillhouse"]["release"] == after.json()["system_fingerprint"] == new
    assert f'stillhouse_release{{release="{old}",student="router"}} 1.0' in told
    assert f'release="{new}"' not in told


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_a_release_that_is_cut_short_on_disk_ends_no_server(opened: Service) -> None:
    """No file of it is mapped: a look at what is no longer there would be the process's end."""
    maps = Path("/proc/self/maps").read_text()
    (student,) = opened.students.values()
    assert student.release and f"{student.release}/quantized" not in maps


def test_a_student_that_was_replaced_is_freed(
    released: State, opened: Service, talk: Callable[..., Any]
) -> None:
    model = opened.students["router"].model
    layer = next(module for module in model.modules() if module is not model)
    layer.held = [layer]  # as quantized layers hold themselves
    left = [weakref.ref(model), weakref.ref(layer)]
    del model, layer

    async def moved(client: httpx.AsyncClient) -> Any:
        new = await asyncio.to_thread(lambda: release(released, "router", WHY, version="t-2"))
        await until(client, lambda h: h["students"]["router"]["release"] == new.release)
        for _ in range(100):
            await asyncio.sleep(0.02)
            if not any(one() for one in left):
                break
        return [one() is None for one in left]

    gc.disable()
    try:
        assert talk(opened, moved) == [True, True]
    finally:
        gc.enable()


def test_what_does_not_verify_is_not_taken(
    released: State,
    opened: Service,
    talk: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old = opened.students["router"].release
    monkeypatch.setattr(service_module, "AGAIN_SECONDS", 0.05)

    async def edited(client: httpx.AsyncClient) -> Any:
        release(released, "router", WHY, version="t-2", channel="candidate")
        new = channels.pointed(released.layout, "router", "candidate")
        file = released.layout.release("router", str(new)) / "quantized" / "config.json"
        text = file.read_text()
        file.write_text(text.replace("llama", "lliam"))
        # As somebody with a shell would do it.
        link = released.layout.channel("router", "production")
        link.unlink()
        link.symlink_to(released.layout.release("router", str(new)))
        await until(client, lambda h: h["status"] == "degraded")
        health = (await client.get("/health")).json()
        told = (await client.get("/metrics")).text
        file.write_text(text)
        await until(client, lambda h: h["status"] == "ok")
        return new, health, told

    with caplog.at_level(logging.ERROR, "stillhouse"):
        new, health, told = talk(opened, edited)
    assert health["students"]["router"]["release"] == old
    assert new in health["students"]["router"]["refused"]
    assert "config.json" in caplog.text and "edited" in caplog.text
    assert 'stillhouse_release_refused{student="router"} 1.0' in told
    assert opened.students["router"].release == new  # once it was restored


def test_a_release_is_asked_as_it_was_when_it_was_released(released: State) -> None:
    """Whatever the project file says since then; and its confidence is what its files say."""
    project = released.project
    text = project.file.read_text()
    asks = "sources: [tickets], instruction: Another one.}"
    project.file.write_text(text.replace("sources: [tickets]}", asks))
    changed = load_project(project.file)
    assert changed.task("routing").instruction == "Another one."
    served = open_service(changed, Served()).students["router"]
    assert served.kinds["routing"].task.instruction == project.task("routing").instruction
    assert served.calibrated("routing") == Calibration()


def test_confidence_is_worth_what_the_file_beside_the_model_says(tmp_path: Path) -> None:
    known = {
        "routing": {"temperature": 1.4, "threshold": 0.8},
        "order": {"temperature": None, "threshold": None},
        "kept": {"temperature": 1.4, "threshold": 0.7},
        "student_quantized": {
            "order": {"answer": [1.0, 0.5], "fields": None},
            "kept": {"temperature": 1.4},
        },
    }
    (tmp_path / "calibration.json").write_text(json.dumps(known))
    assert _calibration(tmp_path, ["routing", "order", "kept", "other"]) == {
        "routing": Calibration(1.4, 0.8),
        "order": Calibration(learned={"answer": [1.0, 0.5], "fields": None}),
        "kept": Calibration(1.0, 0.7, {"temperature": 1.4}),
        "other": Calibration(),
    }


def test_calibration_that_lies_beside_the_weights_still_counts(tmp_path: Path) -> None:
    """Reports once left it there."""
    known = {"routing": {"temperature": 1.4, "threshold": 0.8}}
    (tmp_path / "quantized").mkdir()
    (tmp_path / "quantized" / "calibration.json").write_text(json.dumps(known))
    found = {"routing": Calibration(1.0, 0.8, known["routing"])}
    assert _calibration(tmp_path, ["routing"]) == found
    (tmp_path / "calibration.json").write_text(json.dumps({"routing": {"threshold": 0.7}}))
    assert _calibration(tmp_path, ["routing"]) == {"routing": Calibration(1.0, 0.7)}


def test_nothing_is_served_that_was_not_released(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    with pytest.raises(UserError, match="nothing was released to production"):
        open_service(reopened(tmp_path).project, Served())


class Masker:
    """Masks a name that it knows, is afraid of one, and misses one."""

    def clean_many(self, texts: list[str]) -> Any:
        from stillhouse.corpus.pii.masker import Masked

        for text in texts:
            if "Afraid" in text:
                raise RuntimeError(text)
            left = Masked(text, [1] if "Missed" in text else [])  # type: ignore[list-item]
            yield Masked(text.replace("Ada", "Person-kuvora"), []), left


def test_what_can_not_be_masked_is_not_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries = [
        {"time": f"2026-01-0{day}T10:00:00+00:00", "model": "router", "task": "routing",
         "release": "t-1-abc", "input": f"{who} asks", "answer": f"for {who}", "confidence": 0.5}
        for day, who in enumerate(["Ada", "Afraid", "Missed", "Ada"], start=1)
    ]  # fmt: skip
    lines = [json.dumps(entry).encode() for entry in [*entries, {"input": 3}]]
    write(masked(lines, Masker()), tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["requests-2026-01-01.jsonl", "requests-2026-01-04.jsonl"]
    (line,) = files[0].read_text().splitlines()
    assert json.loads(line)["input"] == "Person-kuvora asks"
    assert json.loads(line)["answer"] == "for Person-kuvora"
    assert "Ada" not in caplog.text and "Afraid" not in caplog.text
    project = Project.model_validate(_settings())
    (request,) = requests_in(json.loads(line), "serve")
    assert request.confidence == 0.5 and request.answer == "for Person-kuvora"
    found = assigned(request, project)
    assert (found.task, found.student, found.text) == ("routing", "router", "Person-kuvora asks")


def _settings() -> dict[str, Any]:
    import yaml

    found: dict[str, Any] = yaml.safe_load(MINIMAL)
    return found


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
def test_a_full_disk_ends_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    entries = [{"time": f"2026-01-0{day}T10:00:00+00:00", "input": "x"} for day in (1, 1, 2)]
    (tmp_path / "requests-2026-01-01.jsonl").symlink_to("/dev/full")
    with caplog.at_level(logging.WARNING, "stillhouse"):
        write(iter(entries), tmp_path)
    (line,) = (tmp_path / "requests-2026-01-02.jsonl").read_text().splitlines()
    assert json.loads(line) == entries[2]
    said = [record.message for record in caplog.records]
    assert len(said) == 2 and "No space left" in said[0] and "again" in said[1]


def test_half_a_line_is_taken_back(tmp_path: Path) -> None:
    """As a kernel writes that finds room for a part of it."""
    file = tmp_path / "requests-2026-01-01.jsonl"
    file.write_bytes(b"{}\n")
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
    try:
        write(iter([{"time": "2026-01-01T10:00:00+00:00", "input": "x"}]), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, heard)
    assert file.read_bytes() == b"{}\n"


def test_a_log_that_can_not_be_written_is_told_before_anybody_asks(
    released: State, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match="no file can be written there"):
        open_service(released.project, Served(log=tmp_path / "taken"))


def test_a_log_that_ends_keeps_nobody_waiting(
    service: Service, talk: Callable[..., Any], tmp_path: Path
) -> None:
    """Its process finds no project file; what waits for it is dropped, and counted."""
    service.log = RequestLog(tmp_path / "none.yaml", tmp_path / "log", waiting=2)

    async def asked(client: httpx.AsyncClient) -> Any:
        body = {**BODY, "model": "router:routing"}
        for _ in range(6):
            assert (await client.post(CHAT, json=body)).status_code == 200
        service.log._process.wait()  # type: ignore[union-attr]
        for _ in range(4):
            assert (await client.post(CHAT, json=body)).status_code == 200
        health = (await client.get("/health")).json()
        return (await client.get("/metrics")).text, health

    told, health = talk(service, asked)
    assert health["status"] == "ok" and health["log"] == {"status": "ended"}
    assert 'stillhouse_logged_total{what="dropped"}' in told
    assert not (tmp_path / "log").exists()
