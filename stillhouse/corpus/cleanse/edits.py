"""Changes of a text by their places in it, which can be made and undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

# Why something was taken out, or put otherwise.
BOILERPLATE = "boilerplate"  # what many documents of a source begin or end with, or hold in one run
PAGE_NUMBER = "page_number"
RUNNING_HEADER = "running_header"  # what comes back at each page of one document
COOKIE_BANNER = "cookie_banner"
NAVIGATION = "navigation"  # where a page lies in its site, links to edit it
REPEATED_LINE = "repeated_line"
SYMBOLS = "symbols"
NOISE = "noise"  # letters that are no words, as bad character recognition leaves them
MOJIBAKE = "mojibake"
HYPHENATION = "hyphenation"
# Of these, something within a line is put otherwise.
MENDS = (MOJIBAKE, HYPHENATION)


@dataclass(frozen=True, order=True)
class Edit:
    """`removed` stood at `start` to `end` of the text as it was; `put` stands there now."""

    start: int
    end: int
    removed: str
    put: str
    reason: str


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with `put` in place of `removed`; edits don't overlap."""
    pieces: list[str] = []
    at = 0
    for edit in sorted(edits):
        pieces += [text[at : edit.start], edit.put]
        at = edit.end
    return "".join([*pieces, text[at:]])


def undo(text: str, edits: Iterable[Edit]) -> str:
    """The text as it was before `apply`."""
    pieces: list[str] = []
    at = shift = 0
    for edit in sorted(edits):
        start = edit.start + shift
        pieces += [text[at:start], edit.removed]
        at = start + len(edit.put)
        shift += len(edit.put) - len(edit.removed)
    return "".join([*pieces, text[at:]])
