"""Lines of a page, by where they stand, to paragraphs in the order in which they are read.

Columns of text are read one after the other, whatever stands across them before or after; cells of
a table row by row. Within a column, lines belong together that follow each other closely, in one
size, from one margin.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from statistics import median

from stillhouse.corpus.parse.blocks import Block
from stillhouse.corpus.parse.ocr import Line, Page

# Columns of text have at least so many lines, of at least so many characters each; cells are short.
COLUMN_LINES, COLUMN_CHARACTERS = 3, 15
# Of a line's height: what parts two pieces of one line from two cells.
CELL_GAP = 1.5
# A heading is so much higher than most lines, and not longer.
HEADING, HEADING_CHARACTERS = 1.22, 120
# Boxes of lines in one size differ by up to a third: some have neither high nor low letters.
OTHER_SIZE = 1.4
ITEM = re.compile(r"(?:[•▪‣·●○*–-]|\(?\d{1,2}[.)]|[a-z]\))\s*\S")
SENTENCE_END = re.compile(r"[.!?:][\"'”’)]*$")


def blocks_of(page: Page, number: int) -> list[Block]:
    """Paragraphs, headings and cells of page `number` in reading order."""
    usual = median(_height(line) for line in page.lines) if page.lines else 0.0
    return [
        _block(lines, page, number, usual)
        for region in _regions(page.lines)
        for lines in _paragraphs(_rows(region))
    ]


def _block(lines: list[Line], page: Page, number: int, usual: float) -> Block:
    text = "\n".join(line.text for line in lines)
    high = len(lines) == 1 and _height(lines[0]) > HEADING * usual
    return Block(
        "Title" if high and len(text) <= HEADING_CHARACTERS else "NarrativeText",
        text,
        number,
        min(line.left for line in lines) / page.width,
        min(line.top for line in lines) / page.height,
        max(line.right for line in lines) / page.width,
        max(line.bottom for line in lines) / page.height,
    )


def _height(line: Line) -> float:
    return line.bottom - line.top


def _middle(line: Line) -> float:
    return (line.top + line.bottom) / 2


def _regions(lines: list[Line]) -> list[list[Line]]:
    """Parts of a page to be read one after the other."""
    gutter = _gutter(lines)
    if gutter is None:
        return [lines] if lines else []
    regions: list[list[Line]] = []
    band: list[Line] = []
    for line in sorted(lines, key=lambda line: line.top):
        if _crosses(line, gutter):
            regions += _columns(band, gutter)
            band = []
            if regions and regions[-1] and _crosses(regions[-1][-1], gutter):
                regions[-1].append(line)
            else:
                regions.append([line])
        else:
            band.append(line)
    return regions + _columns(band, gutter)


def _crosses(line: Line, gutter: float) -> bool:
    return line.left < gutter < line.right


def _columns(band: list[Line], gutter: float) -> list[list[Line]]:
    left = [line for line in band if line.right <= gutter]
    right = [line for line in band if line.left >= gutter]
    if _is_column(left) and _is_column(right):
        return [*_regions(left), *_regions(right)]
    return [band] if band else []


def _is_column(lines: list[Line]) -> bool:
    long = [line for line in lines if len(line.text) >= COLUMN_CHARACTERS]
    return len(long) >= max(COLUMN_LINES, len(lines) / 2)


def _gutter(lines: list[Line]) -> float | None:
    """Where lines begin that have a column beside them; across which the fewest lines run."""
    best: tuple[int, float] | None = None
    for x in sorted({line.left // 4 * 4 for line in lines}):
        left = [line for line in lines if line.right <= x]
        right = [line for line in lines if line.left >= x]
        crossing = len(lines) - len(left) - len(right)
        if crossing > len(lines) / 2 or not (_is_column(left) and _is_column(right)):
            continue
        if best is None or crossing < best[0]:
            best = (crossing, x)
    return best[1] if best else None


def _rows(lines: list[Line]) -> list[list[Line]]:
    """Lines side by side from left to right, rows from top to bottom; pieces of a line joined."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.top + line.bottom):
        if rows and _side_by_side(rows[-1][-1], line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [_joined(sorted(row, key=lambda line: line.left)) for row in rows]


def _side_by_side(one: Line, other: Line) -> bool:
    overlap = min(one.bottom, other.bottom) - max(one.top, other.top)
    return overlap > 0.5 * min(_height(one), _height(other))


def _joined(row: list[Line]) -> list[Line]:
    pieces = row[:1]
    for line in row[1:]:
        last = pieces[-1]
        if line.left - last.right < CELL_GAP * _height(line):
            pieces[-1] = replace(
                last,
                text=f"{last.text} {line.text}",
                top=min(last.top, line.top),
                right=max(last.right, line.right),
                bottom=max(last.bottom, line.bottom),
            )
        else:
            pieces.append(line)
    return pieces


def _paragraphs(rows: list[list[Line]]) -> list[list[Line]]:
    """Each row of cells by itself, a cell at a time; lines alone in their row as they go on."""
    alone = [row[0] for row in rows if len(row) == 1]
    steps = sorted(_middle(b) - _middle(a) for a, b in pairwise(alone))
    step = steps[len(steps) // 4] if steps else 0.0
    edge = max((line.right for line in alone), default=0.0)
    paragraphs: list[list[Line]] = []
    before_is_line = False
    for row in rows:
        if len(row) == 1 and before_is_line and _goes_on(paragraphs[-1], row[0], step, edge):
            paragraphs[-1].append(row[0])
        else:
            paragraphs += [[cell] for cell in row]
        before_is_line = len(row) == 1
    return paragraphs


def _goes_on(paragraph: list[Line], line: Line, step: float, edge: float) -> bool:
    last = paragraph[-1]
    height = median(map(_height, paragraph))
    sizes = sorted([height, _height(line)])
    apart = _middle(line) - _middle(last)
    left = abs(line.left - last.left) < 3 * height
    centred = abs(line.left + line.right - last.left - last.right) < 2 * height
    ends = SENTENCE_END.search(last.text) and last.right < edge - 0.2 * (edge - last.left)
    return bool(
        sizes[1] < OTHER_SIZE * sizes[0]
        and apart < min(1.35 * step, 2.5 * height)
        and (left or centred)
        and not ends
        and not ITEM.match(line.text)
    )
