"""What of a document may be a marking: lines at the edges of its pages, and what its file says.

They are gathered while it is read, before headers and footers are cut away; what they mean is
asked later (`levels.py`), so that no file is read again for another answer.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

EDGE, LINE, PROPERTY = "edge", "line", "property"

# Of a first page, which may be a cover, and of the others: lines from above and from below.
FIRST_PAGE, OTHER_PAGES = (12, 6), (3, 3)
LONGEST_LINE = 160
MOST = 1000
# Of a record, which is somebody's message and no page.
LONGEST_OF_RECORD = 60
# What repeats on a web page and is no header or footer.
NO_EDGES = ("nav", "aside", "form")

# Below a marking these make it the heading of a disclaimer, which every mail carries.
NOTICE = re.compile(
    r"\b(this|the|any) (e-?mail|message|communication|transmission)\b|\bany attachments?\b|"
    r"\bdiese[rsn]? (e-?mail|mail|nachricht)\b|\b(ce|cet|cette) (e-?mail|courriel|message|mail)\b|"
    r"(本|この)(電子)?(メール|メッセージ)|(อีเมล|อีเมล์|ข้อความ|จดหมายอิเล็กทรอนิกส์)(ฉบับ)?นี้",
    re.IGNORECASE,
)
NOTICE_LINES = 3


@dataclass(frozen=True)
class Mark:
    """`place` is EDGE (a header, a footer, a watermark), LINE (the first and last of a page) or
    PROPERTY (of the file, by `name`); `page` counts from 1 where it is known."""

    place: str
    text: str
    name: str = ""
    page: int = 0


@dataclass(frozen=True)
class Said:
    """What a file says beside its text: `properties` by name, and `edges`, lines that its readers
    don't show (watermarks, slide masters, headers of sheets)."""

    properties: tuple[tuple[str, str], ...] = ()
    edges: tuple[str, ...] = ()


NOTHING = Said()


def marks_of(
    pages: Iterable[tuple[int, Sequence[str]]],
    edges: Iterable[tuple[str, str]] = (),
    said: Said = NOTHING,
) -> list[Mark]:
    """Each once, at most `MOST`.

    `pages` are texts of a page in their order, by its number; `edges` what was set apart as header
    or footer, by kind.
    """
    found = itertools.chain(
        (Mark(PROPERTY, value, name) for name, value in said.properties),
        (Mark(EDGE, line) for text in said.edges for line in text.splitlines()),
        (Mark(EDGE, line) for kind, t in edges if kind not in NO_EDGES for line in t.splitlines()),
        _of_pages(pages),
    )
    fitting = (mark for mark in found if 0 < len(mark.text.strip()) <= LONGEST_LINE)
    return list(itertools.islice(dict.fromkeys(fitting), MOST))


def marks_of_record(text: str) -> list[Mark]:
    """The first and the last line of a record, where they are short."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = dict.fromkeys([0, len(lines) - 1] if lines else [])
    return [
        Mark(LINE, lines[at], page=1)
        for at in chosen
        if len(lines[at]) <= LONGEST_OF_RECORD and not _heads_a_notice(lines, at)
    ]


def _of_pages(pages: Iterable[tuple[int, Sequence[str]]]) -> Iterator[Mark]:
    for nth, (page, texts) in enumerate(pages):
        above, below = OTHER_PAGES if nth else FIRST_PAGE
        lines = _lines(texts, above + NOTICE_LINES)
        for at, line in enumerate(lines[:above]):
            if not _heads_a_notice(lines, at):
                yield Mark(LINE, line, page=page)
        last = _lines(reversed(texts), below, backwards=True)[::-1]
        for at, line in enumerate(last):
            if not _heads_a_notice(last, at):
                yield Mark(LINE, line, page=page)


def _lines(texts: Iterable[str], count: int, *, backwards: bool = False) -> list[str]:
    """The first lines of texts that hold anything, or the last ones, the last first."""
    step = -1 if backwards else 1
    lines = (line.strip() for text in texts for line in text.splitlines()[::step])
    return list(itertools.islice((line for line in lines if line), count))


def _heads_a_notice(lines: Sequence[str], at: int) -> bool:
    return NOTICE.search(" ".join(lines[at : at + 1 + NOTICE_LINES])) is not None
