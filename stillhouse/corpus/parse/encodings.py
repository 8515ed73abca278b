"""Which encoding a text file has: by its byte order mark, by its zero bytes, else UTF-8."""

from __future__ import annotations

import unicodedata

SAMPLE_BYTES = 1 << 16
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# Of a UTF-16 text without a mark, this share at least is ASCII (spaces, line ends, punctuation).
MIN_ZERO_SHARE = 0.01
# Controls, private use, surrogates, unassigned: what bytes that are no text decode to.
NO_TEXT = frozenset({"Cc", "Co", "Cs", "Cn"})


def encoding_of(head: bytes) -> str:
    """The codec for a file that starts with `head`; "utf-8-sig" also where that is not sure."""
    if head[:2] in UTF16_MARKS:
        return "utf-16"
    for encoding, high in (("utf-16-le", 1), ("utf-16-be", 0)):
        if _is_utf16(head[:SAMPLE_BYTES], encoding, high):
            return encoding
    return "utf-8-sig"


def _is_utf16(head: bytes, encoding: str, high: int) -> bool:
    """Zero bytes on the side of the high bytes alone, and what they decode to is text."""
    even = len(head) // 2 * 2
    zeros = head[high:even:2].count(0)
    others = head[1 - high : even : 2].count(0)
    if zeros < max(2, MIN_ZERO_SHARE * even / 2) or others > 0.1 * zeros:
        return False
    text = head[:even].decode(encoding, "ignore")  # the sample may end within a character
    odd = sum(unicodedata.category(c) in NO_TEXT and c not in "\t\n\r\f" for c in text)
    return odd <= 0.01 * len(text)
