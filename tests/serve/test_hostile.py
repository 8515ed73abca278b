"""Whoever wants to break it is told no, in the form that clients read, and holds nobody else up."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import httpx
import pytest
import uvicorn

from stillhouse.serve import connection, door, schemas
from stillhouse.serve.running import configured
from stillhouse.serve.service import Service
from tests.serve.hostile import CHAT, GOOD, HEADS, SCHEMAS, TYPES, WIRE, bodies, chat, get, held


@contextmanager
def listening(service: Service) -> Iterator[tuple[int, set[Any]]]:
    """Port and connections of the server, as it is configured."""
    server = uvicorn.Server(configured(service, "127.0.0.1", 0))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1], server.server_state.connections
    finally:
        server.should_exit = True
        thread.join(60)
        assert not thread.is_alive()


def said(port: int, data: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the first answer; 0 where there was none."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as stream:
        with suppress(OSError):  # it has heard enough
            stream.sendall(data)
        found = stream.recv(1 << 16)
        if b"\r\n\r\n" not in found or found.endswith(b"\r\n\r\n"):
            found += stream.recv(1 << 16)
    head, _, body = found.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    if not status:
        return 0, {}, b""
    return int(status.split()[1]), dict(line.split(": ", 1) for line in lines), body


def reason(body: bytes) -> str:
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"} and error["message"]
    return str(error["message"])


def test_what_is_no_request_is_refused_as_one(service: Service) -> None:
    """With what uvicorn alone would take, or answer in a form of its own."""
    with listening(service) as (port, _):
        for name, (data, statuses) in WIRE.items():
            status, headers, body = said(port, data)
            assert status in statuses, (name, status)
            assert reason(body), name
            assert headers["x-content-type-options"] == "nosniff", name
        for one in ("application/json", "Application/JSON ; charset=utf-8"):
            heads = HEADS.replace(b"application/json", one.encode())
            data = b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b"
            found = said(port, data % (CHAT.encode(), heads, len(GOOD), GOOD))
            assert found[0] == 200


def test_whoever_sends_too_much_hears_why(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one who reads nothing before all of it is sent, as clients do."""
    monkeypatch.setattr(door, "REST_SECONDS", 20.0)
    service.limits = type(service.limits)(body=1 << 16)
    part = b"%x\r\n%b\r\n" % (1 << 20, b"x" * (1 << 20))
    for head, body in (
        (b"Content-Length: %d" % (24 << 20), b"x" * (24 << 20)),
        (b"Transfer-Encoding: chunked", part * 24 + b"0\r\n\r\n"),
    ):
        asked = b"POST %b HTTP/1.1\r\n%b%b\r\n\r\n" % (CHAT.encode(), HEADS, head)
        with (
            listening(service) as (port, _),
            socket.create_connection(("127.0.0.1", port), timeout=30) as stream,
        ):
            stream.sendall(asked + body)
            assert stream.recv(1 << 16).startswith(b"HTTP/1.1 413 "), head
    monkeypatch.setattr(door, "REST_SECONDS", 0.1)
    with listening(service) as (port, _):
        expects = b"Expect: 100-continue\r\nContent-Length: 99999999"
        for head in (expects, b"Content-Length: 99999999"):  # the second one never sends it
            status, _, said_ = said(port, b"POST %b HTTP/1.1\r\n%b%b\r\n\r\n" % (
                CHAT.encode(), HEADS, head))  # fmt: skip
            assert status == 413 and "larger" in reason(said_)


