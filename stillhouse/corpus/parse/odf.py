"""OpenDocument (ISO/IEC 26300, OASIS ODF 1.3): .odt, .ods and .odp to text.

Text boxes, footnotes and comments stand below the paragraph that they are anchored in, a slide's
notes below the slide. Left out are deletions that are only remembered, and tables of contents.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble, table
from stillhouse.corpus.parse.office import asks_for_a_password
from stillhouse.corpus.parse.parts import ENCRYPTED_FLAG, MAX_PART_BYTES, refuse_ratio, too_large
from stillhouse.corpus.parse.safe_xml import parsed_xml
from stillhouse.corpus.parse.unparsable import Unparsable

BODIES = {".odt": "text", ".ods": "spreadsheet", ".odp": "presentation"}
# Sheets repeat a cell or a row by a number, a small file as many as there are.
MAX_CELLS = 1_000_000
SPACE = re.compile(r"\s+")  # a line end in the file is none in the text
PLAIN = "NarrativeText"
# What is anchored in a paragraph and no part of its sentence, by what it becomes.
ANCHORED = {"text:note-body": "Footnote", "office:annotation": "Comment"}
SILENT = {
    *("text:tracked-changes", "text:note-citation", "text:ruby-text", "office:forms"),
    *("drawing:page-thumbnail", "drawing:object", "drawing:object-ole", "drawing:image"),
}
# Whose elements say something about the document: authors and dates of comments, say.
SILENT_SPACES = {"dc", "meta", "svg-compatible", "form", "script", "MathML"}


def parse_odf(data: bytes, kind: str) -> ParsedFile:
    """The text of an OpenDocument file; `kind` is its suffix. Headers and footers are furniture.

    Raises:
        Unparsable: it is none of this kind, encrypted, or holds far more than it should.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _refuse_encrypted(archive)
            content = _part(archive, "content.xml")
            styles = _part(archive, "styles.xml") if "styles.xml" in archive.namelist() else None
    except (zipfile.BadZipFile, KeyError, NotImplementedError) as error:
        raise Unparsable(
            "corrupt",
            f"not a whole OpenDocument file ({type(error).__name__})",
            remedy="save or copy it again.",
        ) from error
    body = content.find(f"{{*}}body/{{*}}{BODIES[kind]}")
    if body is None:
        raise Unparsable(
            "corrupt",
            "it isn't the kind of OpenDocument file that its suffix says",
            remedy="save it again in its own program.",
        )
    reader = _Reader()
    elements = list(reader.blocks(body))
    pages = reader.page or None
    furniture = [] if styles is None else list(_headers_and_footers(styles))
    return assemble(elements, furniture=[*reader.contents, *furniture], pages=pages)


def _refuse_encrypted(archive: zipfile.ZipFile) -> None:
    """A password encrypts the parts one by one, or (since ODF 1.3) all of them as one."""
    names = archive.namelist()
    manifest = b""
    if "META-INF/manifest.xml" in names:
        manifest = _bytes(archive, "META-INF/manifest.xml")
    if "encrypted-package" in names or b"encryption-data" in manifest:
        raise asks_for_a_password()


def _bytes(archive: zipfile.ZipFile, name: str) -> bytes:
    entry = archive.getinfo(name)
    if entry.file_size > MAX_PART_BYTES:
        raise too_large()
    refuse_ratio(entry.file_size, entry.compress_size)
    if entry.flag_bits & ENCRYPTED_FLAG:
        raise asks_for_a_password()
    return archive.read(entry)


def _part(archive: zipfile.ZipFile, name: str) -> Any:
    return parsed_xml(_bytes(archive, name))


def _headers_and_footers(styles: Any) -> Iterator[Element]:
    for node in styles.findall("{*}master-styles/{*}master-page/*"):
        kind = _name(node).partition(":")[2].partition("-")[0].capitalize()
        if kind in ("Header", "Footer"):
            said = (element.text for element in _Reader().blocks(node))
            yield Element(kind, "\n".join(said))


def _name(node: Any) -> str:
    """Such as `text:p`, whatever prefix the file has for that; "" for what says nothing."""
    tag = getattr(node, "tag", "")
    if not tag or not isinstance(tag, str):
        return ""
    uri, _, local = tag[1:].rpartition("}")
    pieces = uri.rstrip("/").replace("/", ":").split(":")
    space = next((p for p in reversed(pieces) if p[:1].isalpha() and p != "elements"), "")
    name = f"{space}:{local}"
    if space in SILENT_SPACES or name in SILENT or local.endswith("-source"):
        return ""
    return name


