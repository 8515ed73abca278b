"""Who is told of failed runs, by a real server on loopback and a relay that speaks SMTP."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from stillhouse.alerts import Alert, tell
from stillhouse.config.automation import Alerts, Mail
from stillhouse.errors import UserError
from stillhouse.internal import host_and_port, require_internal
from stillhouse.storage.layout import Layout

ALERT = Alert(
    "failed", "helpdesk", "distill", "0123456789", "2026-01-05T02:00:00+00:00", "t-1", ("soft",)
)


@contextmanager
def serving(server: socketserver.BaseServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()


def hook(got: list[Any], status: int = 200) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", "http://example.org/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    return ThreadingHTTPServer(("127.0.0.1", 0), Handler)


def relay(got: list[str]) -> socketserver.ThreadingTCPServer:
    """As much of RFC 5321 as a mail without extensions takes."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 relay\r\n")
            while line := self.rfile.readline():
                if line.upper().startswith(b"DATA"):
                    self.wfile.write(b"354 go on\r\n")
                    said = iter(self.rfile.readline, b".\r\n")
                    got.append(b"".join(said).decode())
                elif line.upper().startswith(b"QUIT"):
                    self.wfile.write(b"221 bye\r\n")
                    return
                self.wfile.write(b"250 yes\r\n")

    return socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)


def test_a_failure_is_told_in_every_way_that_is_asked_for(tmp_path: Path) -> None:
    posted: list[Any] = []
    mailed: list[str] = []
    with serving(hook(posted)) as web, serving(relay(mailed)) as post:
        alerts = Alerts(
            log=True,
            webhook=f"http://127.0.0.1:{web}/x",
            mail=Mail(sender="a@house.example", to=["b@house.example"], relay=f"127.0.0.1:{post}"),
        )
        assert tell(alerts, Layout(tmp_path), ALERT) == []
        assert tell(alerts, Layout(tmp_path), ALERT) == []
    lines = (tmp_path / "alerts.jsonl").read_text().splitlines()
    assert [json.loads(line)["run_id"] for line in lines] == ["0123456789"] * 2
    assert (tmp_path / "alerts.jsonl").stat().st_mode & 0o077 == 0
    said = "helpdesk: run 01234567 of distill [t-1] failed at soft"
    assert posted[0] == {**json.loads(lines[0]), "text": said}
    assert f"Subject: {said}" in mailed[0] and "To: b@house.example" in mailed[0]


def test_a_hook_that_fails_keeps_nobody_else_from_being_told(tmp_path: Path) -> None:
    got: list[Any] = []
    with serving(hook(got, 302)) as web:
        alerts = Alerts(
            log=True,
            webhook=f"http://127.0.0.1:{web}/x",
            mail=Mail(sender="a@house.example", to=["b@house.example"], relay="127.0.0.1:1"),
        )
        redirected, refused = tell(alerts, Layout(tmp_path), ALERT)
    assert "302" in redirected and "ConnectionRefused" in refused
    assert len(got) == 1 and (tmp_path / "alerts.jsonl").exists()


def test_nothing_is_sent_out_of_the_internal_network(tmp_path: Path) -> None:
    outside = Alerts(webhook="https://192.88.99.1/x")
    (problem,) = tell(outside, Layout(tmp_path), ALERT)
    assert "automation.alerts.webhook" in problem and "no address of an internal" in problem
    for host in ("127.0.0.1", "10.1.2.3", "192.168.0.9", "172.20.0.1", "::1", "fd00::1"):
        require_internal(host, 80, "x")
    for host in ("8.8.8.8", "2001:4860:4860::8888", "172.32.0.1"):
        with pytest.raises(UserError, match="internal"):
            require_internal(host, 80, "x")
    for url in ("file:///etc/passwd", "ftp://10.0.0.1/x", "http://", "http://10.0.0.1:port"):
        with pytest.raises(UserError, match="no http"):
            host_and_port(url, "x")
