"""A text as lines, and the shape in which a line is known again in other documents."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

# What names a page, before its number: "Page 3 of 12", "Seite 3", "3ページ".
PAGE_WORDS = "page|pages|seite|blatt|pagina|página|pág|side|sida|sivu|strona|strana|стр|страница"
PAGE_WORDS += "|หน้า|ໜ້າ|ページ|页|頁|쪽|trang|halaman|sayfa"
OF = r"(?:of|von|de|di|sur|van|av|af|из|z|/|\||／)"
PAGE = re.compile(
    rf"\b(?:{PAGE_WORDS})\.?\s*(\d{{1,4}})(?:\s*{OF}\s*\d{{1,4}})?(?!\d)"
    rf"|(?<![\d.,/])(\d{{1,4}})\s*(?:{OF}\s*\d{{1,4}}\s*)?(?:ページ|页|頁|쪽)"
    rf"|^\W*(\d{{1,4}})\s*{OF}\s*\d{{1,4}}\W*$"
    r"|^\s*[-–—]\s*(\d{1,4})\s*[-–—]\s*$",
    re.IGNORECASE,
)
DATE = re.compile(
    r"\b\d{1,4}([./-])\d{1,2}\1\d{2,4}\b|\b\d{1,2}:\d{2}(?::\d{2})?(?:\s*[ap]\.?m\b)?"
    r"|\b(?:19|20)\d\d(?:\s*[–-]\s*(?:19|20)?\d\d)?\b",
    re.IGNORECASE,
)
NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
NO_WORDS = re.compile(r"[\W_]+")
# A form's field: "Priority: high". Its label is short, and something follows.
FIELD = re.compile(r"([^:：]{0,40}[^:：\d])[:：](?!//)\s*\S")
LABEL_WORDS = 4
CELLS = " | "  # how cells of a table are joined
UNSPACED = ((0x0E00, 0x0F00), (0x1000, 0x10A0), (0x1780, 0x1800), (0x3040, 0xA000))
LONG = 40  # letters of a line that says something by itself


@dataclass(frozen=True)
class Line:
    """A line that is not blank, at `start` to `end` of its text."""

    start: int
    end: int
    text: str

    @cached_property
    def letters(self) -> int:
        return sum(map(str.isalpha, self.text))

    @cached_property
    def words(self) -> int:
        """How many words; scripts that write without spaces have two letters to one."""
        spaced = sum(any(map(str.isalnum, word)) for word in self.text.split())
        return spaced if self.text.isascii() else max(spaced, unspaced(self.text) // 2)

    @cached_property
    def is_field(self) -> bool:
        found = FIELD.match(self.text)
        return found is not None and len(found[1].split()) <= LABEL_WORDS

    @cached_property
    def introduces(self) -> bool:
        """What follows belongs to it: a question, or the label of a form."""
        return self.text.rstrip().endswith((":", "?", "：", "？"))


def lines_of(text: str) -> list[Line]:
    found, at = [], 0
    for line in text.split("\n"):
        if line.strip():
            found.append(Line(at, at + len(line), line))
        at += len(line) + 1
    return found


def _is_unspaced(character: str) -> bool:
    """Thai, Lao, Khmer, Burmese; Chinese and Japanese."""
    code = ord(character)
    return code >= 0x0E00 and any(first <= code < end for first, end in UNSPACED)


def unspaced(text: str) -> int:
    """Letters of scripts without spaces."""
    return sum(map(_is_unspaced, text))


def exact(text: str) -> str:
    """Case, spacing and punctuation aside."""
    return NO_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


def shape_of(line: Line, *, digits: bool) -> int:
    """64 bits of what a line says; 0 for one that is no candidate for boilerplate.

    Case, spacing and punctuation don't count. Numbers of pages, dates, times and years don't
    either; other numbers count where `digits` says so, in fields ("Order: 4711"), and in lines
    that have hardly any words beside them ("Release notes 3.2", a part number). Rows of tables and
    lines without words are no candidates.
    """
    if line.letters < 2 or CELLS in line.text:
        return 0
    text = DATE.sub("0", PAGE.sub(" page 0 ", line.text))
    if not digits and not line.is_field:
        bare = NUMBER.sub(" ", text)
        if len(bare.split()) > 2 and line.letters > sum(map(str.isdigit, text)):
            text = NUMBER.sub("0", text)
    said = exact(text)
    if not any(map(str.isalpha, said)):
        return 0
    return int.from_bytes(blake2b(said.encode(), digest_size=8).digest(), "big") or 1


def weight_of(line: Line) -> int:
    """How much a line counts as something that a document says itself: links of a menu are short,
    and there are many of them."""
    return line.letters if line.letters >= LONG else (line.letters + 3) // 4
