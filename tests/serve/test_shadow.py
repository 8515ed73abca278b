"""The shadow costs clients nothing and says what it did; feedback finds its request."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from stillhouse.errors import UserError
from stillhouse.serve.running import Asked, open_service
from stillhouse.serve.service import Service
from stillhouse.serve.shadow import Shadow
from stillhouse.serve.shadowing import answer_all
from stillhouse.serve.students import Student
from stillhouse.serve.wire import ChatRequest
from tests.release.conftest import finished, reopened

__all__ = ["finished"]
CHAT, COMPLETE, FEEDBACK = "/v1/chat/completions", "/v1/completions", "/v1/feedback"
BODY = {"model": "router:routing", "messages": [{"role": "user", "content": "Hello"}]}

# Stands for the other end: answers, falls over, says nothing.
ECHO = """
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    said = {"n": asked["n"], "release": "c-1", "answer": "billing", "confidence": 0.5}
    failed = "fail" in json.dumps(asked["request"])
    print(json.dumps({"n": asked["n"]} if failed else said), flush=True)
"""
DIES = 'import sys; sys.stdin.readline(); sys.stdout.write(\'{"n": 1, "ans\'); sys.exit(3)'
SLEEPS = "import time; time.sleep(60)"


class Log:
    """What the log would be given."""

    def __init__(self, *, full: bool = False) -> None:
        self.entries: list[dict[str, Any]] = []
        self.full = full

    def put(self, entry: dict[str, Any]) -> bool:
        if not self.full:
            self.entries.append(entry)
        return not self.full

    def health(self) -> dict[str, Any]:
        return {"status": "ok"}

    def close(self) -> None:
        pass


def shadow_of(code: str, **limits: Any) -> Shadow:
    found = Shadow(Path("project"), "candidate", ["router"], **limits)
    found._command = [sys.executable, "-c", code]
    return found


def shadowed(service: Service, code: str, **limits: Any) -> Log:
    log = Log()
    service.log, service.shadow = log, shadow_of(code, **limits)  # type: ignore[assignment]
    return log


def test_each_answer_is_logged_once_with_what_the_shadow_said(
    service: Service, talk: Callable[..., Any]
) -> None:
    log = shadowed(service, ECHO)

    async def asked(client: httpx.AsyncClient) -> Any:
        streamed = {**BODY, "stream": True}
        failing = {**BODY, "messages": [{"role": "user", "content": "fail 😀"}]}
        several = {"model": "router:routing", "prompt": ["One", "Two"]}
        found = [await client.post(CHAT, json=BODY), await client.post(CHAT, json=streamed)]
        found.append(await client.post(CHAT, json=failing))
        found.append(await client.post(COMPLETE, json=several))
        for _ in range(400):
            told = (await client.get("/metrics")).text
            if len(log.entries) == 5:
                break
            await asyncio.sleep(0.02)
        return found, told, (await client.get("/health")).json()

    found, told, health = talk(service, asked)
    assert [answer.status_code for answer in found] == [200] * 4
    ids = [answer.headers["x-request-id"] for answer in found]
    assert found[0].json()["id"] == f"chatcmpl-{ids[0]}"
    assert f'"id":"chatcmpl-{ids[1]}"' in found[1].text
    by_id = {entry["id"]: entry for entry in log.entries}
    assert set(by_id) == {*ids, f"{ids[3]}-1"}
    said = {"release": "c-1", "answer": "billing", "confidence": 0.5}
    assert [by_id[i].get("shadow") for i in ids] == [said, said, None, said]
    assert [by_id[i]["input"] for i in (ids[3], f"{ids[3]}-1")] == ["One", "Two"]
    assert 'stillhouse_shadow_total{what="answered"} 4.0' in told
    assert 'stillhouse_shadow_total{what="failed"} 1.0' in told
    assert health["shadow"] == {"channel": "candidate", "status": "ok"}


@pytest.mark.parametrize(("code", "what"), [(DIES, "failed"), (SLEEPS, "dropped")])
def test_whatever_becomes_of_the_shadow_clients_and_log_see_nothing_of_it(
    service: Service, talk: Callable[..., Any], code: str, what: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("stillhouse.serve.shadow.CLOSE_SECONDS", 0.2)
    log = shadowed(service, code, waiting=2)

    async def asked(client: httpx.AsyncClient) -> Any:
        found = [await client.post(CHAT, json=BODY) for _ in range(4)]
        assert service.shadow is not None
        if what == "failed":
            await asyncio.to_thread(service.shadow._process.wait)
            await asyncio.to_thread(service.shadow._threads[1].join)
        found.append(await client.post(CHAT, json=BODY))
        return found, (await client.get("/metrics")).text

    found, told = talk(service, asked)
    assert [answer.status_code for answer in found] == [200] * 5
    bodies = [{k: v for k, v in f.json().items() if k not in ("id", "created")} for f in found]
    assert bodies == [bodies[0]] * 5
    assert f'stillhouse_shadow_total{{what="{what}"}}' in told
    # All are logged, at the end those that still waited.
    ids = {answer.headers["x-request-id"] for answer in found}
    assert {entry["id"] for entry in log.entries} == ids and len(log.entries) == 5
    assert not any("shadow" in entry for entry in log.entries)


def test_more_bytes_than_may_wait_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stillhouse.serve.shadow.WAITING_BYTES", 500)
    monkeypatch.setattr("stillhouse.serve.shadow.CLOSE_SECONDS", 0.1)
    logged: list[Any] = []
    shadow = shadow_of(SLEEPS)
    request = ChatRequest.model_validate(BODY)
    assert not shadow.put({}, request)  # it was not begun
    shadow.start(logged.append, lambda _: None)
    large = ChatRequest.model_validate(
        {**BODY, "messages": [{"role": "user", "content": "x" * 900}]}
    )
    assert [shadow.put({"n": n}, r) for n, r in enumerate((request, large))] == [True, False]
    shadow.close()
    assert logged == [{"n": 0}]


def test_the_other_end_answers_as_a_server_does(student: Student) -> None:
    """Each request in its line; what it can't answer is one without an answer."""
    asked = [
        {"n": 1, "chat": True, "request": BODY},
        {"n": 2, "chat": False, "request": {"model": "router:routing", "prompt": "Hello"}},
        {"n": 3, "chat": True, "request": {**BODY, "model": "gone"}},
    ]
    lines = iter([*(json.dumps(one).encode() for one in asked), b""])
    said: list[bytes] = []

    class Lines:
        readline = staticmethod(lambda: next(lines))

    class Out:
        write = staticmethod(said.append)

    asyncio.run(answer_all(Service({"router": student}), Lines, Out))
    found = {one["n"]: one for one in map(json.loads, said)}
    assert (
        found[1]["answer"] == found[2]["answer"]
        and found[1]["answer"] in student.kinds["routing"].options
    )
    assert found[1]["confidence"] > 0 and found[3] == {"n": 3}


