"""Text that was read in a wrong encoding and written again ("fÃ¼r"): mended by ftfy, which changes
only what it is sure of."""

from __future__ import annotations

from stillhouse.corpus.cleanse.edits import MOJIBAKE, Edit
from stillhouse.corpus.cleanse.lines import Line


def mended(text: str) -> str:
    """The text as it was meant; the same where nothing is wrong with it."""
    if text.isascii():
        return text
    from ftfy import fix_encoding

    return fix_encoding(text)


def mojibake_of(line: Line) -> Edit | None:
    """What is wrong in a line, from the first wrong character to the last."""
    now = mended(line.text)
    if now == line.text:
        return None
    first = 0
    while first < min(len(now), len(line.text)) and now[first] == line.text[first]:
        first += 1
    last = 0
    most = min(len(now), len(line.text)) - first
    while last < most and now[-1 - last] == line.text[-1 - last]:
        last += 1
    end = len(line.text) - last
    return Edit(
        line.start + first,
        line.start + end,
        line.text[first:end],
        now[first : len(now) - last],
        MOJIBAKE,
    )
