"""A connection, and how long and how much of it is waited for: what uvicorn leaves open.

The head of a request has to be whole within `HEAD_SECONDS`, and `HEAD_BYTES` may come that are no
part of a body; who doesn't read an answer for `STALLED_SECONDS` is cut off. Refused is in the form
that everything else is refused in. What the door sees begins after this.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from stillhouse.serve.refusals import HEADERS, RefusedError, as_json

HEAD_SECONDS, HEAD_BYTES, STALLED_SECONDS = 10.0, 64 << 10, 30.0
# Closed while there is more to read, a connection is reset, and what was said on it is lost.
LINGER_SECONDS = 1.0


class Connection(HttpToolsProtocol):
    """As uvicorn's, within limits."""

    _waits: asyncio.TimerHandle | None = None  # for the head of a request
    _stalls: asyncio.TimerHandle | None = None  # until an answer is read
    _came = False  # whether what arrived just now was a head, or a part of a body
    _idle_bytes = 0  # that arrived since the last of these
    _ends: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        self._is_read()
        if self._ends is not None:
            self._ends.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._ends is not None:
            return
        self._came = False
        super().data_received(data)
        if self.transport.is_closing() or self._ends is not None:
            return
        self._idle_bytes = 0 if self._came else self._idle_bytes + len(data)
        if self._idle_bytes > HEAD_BYTES:
            self._refuse(RefusedError(431, f"its head is larger than {HEAD_BYTES:,} bytes"))
        elif self.cycle is None or self.cycle.response_complete:
            self._await_head()

    def on_headers_complete(self) -> None:
        self._head_is_there()
        self._came = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._came = True
        super().on_body(body)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stalls is None:
            self._stalls = self.loop.call_later(STALLED_SECONDS, self._unread)

    def resume_writing(self) -> None:
        self._is_read()
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self._refuse(RefusedError(400, msg))

    def _await_head(self) -> None:
        if self._waits is None:
            self._waits = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _head_is_there(self) -> None:
        if self._waits is not None:
            self._waits.cancel()
            self._waits = None

    def _is_read(self) -> None:
        if self._stalls is not None:
            self._stalls.cancel()
            self._stalls = None

    def _too_slow(self) -> None:
        self._waits = None
        self._refuse(RefusedError(408, f"its head took longer than {HEAD_SECONDS:g} s to arrive"))

    def _unread(self) -> None:
        self._unheard()
        self.transport.abort()

    def _unheard(self) -> None:
        """Who works at an answer learns that nobody hears it."""
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def _refuse(self, refusal: RefusedError) -> None:
        """Say so, unless another answer is on its way; hear no more, and close."""
        under_way: Any = self.cycle
        if under_way is not None and under_way.response_complete:
            under_way = None
        if under_way is None or not under_way.response_started:
            body = as_json(refusal.body)
            headers = [
                *self.server_state.default_headers,
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"connection", b"close"),
                *HEADERS,
            ]
            lines = b"".join(b"%b: %b\r\n" % header for header in headers)
            self.transport.write(STATUS_LINE[refusal.status] + lines + b"\r\n" + body)
        self._unheard()
        self._head_is_there()
        self._ends = self.loop.call_later(LINGER_SECONDS, self.transport.close)
