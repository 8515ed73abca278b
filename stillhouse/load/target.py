"""Where requests go: one server, at the address that its name had when this was made."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stillhouse.internal import addresses_of, host_and_port

WHERE = "URL"


@dataclass(frozen=True)
class Target:
    """`base` ends where OpenAI's interface begins, `host` is what a certificate has to be of."""

    base: str
    host: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def secure(self) -> bool:
        return self.base.startswith("https")


def target_of(url: str, *, key: str | None = None) -> Target:
    """The server at `url`, with or without its `/v1`; names are looked up and checked once, so that
    none leads elsewhere later.

    Raises `UserError` for an address that is no internal one.
    """
    host, port = host_and_port(url, WHERE)
    address = addresses_of(host, port, WHERE, internal=True)[0]
    parts = urlsplit(url)
    named = f"[{address}]" if ":" in address else address
    path = parts.path.rstrip("/") or "/v1"
    headers = {"Host": parts.netloc, "Accept": "text/event-stream"}
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    return Target(f"{parts.scheme}://{named}:{port}{path}", host, headers)
