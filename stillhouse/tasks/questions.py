"""Questions and answers that documents hold already: FAQ pages, headings, tables of key and value.

Documents are texts whose paragraphs are parted by blank lines; a table is a paragraph of lines with
cells parted by ` | ` (see corpus/parse/elements.py).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass

CELLS = " | "
MOST_WORDS_IN_HEADING = 9
MOST_WORDS_IN_ANSWER = 40
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[\"'(]?[A-Z0-9])")


@dataclass(frozen=True)
class Found:
    """A question, its answer, and the passage of the document that holds it."""

    question: str
    answer: str
    passage: str


def questions_in(text: str, title: str, forms: Collection[str], words: int) -> Iterator[Found]:
    """What a document asks and answers, in its order; passages are of about `words` words.

    A heading asks for what the first sentence below it says, a question that stands as a paragraph
    for the paragraph below it, and the key of a row of two cells for the other cell.
    """
    paragraphs = [p.strip() for p in text.split("\n\n") if p.strip()]
    for place, paragraph in enumerate(paragraphs):
        if CELLS in paragraph:
            if "tables" in forms:
                for key, value in _rows(paragraph):
                    asked = _with_title(key, title)
                    yield Found(asked, value, _passage(paragraphs, place, words))
            continue
        below = paragraphs[place + 1] if place + 1 < len(paragraphs) else ""
        if not below or CELLS in below or _is_heading(below) or below.endswith("?"):
            continue
        answer = _first_sentence(below)
        if not answer:
            continue
        if paragraph.endswith("?") and len(paragraph.split()) <= 3 * MOST_WORDS_IN_HEADING:
            if "faq" in forms:
                yield Found(paragraph, answer, _passage(paragraphs, place + 1, words))
        elif _is_heading(paragraph) and place and "headings" in forms:
            asked = _with_title(paragraph, title)
            yield Found(asked, answer, _passage(paragraphs, place + 1, words))


def _rows(table: str) -> Iterator[tuple[str, str]]:
    """Key and value of the rows of a table of two columns, without its head."""
    rows = [line.split(CELLS) for line in table.splitlines()]
    if any(len(row) != 2 for row in rows) or len(rows) < 2:
        return
    for key, value in rows[1:]:
        if key.strip() and value.strip():
            yield key.strip(), value.strip()


def _is_heading(paragraph: str) -> bool:
    short = "\n" not in paragraph and len(paragraph.split()) <= MOST_WORDS_IN_HEADING
    return short and paragraph[:1].isupper() and paragraph[-1:] not in ".,;:!?"


def _with_title(asked: str, title: str) -> str:
    asked = asked.rstrip(" :?")
    return f"{title}: {asked}?" if title and title != asked else f"{asked}?"


def _first_sentence(paragraph: str) -> str:
    sentence = SENTENCE.split(" ".join(paragraph.split()), maxsplit=1)[0]
    return sentence if 3 <= len(sentence.split()) <= MOST_WORDS_IN_ANSWER else ""


def _passage(paragraphs: list[str], place: int, words: int) -> str:
    """The paragraph at `place` with those around it, while they fit."""
    first = last = place
    size = len(paragraphs[place].split())
    grown = True
    while grown:
        grown = False
        for step in (-1, 1):
            at = first - 1 if step < 0 else last + 1
            if 0 <= at < len(paragraphs):
                more = len(paragraphs[at].split())
                if size + more <= words:
                    first, last, size, grown = min(first, at), max(last, at), size + more, True
    return "\n\n".join(paragraphs[first : last + 1])
