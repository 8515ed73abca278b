"""A server that stalls, dies, answers something else, or lies outside."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import httpx
import pytest

from stillhouse.config.endpoint import ApiKey, Endpoint
from stillhouse.endpoint import client as clients
from stillhouse.endpoint.client import Access, Client, EndpointError, RefusedError, look_up
from stillhouse.errors import UserError
from stillhouse.models.endpoints import parse_endpoint

BODY = {"model": "tiny", "prompt": [[70, 71, 72]], "max_tokens": 1, "secret": "Ostrey"}


@pytest.fixture
def ask(server: Any, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Asks the server for a completion, most impatiently."""

    def call(url: str | None = None, **settings: Any) -> dict[str, Any]:
        how = Endpoint.model_validate({"patience": 1.0, "timeout": 0.3, **settings})
        client = Client(url or f"{server.root}/v1", Access(how, tmp_path, tmp_path))
        try:
            return client.post("/completions", BODY)
        finally:
            client.close()

    return call


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of what takes a connection and ends it at once."""
    listening = socket.create_server(("127.0.0.1", 0))

    def end() -> None:
        while True:
            try:
                listening.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=end, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join()


def test_what_passes_is_waited_for(server: Any, ask: Callable[..., dict[str, Any]]) -> None:
    server.behave(status=429, times=2, headers={"retry-after": "0.2"})
    started = time.monotonic()
    assert ask(patience=30.0, timeout=20.0)["choices"]
    assert time.monotonic() - started >= 0.4
    assert server.seen["asked"] == 3


def test_a_server_that_asks_for_too_long_a_pause_is_not_waited_for(
    server: Any, ask: Callable[..., dict[str, Any]]
) -> None:
    later = formatdate(time.time() + 3600, usegmt=True)
    server.behave(status=503, headers={"retry-after": later})
    with pytest.raises(EndpointError, match="HTTP status 503; given up after 1 attempt "):
        ask()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"stall": 2.0}, "no answer within 0.3 s; given up"),
        ({"drip": True}, "an answer that did not end; given up"),
        ({"html": True}, "it answers with text/html where JSON is due"),
        ({"status": 500}, "HTTP status 500; given up"),
    ],
)
def test_a_server_that_does_not_answer_is_given_up(
    server: Any, ask: Callable[..., dict[str, Any]], how: dict[str, Any], said: str
) -> None:
    server.behave(**how)
    started = time.monotonic()
    with pytest.raises(EndpointError) as told:
        ask()
    assert said in told.value.message
    assert "Ostrey" not in str(told.value)
    assert time.monotonic() - started < 30


def test_a_server_that_dies_or_is_not_there_is_told(
    deaf: str, ask: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(EndpointError, match="the connection failed"):
        ask(deaf)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(EndpointError, match="the connection failed"):
        ask(f"http://127.0.0.1:{port}/v1")


def test_what_a_server_refuses_is_not_repeated_nor_quoted(
    server: Any, ask: Callable[..., dict[str, Any]], caplog: pytest.LogCaptureFixture
) -> None:
    server.behave(refuses=["secret"])
    with pytest.raises(RefusedError, match="HTTP status 400") as told:
        ask()
    assert server.seen["asked"] == 1
    assert "Ostrey" not in f"{told.value}{caplog.text}"


def test_a_redirect_is_not_followed(server: Any, ask: Callable[..., dict[str, Any]]) -> None:
    server.behave(status=307, headers={"location": "http://127.0.0.1:9/v1/completions"})
    with pytest.raises(RefusedError, match="HTTP status 307"):
        ask()


def test_an_address_outside_is_never_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(httpx, "Client", lambda **how: asked.append(how))
    reach = Access(Endpoint(), tmp_path, tmp_path)
    with pytest.raises(UserError, match="no address of an internal network"):
        Client("http://93.184.216.34/v1", reach)
    assert not asked
    Client("http://93.184.216.34/v1", Access(Endpoint(network="any"), tmp_path, tmp_path))
    assert asked[0]["trust_env"] is False


def test_a_name_is_looked_up_once(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An answer of another name service later leads nowhere else."""
    port = int(server.root.rpartition(":")[2])
    monkeypatch.setattr(clients, "addresses_of", lambda *_, **__: ["127.0.0.1"])
    client = Client(f"http://teacher.test:{port}/v1", Access(Endpoint(), tmp_path, tmp_path))
    assert client.post("/completions", BODY)["model"] == "tiny"
    client.close()


def test_a_key_is_sent_and_said_nowhere(
    server: Any, ask: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.behave(key="sesame")
    with pytest.raises(EndpointError, match="wants another key"):
        ask()
    monkeypatch.setenv("TEACHER_KEY", "sesame")
    assert ask(api_key={"env": "TEACHER_KEY"}, timeout=20.0)["choices"]
    monkeypatch.setenv("TEACHER_KEY", "wrong")
    with pytest.raises(EndpointError, match="wants another key") as told:
        ask(api_key={"env": "TEACHER_KEY"})
    assert "wrong" not in str(told.value)
    file = tmp_path / "key"
    file.write_text("sesame\n")
    file.chmod(0o640)
    with pytest.raises(UserError, match="others than its owner may read"):
        look_up(ApiKey(file=Path("key")), tmp_path)
    file.chmod(0o600)
    assert look_up(ApiKey(file=Path("key")), tmp_path) == "sesame"
    monkeypatch.delenv("TEACHER_KEY")
    with pytest.raises(UserError, match="TEACHER_KEY holds no key"):
        ask(api_key={"env": "TEACHER_KEY"})


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("openai:http://127.0.0.1:8000/v1", "does not say which"),
        ("openai:127.0.0.1:8000/v1#m", "no http"),
        ("openai:ftp://127.0.0.1/v1#m", "no http"),
        ("openai:http://user:sesame@127.0.0.1/v1#m", "holds a name, a password"),
    ],
)
def test_an_address_that_is_none_is_told(model: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as told:
        parse_endpoint(model)
    assert "sesame" not in str(told.value)
    address = parse_endpoint("openai:http://[::1]:8000/v1/#org/model")
    assert (address.url, address.model) == ("http://[::1]:8000/v1", "org/model")
