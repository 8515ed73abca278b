"""Asking a server over HTTP: many requests at once, patiently, and at one address alone.

The interface is OpenAI's (https://platform.openai.com/docs/api-reference), as vLLM, SGLang and TGI
serve it. What is sent and what comes back stays out of messages and logs: both are of documents.
"""

from __future__ import annotations

import email.utils
import json
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from stillhouse.config.endpoint import ApiKey, Endpoint
from stillhouse.config.project import Project
from stillhouse.config.teacher import Teacher
from stillhouse.errors import UserError
from stillhouse.internal import addresses_of, host_and_port
from stillhouse.storage.layout import Layout

if TYPE_CHECKING:
    import httpx

logger = logging.getLogger("stillhouse")

FIELD = "teachers[].endpoint"
MODEL = "teachers[].model"
MOST_BYTES = 1 << 27  # of one answer
# Seconds: a pause is drawn below a bound that doubles with each attempt (full jitter).
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
CONNECTING = 10.0
# Who answers so may answer otherwise a moment later.
PASSING = {408, 409, 425, 429, 500, 502, 503, 504, 529}


@dataclass(frozen=True)
class Access:
    """How an endpoint is reached: what is no part of which teacher it is. `root` is the project's
    folder, `cache` that of what was answered."""

    settings: Endpoint
    root: Path
    cache: Path


def access_of(teacher: Teacher, project: Project, layout: Layout) -> Access | None:
    """How a teacher's server is reached; None for one whose weights are here."""
    if not teacher.elsewhere:
        return None
    return Access(teacher.endpoint, project.root, layout.cache("endpoint"))


class EndpointError(UserError):
    """The server does not answer, or not as it has to."""


