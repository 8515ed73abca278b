"""Who comes in: host, key, size, rate and how many at once; and what every answer carries.

In front of the application, as ASGI (https://asgi.readthedocs.io): a request that is refused costs
next to nothing, and nothing is made of its body.
"""

from __future__ import annotations

import asyncio
import logging
import math
import secrets
import time
import traceback
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stillhouse.serve.gauges import Gauges
from stillhouse.serve.keys import Keys
from stillhouse.serve.refusals import HEADERS, LIMITED, RefusedError, as_json

logger = logging.getLogger("stillhouse")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

ROUTES = (
    *("/v1/chat/completions", "/v1/completions", "/v1/models", "/v1/feedback"),
    *("/health", "/metrics"),
)
OPEN = "/health"  # what a supervisor asks, who has no key
REQUEST_ID = b"x-request-id"
HERE = ("localhost", "127.0.0.1", "::1")
TOO_LARGE = 413
# Of a body that is too large the rest is thrown away, for so long: closed while there is more to
# read, a connection is reset, and whoever still sends never hears why.
REST_SECONDS = 1.0
# Whose rate is remembered: the ones who asked last.
REMEMBERED = 4096


@dataclass(frozen=True)
class Limits:
    """`body` in bytes; `rate` a second for each key, or each address where there are none (0: as
    many as come); `queue` requests at once, waiting or being answered; `seconds` for each."""

    body: int = 1 << 20
    rate: float = 0.0
    queue: int = 256
    seconds: float = 60.0
    body_seconds: float = 10.0


class Door:
    """The application behind it, for those who may come in."""

    def __init__(self, app: App, keys: Keys, limits: Limits, gauges: Gauges) -> None:
        self.app, self.keys, self.limits, self.gauges = app, keys, limits, gauges
        self.inside = 0
        self._usual = 0.1  # seconds that an answer takes, of late
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), 500
        route = next((r for r in ROUTES if scope["path"].startswith(r)), "other")
        asks = scope["method"] == "POST"
        # By which feedback is given: nothing in it is of the request.
        own = secrets.token_hex(12)
        scope["state"] = {**scope.get("state", {}), "id": own}

        async def sending(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", []),
                    (REQUEST_ID, own.encode("ascii")),
                    *HEADERS,
                ]
            await send(message)

        self.inside += asks
        self.gauges.inside.set(self.inside)
        try:
            self._admit(scope, asks=asks)
            whole = await self._body(receive) if asks else receive
            await self.app(scope, whole, sending)
        except RefusedError as refusal:
            if refusal.status == TOO_LARGE:
                await _rest(scope, receive)
            await _refuse(refusal, sending)
        except Exception as error:  # was answered with 500; its words may be those of a request
            logger.error("%s %s failed: %s", scope["method"], route, _what(error))
        finally:
            self.inside -= asks
            self.gauges.inside.set(self.inside)
            took = time.monotonic() - started
            if asks and status == 200:
                self._usual += 0.05 * (took - self._usual)
            self.gauges.requests.labels(route, str(status)).inc()
            self.gauges.seconds.labels(route).observe(took)

    def _admit(self, scope: Scope, *, asks: bool) -> None:
        headers = {name.lower(): value for name, value in scope["headers"]}
        who = scope["client"][0] if scope.get("client") else ""
        if self.keys:
            if scope["path"] != OPEN:
                who = self._owner(headers)
        elif not _is_here(headers.get(b"host", b"")):
            # A page in somebody's browser may give its own name this machine's address.
            raise RefusedError(
                403,
                "without keys only names of this machine are answered to, such as 127.0.0.1",
                code="unknown_host",
            )
        if not asks:
            return
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length[:18]) > self.limits.body or len(length) > 18:
            raise self._too_large()
        kind = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
        if kind != b"application/json":
            # Pages in a browser may send others anywhere, without asking first.
            raise RefusedError(415, "send JSON, with `Content-Type: application/json`")
        if self.inside > self.limits.queue:
            wait = max(1, math.ceil(self._usual * self.inside / 2))
            raise _limited(
                f"{self.limits.queue} requests are waiting or being answered, and more are not "
                "taken; try again later",
                "queue_full",
                wait,
            )
        self._rate(who)

    def _owner(self, headers: dict[bytes, bytes]) -> str:
        said = headers.get(b"authorization")
        found = self.keys.owner(said.decode("latin-1") if said else None)
        if found is None:
            raise RefusedError(
                401,
                "no known API key: send `Authorization: Bearer KEY`",
                code="invalid_api_key",
                headers={"www-authenticate": "Bearer"},
            )
        return found

    def _rate(self, who: str) -> None:
        """A bucket for each that fills with `rate` a second, up to two seconds' worth."""
        rate = self.limits.rate
        if not rate:
            return
        most, now = max(1.0, 2 * rate), time.monotonic()
        left, before = self._spent.pop(who, (most, now))
        left = min(most, left + (now - before) * rate)
        self._spent[who] = (left - 1 if left >= 1 else left, now)
        if len(self._spent) > REMEMBERED:
            self._spent.popitem(last=False)
        if left < 1:
            raise _limited(
                f"more than {rate:g} requests a second", "rate_limit_exceeded",
                math.ceil((1 - left) / rate),
            )  # fmt: skip

    async def _body(self, receive: Receive) -> Receive:
        """The whole body, within its limits, as something to receive."""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] != "http.request":
                        raise RefusedError(400, "the request broke off")  # nobody reads it
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self.limits.body:
                        raise self._too_large()
                    if not message.get("more_body"):
                        break
        except TimeoutError:
            raise RefusedError(
                408,
                f"the request took longer than {self.limits.body_seconds:g} s to arrive",
                headers={"connection": "close"},
            ) from None
        whole, given = b"".join(parts), False

        async def replayed() -> MutableMapping[str, Any]:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": whole, "more_body": False}

        return replayed

    def _too_large(self) -> RefusedError:
        return RefusedError(
            TOO_LARGE,
            f"the request is larger than {self.limits.body:,} bytes",
            code="request_too_large",
            headers={"connection": "close"},
        )


def _limited(message: str, code: str, wait: int) -> RefusedError:
    return RefusedError(429, message, kind=LIMITED, code=code, headers={"retry-after": str(wait)})


def _what(error: Exception) -> str:
    """What it is, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} in {Path(frames[-1].filename).name}:{frames[-1].lineno}"


def _is_here(host: bytes) -> bool:
    try:
        return urlsplit(f"//{host.decode('ascii')}").hostname in HERE
    except (ValueError, UnicodeDecodeError):
        return False


async def _rest(scope: Scope, receive: Receive) -> None:
    """Read what is left of a body; nothing of one that waits to be asked for (RFC 9110, 10.1.1)."""
    if any(name.lower() == b"expect" for name, _ in scope["headers"]):
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            while (await receive()).get("more_body"):
                pass


async def _refuse(refusal: RefusedError, send: Send) -> None:
    body = as_json(refusal.body)
    own = [(n.encode("ascii"), v.encode("ascii")) for n, v in refusal.headers.items()]
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode("ascii")),
        *own,
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
