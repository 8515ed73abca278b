"""Text as literal Markdown: document text and names are untrusted wherever Markdown is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from stillhouse.wording import plain, shortened

# Live anywhere within a line; `|` would end a table's cell even where a backslash stands before it.
_LIVE = re.compile(r"[\\`*\[\]~!#$<>&|]|(?<!\w)_++|_++(?![^\W_])")
_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "|": "&#124;"}
# Renderers of GitHub's Markdown look for links in the text that they show, so no escape can keep
# "https://", "www." and addresses from becoming links: something invisible between does.
_LINKED = re.compile(r"(?i)(?<=http:)(?=//)|(?<=https:)(?=//)|(?<=www)(?=\.)|(?<=\S@)(?=[\w-])")
JOINER = "\u2060"


def literal(value: object) -> str:
    """A value as text within a line: no HTML, link, image, emphasis or table cell in it.

    Every character shows as itself and is escaped once; nothing (None) shows as nothing.
    """
    text = _LINKED.sub(JOINER, plain("" if value is None else str(value)))
    return _LIVE.sub(lambda found: "".join(map(_escaped, found[0])), text)


def _escaped(character: str) -> str:
    return _ENTITIES.get(character, "\\" + character)


def markdown_table(
    header: Sequence[object], rows: Sequence[Sequence[object]], width: int | None = None
) -> str:
    """A table that is readable as text too; cells are cut at `width` characters."""
    cells = [
        [literal(_cut(cell, width)) if width else literal(cell) for cell in row]
        for row in [header, *rows]
    ]
    widths = [max(3, *map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    )


def _cut(cell: object, width: int) -> str:
    return shortened(plain("" if cell is None else str(cell)), width)