def test_who_says_nothing_or_hears_nothing_is_let_go(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(connection, "STALLED_SECONDS", 0.2)
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)
    service.limits = type(service.limits)(body_seconds=0.2)
    with listening(service) as (port, connections):
        for sent in (b"", b"GET /hea", b"\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as stream:
                stream.sendall(sent)
                assert stream.recv(1 << 16).startswith(b"HTTP/1.1 408 "), sent
                assert not stream.recv(1 << 16)  # it closes
        assert said(port, get(b"/health"))[0] == 200
        short = b"POST %b HTTP/1.1\r\n%bContent-Length: 90\r\n\r\n{" % (CHAT.encode(), HEADS)
        with socket.create_connection(("127.0.0.1", port), timeout=30) as stream:
            stream.sendall(short)
            assert stream.recv(1 << 16).startswith(b"HTTP/1.1 408 ")
            while stream.recv(1 << 16):
                pass  # it closes, though there is more to come
        # Asks and asks, and never reads.
        with socket.socket() as stream:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stream.connect(("127.0.0.1", port))
            stream.sendall(get(b"/metrics") * 1000)
            while not connections:
                time.sleep(0.01)
            while connections:  # until it was let go
                time.sleep(0.01)
            found = b""
            while part := stream.recv(1 << 20):
                found += part
            assert 0 < found.count(b"HTTP/1.1 200") < 1000


def test_bodies_that_are_no_good_are_refused_with_a_reason(
    service: Service, talk: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    async def every(client: httpx.AsyncClient) -> list[Any]:
        heads = {"content-type": "application/json"}
        found = [
            (name, await client.post(path, content=data, headers=heads))
            for name, path, data in bodies()
        ]
        found += [
            (kind, await client.post(CHAT, content=GOOD, headers={"content-type": kind}))
            for kind in TYPES
        ]
        return found

    with caplog.at_level(logging.WARNING):
        found = talk(service, every)
    for name, answer in found:
        assert answer.status_code == 200 or 400 <= answer.status_code < 500, name
        if answer.status_code != 200:
            assert reason(answer.content), name
    assert sum(answer.status_code != 200 for _, answer in found) > 90
    assert [answer.status_code for name, answer in found if name in TYPES] == [415] * len(TYPES)
    assert not caplog.text


@pytest.mark.parametrize("name", ["patterns that all hold", "elsewhere", "deep", "ways back"])
def test_schemas_that_are_no_good_are_refused_with_a_reason(
    service: Service, talk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Before they cost much; what looks like it and can be had is answered."""
    monkeypatch.setattr(schemas, "CPU_SECONDS", 1)
    answer = talk(service, lambda client: client.post(CHAT, json=held(SCHEMAS[name])))
    assert answer.status_code == (200 if name == "ways back" else 400)
    if answer.status_code == 400:
        assert answer.json()["error"]["code"] == "schema_not_served"


def test_json_as_deep_as_it_is_still_read_is_refused(
    service: Service, talk: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python reads what it can no longer write: somewhere below a depth of 1,000."""
    monkeypatch.setattr(schemas, "_tried", lambda _: False)

    async def every(client: httpx.AsyncClient) -> list[Any]:
        asked = json.dumps(held({"const": 0}))
        return [
            await client.post(
                CHAT,
                content=asked.replace('"const": 0', f'"const": {"[" * depth}{"]" * depth}'),
                headers={"content-type": "application/json"},
            )
            for depth in range(700, 1000, 6)
        ]

    assert {answer.status_code for answer in talk(service, every)} == {400}


def test_a_schema_that_breaks_while_it_is_followed_ends_no_other_answer(
    service: Service, talk: Callable[..., Any]
) -> None:
    async def both(client: httpx.AsyncClient) -> list[Any]:
        broken = held(SCHEMAS["one of thousands"])
        return await asyncio.gather(
            *(client.post(CHAT, json=body) for body in (broken, chat(model="router:order")) * 3)
        )

    found = talk(service, both)
    assert [answer.status_code for answer in found] == [400, 200] * 3
    assert found[0].json()["error"]["code"] == "schema_not_served"


def test_a_refusal_says_nothing_of_what_a_client_put_there(
    service: Service, talk: Callable[..., Any]
) -> None:
    name = "Ada Lovelace"

    async def every(client: httpx.AsyncClient) -> list[Any]:
        return [
            await client.post(CHAT, json=chat(**changed))
            for changed in (
                {"metadata": {name: 3}}, {"logit_bias": {name: "x"}},
                {"response_format": {"type": name}}, {"messages": [{"role": name}]},
                {"messages": [{"role": "user", "content": [{"type": name}]}]}, {"model": name},
            )
        ]  # fmt: skip

    for answer in talk(service, every):
        assert 400 <= answer.status_code < 500 and name not in answer.text
        assert reason(answer.content)


def test_what_breaks_in_a_route_is_told_and_logged_without_its_words(
    service: Service,
    talk: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(_: Any) -> Any:
        raise ValueError("Hello, said the document")

    monkeypatch.setattr("stillhouse.serve.app.models", broken)
    found = talk(service, lambda client: client.get("/v1/models"))
    assert found.status_code == 500 and "document" not in found.text + caplog.text
    assert reason(found.content)
    assert "GET /v1/models failed: ValueError in test_hostile.py" in caplog.text


def test_who_hangs_up_leaves_no_trace(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    with listening(service) as (port, _):
        for model in ("router:routing", "router:order"):
            body = json.dumps(chat(model=model)).encode()
            data = b"POST %b HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b"
            for _ in range(4):
                with socket.create_connection(("127.0.0.1", port), timeout=30) as stream:
                    stream.sendall(data % (CHAT.encode(), HEADS, len(body), body))
        assert said(port, get(b"/health"))[0] == 200
    assert "Traceback" not in caplog.text and not caplog.records
