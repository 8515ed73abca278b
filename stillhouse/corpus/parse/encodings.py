"""Which encoding a text file has: by its byte order mark, by its zero bytes, else UTF-8."""

from __future__ import annotations

import re
import unicodedata

from stillhouse.corpus.parse.unparsable import Unparsable

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


def text_bytes(data: bytes) -> bytes:
    """`data`, once it is known to be text of some encoding of single bytes; else `Unparsable`."""
    controls = len(re.findall(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data[:65536]))
    if controls > 0.01 * min(len(data), 65536):
        raise Unparsable(
            "corrupt",
            "binary data where text was expected",
            remedy="check what the file really is, and give it its right suffix.",
        )
    return data


def decoded(data: bytes) -> str:
    """Text of any usual encoding: by its byte order mark, as UTF-8 or UTF-16, or by guessing.

    Raises `Unparsable` where it is no text.
    """
    from charset_normalizer import from_bytes

    encoding = encoding_of(data)
    if encoding.startswith("utf-16"):
        return data.decode(encoding, "replace")
    try:
        return text_bytes(data).decode(encoding)
    except UnicodeDecodeError:
        best = from_bytes(data).best()
    if best is None:
        raise Unparsable("corrupt", "text in no known encoding", remedy="save it as UTF-8.")
    return str(best)
