"""What a client is told whose request is not answered, in OpenAI's form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

INVALID, UNKNOWN, LIMITED, SERVER = (
    "invalid_request_error",
    "not_found_error",
    "rate_limit_error",
    "server_error",
)


# What every answer carries: nothing of it is kept, and nothing in it runs.
HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)


class RefusedError(Exception):
    """`message` says what is wrong and what to do, and nothing of what a text says."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = INVALID,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.kind = status, message, kind
        self.code, self.param, self.headers = code, param, dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        error = {
            "message": self.message,
            "type": self.kind,
            "param": self.param,
            "code": self.code,
        }
        return {"error": error}


def schema_not_served(
    why: str = "no answer can be held to this schema, or to this text",
) -> RefusedError:
    return RefusedError(400, why, param="response_format", code="schema_not_served")


def as_json(value: Any) -> bytes:
    """Escaped wherever it is no ASCII: half of a character can be written in no other way, and
    nothing in it reaches a terminal as a control."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")
