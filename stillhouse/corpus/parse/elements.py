"""A parsed file and its elements, and how the elements of unstructured become ours."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from stillhouse.config.corpus import OCR_DEFAULTS, Ocr, Password
from stillhouse.corpus.clean.text import clean_text
from stillhouse.corpus.confidentiality.marks import NOTHING, Said
from stillhouse.corpus.parse.headings import is_heading

# What unstructured calls the repeated parts of a page.
FURNITURE_TYPES = {"Header", "Footer", "PageNumber"}
# Its language detection draws at random; ours is in corpus/cleanse/language.py.
WITHOUT_DETECTION = [""]
# A paragraph that may be a heading, and that nobody has asked a language model about.
SHORT = "Short"


@dataclass(frozen=True)
class How:
    """How files are read that have to be opened or looked at."""

    ocr: Ocr = OCR_DEFAULTS
    passwords: tuple[Password, ...] = ()


AS_USUAL = How()


@dataclass(frozen=True)
class Element:
    """A paragraph, heading, list item or table, in reading order; `page` counts from 1."""

    type: str
    text: str
    page: int | None = None


@dataclass(frozen=True)
class Recognised:
    """What was read off pictures of pages (OCR).

    `pages` gave text; of `illegible_pages` no line could be read with confidence. `dropped_lines`
    were left out for that; `confidence` (0 to 1) is the mean of the others by their length.
    """

    pages: int
    illegible_pages: int
    dropped_lines: int
    confidence: float | None


@dataclass(frozen=True)
class ParsedFile:
    """What a file says.

    `furniture` is what was left out: page headers and footers, navigation. `pages_without_text`
    are the pages of a PDF that hold none. `recognised` counts what was read off pictures, None
    where nothing was. `said` is what the file says beside its text.
    """

    title: str
    text: str
    elements: list[Element]
    pages: int | None = None
    furniture: list[Element] = field(default_factory=list)
    pages_without_text: list[int] = field(default_factory=list)
    recognised: Recognised | None = None
    said: Said = NOTHING


def assemble(
    elements: list[Element],
    *,
    title: str = "",
    furniture: list[Element] | None = None,
    pages: int | None = None,
    pages_without_text: list[int] | None = None,
) -> ParsedFile:
    """Elements with text, cleaned and joined by blank lines; headers and footers set apart."""
    cleaned = [replace(e, text=clean_text(e.text)) for e in elements]
    body = [e for e in cleaned if e.text and e.type not in FURNITURE_TYPES]
    set_apart = [e for e in cleaned if e.text and e.type in FURNITURE_TYPES]
    return ParsedFile(
        title=" ".join(clean_text(title or _heading(body)).split())[:200],
        text="\n\n".join(e.text for e in body),
        elements=body,
        pages=pages,
        furniture=[*(furniture or []), *set_apart],
        pages_without_text=pages_without_text or [],
    )


def _heading(body: list[Element]) -> str:
    """The first one, if any."""
    found = (e for e in body if e.type == "Title" or (e.type == SHORT and is_heading(e.text)))
    return next((e.text for e in found), "")


def convert(elements: list[Any]) -> list[Element]:
    """unstructured's elements as ours; tables as lines of cells."""
    return [_converted(element) for element in elements if (element.text or "").strip()]


def _converted(element: Any) -> Element:
    table = getattr(element.metadata, "text_as_html", None)
    text = table_text(table) if table and element.category == "Table" else element.text
    return Element(element.category, text or element.text, element.metadata.page_number)


def table_text(html: str) -> str:
    """A line a row, cells parted by ` | `; empty rows left out."""
    from bs4 import BeautifulSoup

    rows = []
    for row in BeautifulSoup(html, "lxml")("tr"):
        cells = [" ".join(cell.get_text(" ").split()) for cell in row(["td", "th"])]
        if any(cells):
            rows.append(" | ".join(cells))
    return "\n".join(rows)
