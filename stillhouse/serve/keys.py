"""API keys: from a file that only its owner reads, kept in memory as digests."""

from __future__ import annotations

import hashlib
import hmac
import os
import stat
from pathlib import Path

from stillhouse.errors import UserError

SHORTEST = 20


class Keys:
    """Who may ask: a name for each key. Empty where anybody on this machine may."""

    def __init__(self, digests: dict[bytes, str]) -> None:
        self._digests = digests

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, header: str | None) -> str | None:
        """The name that belongs to an Authorization header, None where it has no known key.

        Every key is compared, in constant time each: how long it takes tells nothing.
        """
        scheme, _, key = (header or "").partition(" ")
        asked = _digest(key.strip())
        found = None
        for known, name in self._digests.items():
            if hmac.compare_digest(known, asked):
                found = name
        return found if scheme.lower() == "bearer" else None


def read_keys(path: Path) -> Keys:
    """Keys, one a line as `NAME KEY`; empty lines and what begins with # are left out.

    Raises:
        UserError: the file can't be read, is a link or somebody else's, others may read it, or a
            line is no name with a key of `SHORTEST` characters at least (which line, never what).
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, "r", encoding="utf-8") as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
                raise UserError(
                    f"{path}: it is not a file of this user",
                    remedy="let the account that serves own the file of keys.",
                )
            if found.st_mode & 0o077:
                raise UserError(
                    f"{path}: others may read these keys",
                    remedy=f"`chmod 600 {path}`; if others had them, write new ones.",
                )
            lines = stream.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{path}: the keys can't be read ({getattr(error, 'strerror', None) or 'not UTF-8'})",
            remedy="name a file with a line `NAME KEY` for each who may ask, with mode 0600.",
        ) from None
    digests: dict[bytes, str] = {}
    for number, line in enumerate(lines, start=1):
        parts = line.split()
        if not parts or parts[0].startswith("#"):
            continue
        if len(parts) != 2 or len(parts[1]) < SHORTEST:
            raise UserError(
                f"{path}: line {number}: no name with a key of at least {SHORTEST} characters",
                remedy="write `NAME KEY`; `openssl rand -hex 24` makes a key.",
            )
        digests[_digest(parts[1])] = parts[0]
    if not digests:
        raise UserError(f"{path}: there is no key in it", remedy="write a line `NAME KEY`.")
    return Keys(digests)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