def test_a_shadow_needs_a_log_and_a_release(finished: Path) -> None:
    project = reopened(finished).project
    with pytest.raises(UserError, match="nothing was released"):
        open_service(project, Asked(shadow="candidate", log=Path("log")))
    from stillhouse.serve.running import _shadow
    from stillhouse.storage.layout import Layout

    layout = Layout(project.data_path)
    with pytest.raises(UserError, match="there is none"):
        _shadow(project, layout, Asked(shadow="candidate"), ["router"])
    with pytest.raises(UserError, match="nothing of router was released to it"):
        _shadow(project, layout, Asked(shadow="candidate", log=Path("log")), ["router"])


def test_feedback_is_taken_by_the_log_or_refused_with_a_reason(
    service: Service, talk: Callable[..., Any]
) -> None:
    log = Log()
    service.log = log  # type: ignore[assignment]
    right = {"id": "chatcmpl-" + "0a" * 12, "correct": True}
    wrong: list[Any] = [
        {}, {"id": right["id"]}, {**right, "score": 0.5}, {**right, "id": "someone@x"},
        {**right, "correct": "maybe"}, {"id": right["id"], "score": 1.5},
        {"id": right["id"], "metric": {"name": "A name", "value": 1}},
        {"id": right["id"], "metric": {"name": "solved", "value": "x"}},
        {"id": right["id"], "answer": "x" * 200_000}, {**right, "index": 99},
    ]  # fmt: skip

    async def told(client: httpx.AsyncClient) -> Any:
        schema = (await client.get("/openapi.json")).json()
        refused = [await client.post(FEEDBACK, json=body) for body in wrong]
        more = {"id": "0a" * 12, "index": 1, "score": 0.25, "answer": "hardware",
                "metric": {"name": "solved", "value": 2}}  # fmt: skip
        taken = [await client.post(FEEDBACK, json=body) for body in (right, more)]
        log.full = True
        full = await client.post(FEEDBACK, json=right)
        service.log = None
        return schema, refused, taken, full, await client.post(FEEDBACK, json=right)

    schema, refused, taken, full, none = talk(service, told)
    assert [answer.status_code for answer in refused] == [400] * len(wrong)
    assert all(answer.json()["error"]["message"] for answer in refused)
    assert [answer.status_code for answer in taken] == [202, 202]
    assert (full.status_code, full.json()["error"]["code"]) == (429, "log_full")
    assert (none.status_code, none.json()["error"]["code"]) == (404, "no_log")
    first, second = ({k: v for k, v in e.items() if k != "time"} for e in log.entries)
    assert first == {"about": "0a" * 12, "score": 1.0}
    assert second == {
        "about": "0a" * 12 + "-1", "score": 0.25, "right_answer": "hardware",
        "metrics": {"solved": 2.0},
    }  # fmt: skip
    assert FEEDBACK in schema["paths"] and "Feedback" in schema["components"]["schemas"]