class RefusedError(EndpointError):
    """The server says that it does not take a request: of no use to repeat."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(
            message,
            remedy="read in the server's own log what it does not take.",
        )
        self.status = status


class Client:
    """One server, at the address that its name had when this was made: names are looked up and
    checked once, so that none leads elsewhere later. Redirects and proxies are not followed.

    May be used by many threads. Raises `UserError` for an address that is no internal one (unless
    `network: any`), and for a key that is not where it is said to be.
    """

    def __init__(self, url: str, access: Access) -> None:
        import httpx

        self.settings = access.settings
        host, port = host_and_port(url, MODEL)
        internal = self.settings.network == "internal"
        address = addresses_of(host, port, MODEL, internal=internal)[0]
        parts = urlsplit(url)
        named = f"[{address}]" if ":" in address else address
        self._base = f"{parts.scheme}://{named}:{port}{parts.path}"
        self.where = f"{host}:{port}"
        headers = {"Host": parts.netloc, "Accept": "application/json"}
        if self.settings.api_key is not None:
            key = look_up(self.settings.api_key, access.root)
            headers["Authorization"] = f"Bearer {key}"
        self._http = httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(self.settings.timeout, connect=CONNECTING),
            limits=httpx.Limits(max_connections=self.settings.concurrency + 1),
            follow_redirects=False,
            trust_env=False,  # proxies of the environment lead outside
        )
        self._host, self._ended = host, threading.Event()

    def close(self) -> None:
        """Ends waiting too, in whatever thread."""
        self._ended.set()
        self._http.close()

    def get(self, path: str) -> dict[str, Any]:
        return self._patiently(lambda end: self._once("GET", path, None, end))

    def post(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON object that the server answers with.

        Attempts that failed for a passing reason (no connection, silence, 429, 5xx) are repeated
        after a pause, or after what the server asks for in `Retry-After`, until `patience` is up.
        Raises `RefusedError` when the server refuses the request, `EndpointError` when it answers
        with something else than JSON or patience is up.
        """
        sent = {**body, **self.settings.extra}
        return self._patiently(lambda end: self._once("POST", path, sent, end))

    def _patiently(self, attempt: Callable[[float], dict[str, Any]]) -> dict[str, Any]:
        patience = self.settings.patience
        end, tries, bound = time.monotonic() + patience, 0, FIRST_PAUSE
        while True:
            tries += 1
            try:
                return attempt(end)
            except _Passing as passing:
                pause = random.uniform(0, bound)
                pause = max(pause, passing.asked)
                bound = min(2 * bound, LONGEST_PAUSE)
                if time.monotonic() + pause >= end:
                    raise EndpointError(
                        f"{MODEL}: {self.where}: {passing}; given up after {tries} "
                        f"attempt{'s' if tries > 1 else ''} (endpoint.patience: {patience:g} s)",
                        remedy="see whether the server runs and is not overloaded, then run "
                        "again: what it has answered is kept.",
                    ) from None
                if tries == 1:
                    logger.info("%s: %s; tried again", self.where, passing)
            if self._ended.wait(pause):
                raise EndpointError(f"{self.where}: stopped", remedy="run again.")

    def _once(
        self, method: str, path: str, body: Mapping[str, Any] | None, end: float
    ) -> dict[str, Any]:
        import httpx

        extensions = {"sni_hostname": self._host} if self._base.startswith("https") else None
        try:
            with self._http.stream(
                method, f"{self._base}{path}", json=body, extensions=extensions
            ) as response:
                data = self._read(response, end)
        except httpx.TimeoutException as error:
            seconds = CONNECTING if isinstance(error, httpx.ConnectTimeout) else None
            waited = f"{seconds or self.settings.timeout:g} s"
            raise _Passing(f"no answer within {waited}") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            # Its own words may quote the request.
            raise _Passing(f"the connection failed ({type(error).__name__})") from None
        return self._judged(response, data)

    def _read(self, response: httpx.Response, end: float) -> bytes:
        """The body, unless it comes in drops or without end."""
        found = bytearray()
        for chunk in response.iter_bytes():
            found += chunk
            if len(found) > MOST_BYTES:
                raise EndpointError(
                    f"{MODEL}: {self.where}: an answer of more than {MOST_BYTES >> 20} MiB",
                    remedy="see what answers at this address.",
                )
            if time.monotonic() > end:
                raise _Passing("an answer that did not end")
        return bytes(found)

    def _judged(self, response: httpx.Response, data: bytes) -> dict[str, Any]:
        status = response.status_code
        if status in PASSING:
            raise _Passing(f"HTTP status {status}", _asked_for(response.headers))
        if status in (401, 403):
            raise EndpointError(
                f"{MODEL}: {self.where}: HTTP status {status}: the server wants another key",
                remedy="say where it is to be had: `endpoint: {api_key: {env: NAME}}` or "
                "`{file: path}`.",
            )
        if status != 200:
            raise RefusedError(f"{MODEL}: {self.where}: HTTP status {status}", status)
        try:
            found = json.loads(data)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            known = kind if kind in ("text/html", "text/plain", "text/event-stream") else "no JSON"
            raise EndpointError(
                f"{MODEL}: {self.where}: it answers with {known} where JSON is due",
                remedy="correct the address: it ends where the interface begins, most often with "
                "/v1; a login page or a proxy may stand before the server.",
            )
        return found


class _Passing(Exception):  # noqa: N818 - no error yet
    """What may go by; `asked` is how many seconds the server asks to be left alone."""

    def __init__(self, said: str, asked: float = 0.0) -> None:
        super().__init__(said)
        self.asked = asked


def _asked_for(headers: Mapping[str, str]) -> float:
    """Seconds of `Retry-After`, a number or a date (RFC 9110, 10.2.3); 0 where there is none."""
    said = headers.get("retry-after", "").strip()
    if not said:
        return 0.0
    try:
        return max(0.0, float(said)) if said.replace(".", "", 1).isdigit() else _until(said)
    except (ValueError, TypeError):
        return 0.0


def _until(date: str) -> float:
    return max(0.0, email.utils.parsedate_to_datetime(date).timestamp() - time.time())


def look_up(key: ApiKey, root: Path) -> str:
    """The key itself. Raises `UserError` when nothing stands where it is said to be, or in a file
    that others may read."""
    if key.file is None:
        name = key.env or ""
        found, where = os.environ.get(name, ""), f"the environment variable {name}"
    else:
        file = root / key.file.expanduser()
        where = f"the file {file}"
        try:
            others = file.stat().st_mode & 0o077
            found = file.read_text("utf-8").strip()
        except (OSError, ValueError):
            others, found = 0, ""
        if others:
            raise UserError(
                f"{FIELD}.api_key: others than its owner may read {where}",
                remedy=f"chmod 600 {file}",
            )
    if not found or not found.isascii() or not found.isprintable():
        raise UserError(
            f"{FIELD}.api_key: {where} holds no key",
            remedy="set it before the run, or take `api_key` out of the project file.",
        )
    return found
