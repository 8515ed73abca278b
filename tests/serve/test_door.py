"""Who comes in, how much of it, and what is said to the others."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from stillhouse.errors import UserError
from stillhouse.serve.engine import Engine
from stillhouse.serve.keys import Keys, read_keys
from stillhouse.serve.running import require_loopback
from stillhouse.serve.service import Service

CHAT = "/v1/chat/completions"
BODY = {"model": "router:routing", "messages": [{"role": "user", "content": "Hello"}]}
KEY = "a-key-of-the-tests-no-secret"


def reason(answer: httpx.Response) -> Any:
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    return answer.json()["error"]["code"]


def keys(folder: Path, text: str = f"# who\n\nada {KEY}\n", mode: int = 0o600) -> Path:
    path = folder / "keys"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_keys_are_asked_for_wherever_there_are_any(
    service: Service, talk: Callable[..., Any], tmp_path: Path
) -> None:
    service.keys = read_keys(keys(tmp_path))

    async def every(client: httpx.AsyncClient) -> Any:
        return [
            await client.request(method, path, json=body, headers=headers)
            for method, path, body in (
                ("POST", CHAT, BODY), ("GET", "/v1/models", None), ("GET", "/metrics", None),
            )
            for headers in (
                {}, {"authorization": "Bearer wrong-" + KEY}, {"authorization": f"Basic {KEY}"},
                {"authorization": "Bearer "}, {"authorization": f"Bearer {KEY}"},
            )
        ] + [await client.get("/health")]  # fmt: skip

    *found, health = talk(service, every, "elsewhere.example")
    assert [f.status_code for f in found] == [401, 401, 401, 401, 200] * 3
    assert reason(found[0]) == "invalid_api_key" and KEY not in found[1].text
    assert health.status_code == 200
    assert KEY not in repr(vars(service.keys))


def test_without_keys_only_names_of_this_machine_are_answered_to(
    service: Service, talk: Callable[..., Any]
) -> None:
    """A page may let its own name point here: a browser then sends that name."""

    async def asked(client: httpx.AsyncClient) -> Any:
        return [
            await client.get("/v1/models", headers={"host": host})
            for host in ("rebound.example", "127.0.0.1.example:8000", "", "127.0.0.1:8000", "[::1]")
        ]

    assert [f.status_code for f in talk(service, asked)] == [403, 403, 403, 200, 200]
    for host in ("127.0.0.1", "localhost", "::1"):
        require_loopback(host, None)
    with pytest.raises(UserError, match="anybody may without keys"):
        require_loopback("0.0.0.0", None)
    require_loopback("0.0.0.0", Path("keys"))


@pytest.mark.parametrize(
    ("text", "mode", "says"),
    [
        (f"ada {KEY}", 0o640, "others may read"),
        (f"ada {KEY}", 0o604, "others may read"),
        ("ada short", 0o600, "line 1"),
        (f"\n{KEY}\n", 0o600, "line 2"),
        ("# none\n", 0o600, "no key in it"),
    ],
)
def test_a_file_of_keys_is_its_owners_alone(
    tmp_path: Path, text: str, mode: int, says: str
) -> None:
    path = keys(tmp_path, text, mode)
    with pytest.raises(UserError, match=says) as caught:
        read_keys(path)
    assert KEY not in str(caught.value) and "short" not in str(caught.value)


def test_a_file_of_keys_is_no_link_and_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keys(tmp_path)
    (tmp_path / "link").symlink_to(path)
    for wrong in (tmp_path / "link", tmp_path / "none", tmp_path):
        with pytest.raises(UserError):
            read_keys(wrong)
    owner = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    with pytest.raises(UserError, match="not a file of this user"):
        read_keys(path)


def test_large_bodies_are_refused_said_or_not(
    limited: Callable[..., Service], talk: Callable[..., Any]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 100

    async def every(client: httpx.AsyncClient) -> Any:
        return [
            await client.post(CHAT, content=b"x" * 600),
            await client.post(CHAT, content=pieces(), headers={"content-type": "application/json"}),
            await client.post(CHAT, content=b"{}", headers={"content-length": "9" * 400}),
            await client.post(CHAT, json=BODY),
        ]

    *large, good = talk(limited(body=500), every)
    assert [f.status_code for f in large] == [413] * 3 and good.status_code == 200
    assert reason(large[0]) == "request_too_large"


def test_who_asks_too_often_is_told_when_to_come_again(
    limited: Callable[..., Service], talk: Callable[..., Any]
) -> None:
    service = limited(rate=1.5)
    service.keys = Keys({})

    async def every(client: httpx.AsyncClient) -> Any:
        return [await client.post(CHAT, json=BODY) for _ in range(5)]

    found = talk(service, every)
    refused = [f for f in found if f.status_code == 429]
    assert found[0].status_code == 200 and refused
    assert reason(refused[0]) == "rate_limit_exceeded"
    assert int(refused[0].headers["retry-after"]) >= 1


class Stalled(Engine):
    """An engine that does nothing until it is let."""

    def submit(self, job: Any) -> None:
        waiting.append((self, job))


waiting: list[Any] = []


def test_a_full_queue_refuses_and_takes_again(
    limited: Callable[..., Service], talk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stillhouse.serve.service.Engine", Stalled)
    waiting.clear()

    async def every(client: httpx.AsyncClient) -> Any:
        first = [asyncio.create_task(client.post(CHAT, json=BODY)) for _ in range(3)]
        while len(waiting) < 3:
            await asyncio.sleep(0.01)
        refused = await client.post(CHAT, json=BODY)
        health = await client.get("/health")
        for engine, job in waiting:
            Engine.submit(engine, job)
        done = await asyncio.gather(*first)
        again = asyncio.create_task(client.post(CHAT, json=BODY))
        while len(waiting) < 4:
            await asyncio.sleep(0.01)
        Engine.submit(*waiting[3])
        return refused, health, [*done, await again]

    refused, health, good = talk(limited(queue=3), every)
    assert refused.status_code == 429 and reason(refused) == "queue_full"
    assert int(refused.headers["retry-after"]) >= 1
    assert health.status_code == 200 and [f.status_code for f in good] == [200] * 4


def test_what_takes_too_long_is_told_so(
    limited: Callable[..., Service], talk: Callable[..., Any]
) -> None:
    async def asked(client: httpx.AsyncClient) -> Any:
        written = {**BODY, "model": "router:order"}
        streamed = await client.post(CHAT, json={**written, "stream": True})
        return [await client.post(CHAT, json=body) for body in (BODY, written)], streamed

    found, streamed = talk(limited(seconds=-1.0), asked)
    assert [f.status_code for f in found] == [503, 503] and reason(found[0]) == "timeout"
    assert '"code":"timeout"' in streamed.text and streamed.text.endswith("data: [DONE]\n\n")


def test_answers_carry_nothing_that_runs(service: Service, talk: Callable[..., Any]) -> None:
    wicked = "<script>alert(1)</script>\x1b[31m\u202e"

    async def every(client: httpx.AsyncClient) -> Any:
        raw = {"model": "router", "prompt": wicked, "max_tokens": 4}
        return [
            await client.get("/docs"),
            await client.get(f"/v1/models/{quote(wicked)}"),
            await client.post(CHAT, json={**BODY, "model": wicked}),
            await client.post(CHAT, json={**BODY, "n": wicked}),
            await client.post("/v1/completions", json=raw),
            await client.get("/health"),
            await client.get("/metrics"),
        ]

    found = talk(service, every)
    assert [f.status_code for f in found[:4]] == [404, 404, 404, 400]
    for answer in found:
        assert answer.content.isascii() and b"\x1b" not in answer.content
        assert "html" not in answer.headers["content-type"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not [f for f in found if "<script>" in f.text]


def test_a_failure_is_told_without_its_words(
    service: Service,
    talk: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever breaks, the engine goes on."""
    kind = type(service.students["router"].kinds["routing"])
    predict = kind.predict

    def broken(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(kind, "predict", predict)
        raise ValueError("Hello, said the document")

    monkeypatch.setattr(kind, "predict", broken)

    async def twice(client: httpx.AsyncClient) -> Any:
        return [await client.post(CHAT, json=BODY) for _ in range(2)]

    first, second = talk(service, twice)
    assert first.status_code == 500 and second.status_code == 200
    assert "document" not in first.text + caplog.text and "ValueError" in caplog.text
