"""From the manuals' HTML to passages: paragraphs that stand together under one heading."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup, Tag

# Where Debian's packages put the pages, below /usr/share; the former has moved once.
MANUALS = {
    "debian-reference": (
        "debian-reference/*.en.html",
        "doc/debian-reference-common/docs/*.en.html",
    ),
    "developers-reference": ("developers-reference/*.html",),
}
LEAST, MOST = 50, 150  # words in a passage

# DocBook's and Sphinx's words for the same things.
SECTIONS = {"chapter", "section", "appendix", "preface"}
HINTS = {"warning", "caution", "important", "note", "tip"}  # DocBook lays them out as tables
NO_PROSE = {"table", "toc", "toctree-wrapper", "footnotes"}
MOST_OF_A_LISTING = 30  # words: a command or two; longer ones are files and output


@dataclass(frozen=True)
class Passage:
    """`section` is "MANUAL#ANCHOR"; `key` adds a digest of what the passage says, so that one that
    reads otherwise in another version of the manual has another key."""

    section: str
    heading: str
    text: str

    @property
    def key(self) -> str:
        words = " ".join(re.findall(r"\w+", self.text.casefold()))
        return f"{self.section}/{hashlib.sha256(words.encode()).hexdigest()[:8]}"


def passages_of(share: Path) -> list[Passage]:
    """All passages of the manuals below `share` (an installed system's /usr/share), in their order.

    Raises `SystemExit` when a manual isn't there.
    """
    found: dict[str, Passage] = {}
    for manual, places in MANUALS.items():
        pages = sorted(page for place in places for page in share.glob(place))
        if not pages:
            raise SystemExit(f"{share}: no page of {manual}; README.md says where it comes from")
        for page in pages:
            if page.stem != manual:  # Sphinx writes the whole manual once more as one page
                for passage in _of_page(page, manual):
                    found.setdefault(passage.key, passage)
    return list(found.values())


def _of_page(page: Path, manual: str) -> Iterator[Passage]:
    tree = BeautifulSoup(page.read_bytes(), "html.parser")
    blocks: dict[int, tuple[Tag, list[str]]] = {}
    for block in tree.find_all(["p", "pre", "dt"]):
        section, text = _section_of(block), _text_of(block)
        if section is not None and text:
            blocks.setdefault(id(section), (section, []))[1].append(text)
    for section, texts in blocks.values():
        heading = section.find(re.compile("^h[1-6]$"))
        # DocBook's anchor is an empty link in the heading.
        named = section if section.get("id") else heading and heading.find("a", id=True)
        if heading and named:
            for text in cut(texts):
                yield Passage(f"{manual}#{named['id']}", _title(heading), text)


def _section_of(block: Tag) -> Tag | None:
    """The innermost section that a block of prose stands in."""
    prose = True
    for parent in block.parents:
        names = {parent.name, *parent.get("class", [])}
        if names & SECTIONS:
            return parent if prose else None
        prose = bool(names & HINTS) or (prose and not names & NO_PROSE)
    return None


def _text_of(block: Tag) -> str:
    """A line, or the lines of a listing; an item of a list begins with a dash.

    Empty for a long listing.
    """
    text = _words(block)
    if block.name == "pre":
        lines = (" ".join(line.split()) for line in block.get_text().splitlines())
        return "\n".join(filter(None, lines)) if len(text.split()) <= MOST_OF_A_LISTING else ""
    return f"- {text}" if text and block.name == "p" and block.parent.name == "li" else text


def _title(heading: Tag) -> str:
    """Without its number and the sign that links to it."""
    return re.sub(r"^((Chapter|Appendix) )?[\dA-Z]+(\.\d+)*\. |\s*¶$", "", _words(heading))


def _words(tag: Tag) -> str:
    return " ".join(tag.get_text().split())


def cut(blocks: list[str]) -> Iterator[str]:
    """Blocks, a line each, joined to passages of `LEAST` to `MOST` words.

    A block is never cut: what is too long, or stands alone and is too short, is left out.
    """
    current: list[str] = []
    for block in [*blocks, None]:
        size = sum(len(b.split()) for b in current)
        if current and (block is None or size + len(block.split()) > MOST):
            if LEAST <= size <= MOST:
                yield "\n".join(current)
            current = []
        if block is not None:
            current.append(block)
