"""Long texts in pieces that a small model can read, and what was found in them put together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from stillhouse.corpus.pii.spans import Finding

# The small model is made for texts of a few pages.
PIECE_CHARACTERS = 4000

# Pieces share so much: a value on a border, and the words before it that say what it is, stand
# whole in one of them.
OVERLAP = 200

Piece = tuple[int, str]
"""Where it starts in the text, and what stands there."""


def pieces_of(text: str) -> Iterator[Piece]:
    """The text in pieces of bounded size that overlap, cut at paragraphs, lines or words."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        middle, limit = start + PIECE_CHARACTERS // 2, start + PIECE_CHARACTERS
        end = _cut(text, middle, limit) or limit
        yield start, text[start:end]
        start = _word(text, end - 2 * OVERLAP, end - OVERLAP)
    if start < len(text):
        yield start, text[start:]


def _cut(text: str, low: int, high: int) -> int | None:
    """The last end of a paragraph, else of a line, else of a word between the two places."""
    cuts = (text.rfind(mark, low, high) for mark in ("\n\n", "\n", " "))
    return next((cut for cut in cuts if cut > 0), None)


def _word(text: str, low: int, high: int) -> int:
    """The last place between the two where a word may begin; `high` where there is none."""
    return max(text.rfind(" ", low, high), text.rfind("\n", low, high)) + 1 or high


def together(pieces: Iterable[tuple[Piece, list[Finding]]]) -> list[Finding]:
    """The findings of the pieces of one text, at their places in it; each once.

    What touches a cut may be a part of something, or have been found only because the text seemed
    to end there: if the neighbour sees the place and beyond, it decides.
    """
    found: dict[Finding, None] = {}
    pieces = list(pieces)
    for number, ((start, piece), findings) in enumerate(pieces):
        # Here the former piece ends, and the next one begins.
        before = _end(pieces[number - 1][0]) if number else start
        after = pieces[number + 1][0][0] if number + 1 < len(pieces) else start + len(piece)
        first, last = len(piece) - len(piece.lstrip()), len(piece.rstrip())
        for f in findings:
            at_start = number > 0 and f.start <= first and start + f.end < before
            at_end = number + 1 < len(pieces) and f.end >= last and start + f.start > after
            if not (at_start or at_end):
                found[replace(f, start=start + f.start, end=start + f.end)] = None
    return list(found)


def _end(piece: Piece) -> int:
    return piece[0] + len(piece[1])
