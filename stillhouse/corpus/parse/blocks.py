"""Pieces of a page with their boxes: which are page furniture, and which are tables.

It doesn't matter whether they come from a text layer or were read off a picture of the page.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import groupby

from stillhouse.corpus.parse.elements import (
    FURNITURE_TYPES,
    Element,
    ParsedFile,
    Recognised,
    assemble,
    table,
)

# A header or footer lies in the outer part of the page, and comes back on this share of pages.
MARGIN = 0.15
COVERAGE = 0.5
# Words that run through all pages' first element are a header that ran into the text.
MIN_PREFIX_WORDS = 3


@dataclass
class Block:
    """An element with its box: `top` and `bottom` as shares of the page's height from its top."""

    type: str
    text: str
    page: int
    left: float
    top: float
    right: float
    bottom: float


def split_furniture(blocks: list[Block], pages: int) -> tuple[list[Block], list[Block]]:
    """Part the text from what repeats in the margins of at least half the pages (and of two).

    Digits don't count, so that page numbers and dates repeat too. A header that ran into the
    first paragraph is cut off it.
    """
    needed = max(2, math.ceil(COVERAGE * pages))
    seen_on: dict[str, set[int]] = defaultdict(set)
    for block in blocks:
        if _in_margin(block):
            seen_on[_shape(block.text)].add(block.page)
    body: list[Block] = []
    furniture: list[Block] = []
    for block in blocks:
        repeats = _in_margin(block) and len(seen_on[_shape(block.text)]) >= needed
        # A lone page with a number below it has nothing to repeat on.
        numbered = block.bottom > 1 - MARGIN and block.text.strip().isdigit()
        wordless = not any(c.isalnum() for c in block.text)
        (furniture if repeats or numbered or wordless else body).append(block)
    return _cut_prefix(body, furniture, needed)


def _in_margin(block: Block) -> bool:
    return (block.bottom <= MARGIN or block.top >= 1 - MARGIN) and len(block.text) <= 200


def _shape(text: str) -> str:
    return re.sub(r"[\W\d_]+", " ", text).strip().casefold()


def _cut_prefix(
    body: list[Block], furniture: list[Block], needed: int
) -> tuple[list[Block], list[Block]]:
    first: dict[int, Block] = {}
    for block in body:
        if block.top <= MARGIN:
            first.setdefault(block.page, block)
    by_start: dict[str, list[Block]] = defaultdict(list)
    for block in first.values():
        by_start[_shape(" ".join(block.text.split()[:MIN_PREFIX_WORDS]))].append(block)
    for start, group in by_start.items():
        if len(group) < needed or not start:
            continue
        length = _common_words([block.text.split() for block in group])
        for block in group:
            words = block.text.split()
            if len(words) > length >= MIN_PREFIX_WORDS:
                prefix, block.text = " ".join(words[:length]), " ".join(words[length:])
                height = block.top + 0.02
                furniture.append(
                    Block("Header", prefix, block.page, block.left, block.top, block.right, height)
                )
    return body, furniture


def _common_words(texts: list[list[str]]) -> int:
    """How many words all texts begin with alike; words that differ in digits only don't count."""
    length = 0
    for words in zip(*texts, strict=False):
        if len(set(words)) > 1:
            break
        length += 1
    return length


def join_rows(blocks: list[Block]) -> list[Element]:
    """Elements, with cells that stand side by side joined to rows, and rows to tables."""
    lines: list[list[Block]] = []
    for block in blocks:
        if lines and _beside(lines[-1][-1], block):
            lines[-1].append(block)
        else:
            lines.append([block])
    elements: list[Element] = []
    for (page, cells), group in groupby(lines, key=lambda line: (line[0].page, len(line) > 1)):
        if cells:
            elements.append(table([[cell.text for cell in row] for row in group], page))
        else:
            elements += [Element(line[0].type, line[0].text, page) for line in group]
    return elements


def _beside(left: Block, right: Block) -> bool:
    """Both on one line, the second to the right: neighbouring cells, not columns of text."""
    if left.page != right.page or right.left <= left.left or len(left.text) + len(right.text) > 400:
        return False
    overlap = min(left.bottom, right.bottom) - max(left.top, right.top)
    taller = max(left.bottom - left.top, right.bottom - right.top)
    return overlap > 0.6 * taller and taller < 0.08


def assemble_pages(
    blocks: list[Block],
    pages: int,
    *,
    title: str = "",
    pages_without_text: list[int] | None = None,
    recognised: Recognised | None = None,
) -> ParsedFile:
    """Pieces in reading order to a parsed file: page furniture set apart, rows of cells joined."""
    body, furniture = split_furniture(blocks, pages)
    for block in body:
        # unstructured takes all that stands high or low on a page for a header or footer.
        if block.type in FURNITURE_TYPES:
            block.type = "UncategorizedText"
    parsed = assemble(
        join_rows(body),
        title=title,
        furniture=[Element(b.type, b.text, b.page) for b in furniture],
        pages=pages,
        pages_without_text=pages_without_text,
    )
    return replace(parsed, recognised=recognised)
