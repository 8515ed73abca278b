"""A parsed file and its elements, and how the elements of unstructured become ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
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
# What a cell may span: nobody who reads a table makes room for whatever it claims.
SPAN = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True)
class How:
    """How files are read that have to be opened or looked at."""

    ocr: Ocr = OCR_DEFAULTS
    passwords: tuple[Password, ...] = ()
    office: str | None = None  # LibreOffice, where there is one
    workshop: Path | None = None  # for its files; where all temporary ones lie by default


AS_USUAL = How()


@dataclass(frozen=True)
class Element:
    """A paragraph, heading, list item or table, in reading order; `page` counts from 1.

    `html` is a table once more, with its rows and cells marked up and nothing else; "" of others.
    """

    type: str
    text: str
    page: int | None = None
    html: str = ""


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
    """unstructured's elements as ours; tables as lines of cells, and as HTML."""
    return [_converted(element) for element in elements if (element.text or "").strip()]


def _converted(element: Any) -> Element:
    html = getattr(element.metadata, "text_as_html", None)
    page = element.metadata.page_number
    if html and element.category == "Table" and (found := table_of_html(html, page)).text:
        return found
    return Element(element.category, element.text, page)


def table(rows: Iterable[Sequence[str]], page: int | None = None) -> Element:
    """A line a row, cells parted by ` | `; empty rows left out. Its `html` has the same cells."""
    clean = [[" ".join(cell.split()) for cell in row] for row in rows]
    filled = [row for row in clean if any(row)]
    marked = ["".join(map(_cell, row)) for row in filled]
    return _table([" | ".join(row) for row in filled], marked, page)


def table_of_html(html: str, page: int | None = None) -> Element:
    """The table in `html`, which keeps of its attributes what its cells span."""
    from bs4 import BeautifulSoup

    lines, marked = [], []
    for row in BeautifulSoup(html, "lxml")("tr"):
        cells = [(cell, " ".join(cell.get_text(" ").split())) for cell in row(["td", "th"])]
        if any(text for _, text in cells):
            lines.append(" | ".join(text for _, text in cells))
            marked.append("".join(_cell(text, cell.name, _spans(cell)) for cell, text in cells))
    return _table(lines, marked, page)


def _table(lines: list[str], marked: list[str], page: int | None) -> Element:
    rows = "".join(f"<tr>{row}</tr>" for row in marked)
    return Element("Table", "\n".join(lines), page, f"<table>{rows}</table>" if rows else "")


def _cell(text: str, name: str = "td", spans: str = "") -> str:
    return f"<{name}{spans}>{escape(text)}</{name}>"


def _spans(cell: Any) -> str:
    found = ((name, str(cell.get(name) or "")) for name in ("rowspan", "colspan"))
    return "".join(f' {name}="{value}"' for name, value in found if SPAN.fullmatch(value))
