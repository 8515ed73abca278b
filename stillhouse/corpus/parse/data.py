"""Data in a source of documents, as text: tables and JSON, each value by its name.

Who wants a document for each row has it as a source of records.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from typing import Any, AnyStr

from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble
from stillhouse.corpus.parse.encodings import SAMPLE_BYTES, decoded, encoding_of
from stillhouse.corpus.parse.parts import MAX_PART_BYTES, Holder, Member, Part, too_large
from stillhouse.corpus.parse.record_rows import MAX_CELL_CHARACTERS
from stillhouse.corpus.parse.unparsable import Unparsable

# A list of longer texts is one of paragraphs: each stands on a line of its own.
SHORT_CHARACTERS = 60


def parse_csv(data: bytes, delimiter: str | None = None) -> ParsedFile:
    """The header, then a paragraph for each row, with a line `column: value` for each cell."""
    csv.field_size_limit(MAX_CELL_CHARACTERS)
    text = decoded(data)
    first = text.lstrip().split("\n", 1)[0]
    rows = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter or max(",;\t|", key=first.count)
    )
    filled = (cells for row in rows if any(cells := [" ".join(cell.split()) for cell in row]))
    names = next(filled, [])
    paragraphs = ("\n".join(_cells(names, cells)) for cells in filled)
    header = Element("Columns", " | ".join(names))
    return assemble([header, *(Element("Row", paragraph) for paragraph in paragraphs)])


def _cells(names: list[str], cells: list[str]) -> Iterator[str]:
    """A cell without a column of its own stands for itself."""
    for number, cell in enumerate(cells):
        if cell:
            name = names[number] if number < len(names) else ""
            yield f"{name}: {cell}" if name else cell


def parse_json(data: bytes) -> ParsedFile:
    try:
        value = json.loads(decoded(data))
    except json.JSONDecodeError as error:
        raise Unparsable(
            "corrupt",
            f"not JSON, from its character {error.pos + 1} on",
            remedy="export it again.",
        ) from None
    title = value.get("title") if isinstance(value, dict) else None
    text = "\n".join(_lines(value, ""))
    return assemble([Element("Data", text)], title=title if isinstance(title, str) else "")


def _lines(value: Any, name: str) -> Iterator[str]:
    """A line `name: value` for each value, named by all the keys that lead to it."""
    match value:
        case None | "":
            return
        case dict():
            for key, item in value.items():
                yield from _lines(item, f"{name}.{key}" if name else key)
        case list() if all(_is_short(item) for item in value):
            yield from _line(", ".join(_said(item) for item in value if item is not None), name)
        case list():
            for item in value:
                yield from _lines(item, name)
                if isinstance(item, dict):
                    yield ""  # a paragraph each
        case _:
            yield from _line(_said(value), name)


def _line(text: str, name: str) -> Iterator[str]:
    if text:
        yield f"{name}: {text}" if name else text


def _is_short(value: Any) -> bool:
    return not isinstance(value, dict | list) and len(str(value)) <= SHORT_CHARACTERS


def _said(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def jsonl_parts(holder: Holder) -> Iterator[Part]:
    """Each line as a file of JSON; one that is too long costs itself alone."""
    lines: Iterator[bytes | None]
    encoding = encoding_of(holder.stream.read(SAMPLE_BYTES))
    holder.stream.seek(0)
    if encoding.startswith("utf-16"):
        text = io.TextIOWrapper(holder.stream, encoding, errors="replace", newline="\n")
        lines = (None if line is None else line.encode() for line in _bounded(text.readline, "\n"))
    else:
        lines = _bounded(holder.stream.readline, b"\n")
    for line in lines:
        if line is None:
            yield too_large()
        elif line.strip():
            yield Member("line.json", line)


def _bounded(readline: Callable[[int], AnyStr], end: AnyStr) -> Iterator[AnyStr | None]:
    """The lines; None for one that is longer than a part may be."""
    while line := readline(MAX_PART_BYTES + 1):
        yield line if len(line) <= MAX_PART_BYTES else None
        while len(line) > MAX_PART_BYTES and not line.endswith(end):
            line = readline(MAX_PART_BYTES + 1)