class _Reader:
    """Walks a document's body. `page` counts sheets or slides, 0 in a text."""

    def __init__(self) -> None:
        self.page = 0
        self.cells = 0
        self.contents: list[Element] = []  # tables of contents, indexes

    def blocks(self, node: Any) -> Iterator[Element]:
        for child in node:
            match name := _name(child):
                case "":
                    pass
                case "text:h" | "text:p":
                    yield from self._paragraph(child, name)
                case "text:list-item" | "text:list-header":
                    for element in self.blocks(child):
                        yield self._as("ListItem", element)
                case "table:table":
                    self.page += _name(node) == "office:spreadsheet"
                    yield from self._table(child)
                case "drawing:page":
                    self.page += 1
                    yield from self._slide(child)
                case _ if name in ANCHORED:
                    yield from self._anchored(child)
                case "text:table-of-content" | "text:alphabetical-index":
                    said = "\n".join(element.text for element in self.blocks(child))
                    self.contents.append(Element("TableOfContents", said))
                case _:
                    yield from self.blocks(child)

    def _slide(self, page: Any) -> Iterator[Element]:
        """The frame that its layout calls the title is its heading."""
        for child in page:
            is_title = any(k.endswith("}class") and v == "title" for k, v in child.attrib.items())
            for element in self.blocks([child]):
                yield self._as("Title", element) if is_title else element

    def _paragraph(self, node: Any, name: str) -> Iterator[Element]:
        anchored: list[Any] = []
        said = "".join(self._said(node, anchored))
        yield Element("Title" if name == "text:h" else PLAIN, said, self.page or None)
        for other in anchored:
            yield from self._anchored(other)

    def _anchored(self, node: Any) -> Iterator[Element]:
        for element in self.blocks(node):
            yield self._as(ANCHORED.get(_name(node), PLAIN), element)

    def _as(self, kind: str, element: Element) -> Element:
        return replace(element, type=kind) if element.type == PLAIN else element

    def _said(self, node: Any, anchored: list[Any]) -> Iterator[str]:
        """The words of a paragraph; what is anchored in it, text boxes too, is laid aside."""
        yield SPACE.sub(" ", node.text or "")
        for child in node:
            name = _name(child)
            if name in ANCHORED or name.startswith("drawing:"):
                anchored.append(child)
            elif name == "text:s":
                count = next(iter(child.attrib.values()), "1")
                yield " " * min(int(count) if count.isdecimal() else 1, 100)
            elif name in ("text:tab", "text:line-break"):
                yield "\t" if name == "text:tab" else "\n"
            elif name:
                yield from self._said(child, anchored)
            yield SPACE.sub(" ", child.tail or "")

    def _table(self, node: Any) -> Iterator[Element]:
        anchored: list[Any] = []
        rows: list[list[str]] = []
        for row in _within(node, ("table:table-row",), stop="table:table-cell"):
            cells = self._row(row, anchored)
            if cells:
                times = _times(row, "number-rows-repeated")
                self._count(len(cells) * times)
                rows += [cells] * times
        yield table(rows, self.page or None)
        for other in anchored:
            yield from self._anchored(other)

    def _row(self, row: Any, anchored: list[Any]) -> list[str]:
        cells: list[str] = []
        for cell in _within(row, ("table:table-cell", "table:covered-table-cell"), stop=""):
            paragraphs = _within(cell, ("text:p", "text:h"), stop="office:annotation")
            said = " ".join("".join(self._said(p, anchored)) for p in paragraphs).strip()
            anchored += _within(cell, ("office:annotation",), stop="text:p")
            times = _times(cell, "number-columns-repeated")
            self._count(times if said else 0)
            # A sheet ends with thousands of empty cells.
            cells += [said] * (times if said else min(times, 100))
        while cells and not cells[-1]:
            cells.pop()
        return cells

    def _count(self, cells: int) -> None:
        self.cells += cells
        if self.cells > MAX_CELLS:
            raise Unparsable(
                "too_large",
                f"tables of more than {MAX_CELLS} cells",
                remedy="split it into smaller files, or export it as .csv.",
            )


def _times(node: Any, name: str) -> int:
    value = next((v for k, v in node.attrib.items() if k.endswith(f"}}{name}")), "1")
    return max(1, int(value)) if value.isdecimal() and len(value) < 10 else 1


def _within(node: Any, names: tuple[str, ...], stop: str) -> Iterator[Any]:
    """Those of `names` below `node`, but not in one another, nor in a `stop`."""
    for child in node:
        name = _name(child)
        if name in names:
            yield child
        elif name and name != stop:
            yield from _within(child, names, stop)
