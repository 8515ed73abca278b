"""What the installation's key makes of a value: bytes and numbers that nobody else can make."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable


class Keyed:
    """HMAC-SHA256 under `key`, which must stay secret."""

    def __init__(self, key: bytes) -> None:
        if len(key) < 16:
            raise ValueError("the key has fewer than 16 bytes")
        self._key = key

    def digest(self, *parts: str) -> bytes:
        message = "\0".join(parts).encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, message, "sha256")

    def numbers(self, *parts: str) -> Callable[[int], int]:
        """A function that draws below its argument: for the same parts always the same numbers.

        The draws are uniform to within 2^-64 for arguments below 2^192.
        """
        seed, drawn = self.digest(*parts), 0

        def below(limit: int) -> int:
            nonlocal drawn
            drawn += 1
            block = hashlib.sha256(seed + drawn.to_bytes(4)).digest()
            return int.from_bytes(block) % limit

        return below


# Kinds of which two spellings differ in case and spaces alone; of others also in punctuation.
_WORDS = ("", "PERSON", "LOCATION", "ORGANIZATION", "NRP", "EMAIL_ADDRESS", "URL", "LISTED")


def normal(kind: str, value: str) -> str:
    """The form in which two spellings of one value are equal."""
    value = unicodedata.normalize("NFKC", value).casefold()
    if kind in _WORDS:
        return " ".join(value.split())
    return "".join(c for c in value if c.isalnum()) or value
