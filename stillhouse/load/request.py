"""One request, streamed, from when it was due to its last token.

Times are seconds of a monotonic clock. The first token is the first part of the stream that has
text; a server that says nothing before its whole answer is there has it at the end. Tokens are
counted by the server (`usage`), or where it doesn't say, by the parts that had text.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.load.target import Target

if TYPE_CHECKING:
    import httpx

# No answer in time; no connection; a stream that broke off; refused by the server (429 too); failed
# in the server; 200, and no answer of OpenAI's interface.
TIMEOUT, REFUSED, CUT, CLIENT, SERVER, MALFORMED = (
    *("timeout", "refused", "cut", "4xx", "5xx", "malformed"),
)
MOST_LINE = 1 << 20  # characters of one event


@dataclass(frozen=True)
class Prompt:
    """What is asked: the path of the interface, and the body but for what every request has. Of
    which task it is counts for figures by task alone."""

    path: str
    body: Mapping[str, Any]
    task: str = ""


@dataclass(frozen=True)
class Asked:
    """What came of a request that was due at `due` and sent at `sent`; `first` and `last` are when
    its first and last token came. With an `error`, times of tokens say nothing."""

    task: str
    due: float
    sent: float
    first: float
    last: float
    tokens: int
    prompt_tokens: int | None = None
    error: str | None = None


async def ask(
    client: httpx.AsyncClient,
    target: Target,
    prompt: Prompt,
    *,
    timeout: float,
    due: float | None = None,
) -> Asked:
    """Send it now, and read the stream to its end, for `timeout` seconds at most. Raises nothing:
    what goes wrong is the record's `error`."""
    import httpx

    sent = time.perf_counter()
    heard = _Heard()
    try:
        async with asyncio.timeout(timeout):
            error = await _stream(client, target, prompt, heard)
    except (TimeoutError, httpx.TimeoutException):
        error = TIMEOUT
    except httpx.ConnectError:
        error = REFUSED
    except (httpx.TransportError, httpx.DecodingError, OSError):
        error = CUT
    ended = time.perf_counter()
    return Asked(
        prompt.task,
        sent if due is None else due,
        sent,
        heard.first or ended,
        heard.last or ended,
        heard.tokens if heard.tokens is not None else heard.parts,
        heard.prompt_tokens,
        error,
    )


class _Heard:
    """What a stream has said so far."""

    def __init__(self) -> None:
        self.first = self.last = 0.0
        self.parts = 0
        self.tokens: int | None = None
        self.prompt_tokens: int | None = None
        self.finished = False

    def hear(self, event: Any) -> str | None:
        """Read an event; returns what is wrong with it."""
        if not isinstance(event, dict):
            return MALFORMED
        if event.get("error"):
            return SERVER
        if isinstance(usage := event.get("usage"), dict):
            self.tokens = _count(usage.get("completion_tokens"))
            self.prompt_tokens = _count(usage.get("prompt_tokens"))
        for choice in event.get("choices") or ():
            delta = choice.get("delta") or {}
            # Reasoning is written too, and read by somebody.
            said = choice.get("text") or delta.get("content") or delta.get("reasoning_content")
            if isinstance(said, str) and said:
                self.last = time.perf_counter()
                self.first = self.first or self.last
                self.parts += 1
            self.finished |= choice.get("finish_reason") is not None
        return None


def _count(said: Any) -> int | None:
    """A number of tokens; None for what is none, which some servers send."""
    return said if type(said) is int and said >= 0 else None


async def _stream(
    client: httpx.AsyncClient, target: Target, prompt: Prompt, heard: _Heard
) -> str | None:
    body = {**prompt.body, "stream": True, "stream_options": {"include_usage": True}}
    extensions = {"sni_hostname": target.host} if target.secure else None
    url = f"{target.base}{prompt.path}"
    async with client.stream(
        "POST", url, json=body, headers=target.headers, extensions=extensions
    ) as response:
        status = response.status_code
        if status != 200:
            return CLIENT if 400 <= status < 500 else SERVER if status >= 500 else MALFORMED
        async for line in response.aiter_lines():
            if not line.startswith("data:"):
                continue
            said = line[5:].strip()
            if said == "[DONE]":
                heard.finished |= bool(heard.parts)  # a stream that says nothing else is no answer
                break
            if len(said) > MOST_LINE:
                return MALFORMED
            try:
                wrong = heard.hear(json.loads(said))
            except (ValueError, AttributeError, TypeError):
                wrong = MALFORMED
            if wrong:
                return wrong
    if heard.finished:
        return None
    return CUT if heard.parts else MALFORMED
