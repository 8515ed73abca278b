"""Spans of a text that were found, and which part of which counts where they overlap."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_FREE = re.compile(rb"\x00+")


@dataclass(frozen=True)
class Finding:
    """A span that looks like personal data, `[start, end)` in characters."""

    kind: str
    start: int
    end: int
    score: float


def without_overlaps(
    text: str, findings: list[Finding], taken: list[tuple[int, int]]
) -> list[Finding]:
    """Findings that don't overlap each other or `taken`, in the order of the text.

    The surer finding keeps its span, then the longer. What another has beyond it stays a finding
    of its own: nothing found is left in the text because something else was found beside it.
    Takes time in proportion to the text and to the findings' lengths.
    """
    covered = bytearray(len(text))
    for start, end in taken:
        covered[start:end] = b"\x01" * (end - start)
    kept: list[Finding] = []
    for finding in sorted(findings, key=lambda f: (-f.score, f.start - f.end, f.start, f.kind)):
        for free in _FREE.finditer(bytes(covered[finding.start : finding.end])):
            start, end = trimmed(text, finding.start + free.start(), finding.start + free.end())
            if sum(c.isalnum() for c in text[start:end]) >= 2:
                kept.append(Finding(finding.kind, start, end, finding.score))
                covered[start:end] = b"\x01" * (end - start)
    return sorted(kept, key=lambda f: f.start)


def trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the white space and punctuation around the value, or a possessive."""
    while end > start and not (_of_a_word(text[end - 1]) or text[end - 1] == ")"):
        end -= 1
    while start < end and not (text[start].isalnum() or text[start] in "+("):
        start += 1
    if text[start:end].lower().endswith(("'s", "’s")):
        end -= 2
    return start, end


def _of_a_word(character: str) -> bool:
    """A letter, a digit, or a mark on one: vowels and tones of many scripts are marks."""
    return character.isalnum() or unicodedata.category(character).startswith("M")
