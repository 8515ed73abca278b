"""A Word file as python-docx can read all of it: it sees plain paragraphs and tables of the body.

What stands elsewhere is brought there. Text boxes, footnotes, endnotes and comments come below the
paragraph (or table) that they are anchored in; content controls and text that was inserted while
changes were tracked are unpacked. What was deleted so stays out.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from stillhouse.corpus.parse.office import rewritten
from stillhouse.corpus.parse.safe_xml import parsed_xml

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
MAIN = "word/document.xml"
# What holds text between a paragraph and its runs, or between the body and its paragraphs.
WRAPPERS = tuple(f"{W}{name}" for name in ("ins", "moveTo", "smartTag", "customXml", "fldSimple"))
DELETED = (f"{W}del", f"{W}moveFrom")
COMMENT = f"{W}commentReference"
# By the mark in the text: the part that it leads to, and what that is made of.
NOTES = {
    f"{W}footnoteReference": ("word/footnotes.xml", f"{W}footnote"),
    f"{W}endnoteReference": ("word/endnotes.xml", f"{W}endnote"),
    COMMENT: ("word/comments.xml", f"{W}comment"),
}
SPACING = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}


def with_all_in_its_body(file: io.BytesIO) -> io.BytesIO:
    """The file with its text boxes, notes and comments as paragraphs; as it is, if it has none."""
    from lxml import etree  # type: ignore[import-untyped]

    def written() -> bytes:
        return etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True)

    with zipfile.ZipFile(file) as archive:
        root = parsed_xml(archive.read(MAIN))
        before = written()
        for body in root.findall(f"{W}body"):
            _unpack(body)
            _bring_in(body, archive)
        after = written()
        if after != before:
            return rewritten(archive, lambda name, part: after if name == MAIN else part)
    file.seek(0)
    return file


def _unpack(body: Any) -> None:
    for node in list(body.iter(f"{MC}AlternateContent")):  # the same twice, for old and new Word
        choice = next(iter(node), None)
        _replace(node, [] if choice is None else list(choice))
    for node in list(body.iter(f"{W}sdt")):
        hint = node.find(f"{W}sdtPr/{W}showingPlcHdr") is not None  # "Click here to enter text"
        content = node.find(f"{W}sdtContent")
        _replace(node, [] if hint or content is None else list(content))
    for node in list(body.iter(*DELETED)):
        _replace(node, [])
    for node in list(body.iter(*WRAPPERS)):
        _replace(node, list(node))


def _replace(node: Any, children: list[Any]) -> None:
    for child in children:
        node.addprevious(child)
    node.getparent().remove(node)


def _bring_in(body: Any, archive: zipfile.ZipFile) -> None:
    notes = {mark: _notes(archive, *where) for mark, where in NOTES.items()}
    last: dict[Any, Any] = {}  # what was put below a block of the body so far
    for node in list(body.iter(f"{W}txbxContent", *NOTES)):
        anchor = node
        while anchor is not None and anchor.getparent() is not body:
            anchor = anchor.getparent()
        if anchor is None:
            continue
        left = notes.get(node.tag)
        blocks = list(node) if left is None else left.pop(node.get(f"{W}id"), [])
        for block in blocks:
            last.get(anchor, anchor).addnext(block)
            last[anchor] = block
    for blocks in notes[COMMENT].values():  # of the whole document, or of its header
        for block in blocks:
            body.append(block)


def _notes(archive: zipfile.ZipFile, part: str, tag: str) -> dict[str | None, list[Any]]:
    """Plain paragraphs by the id of the note: their links and pictures belong to another part."""
    if part not in archive.namelist():
        return {}
    found = parsed_xml(archive.read(part)).iter(tag)
    return {
        node.get(f"{W}id"): [_plain(text) for p in node.iter(f"{W}p") if (text := _said(p))]
        for node in found
        if node.get(f"{W}type") in (None, "normal")  # or a line that parts notes from text
    }


def _said(paragraph: Any) -> str:
    return "".join(_pieces(paragraph)).strip()


def _pieces(paragraph: Any) -> Iterator[str]:
    for node in paragraph.iter(f"{W}t", *SPACING):
        yield SPACING.get(node.tag) or node.text or ""


def _plain(text: str) -> Any:
    from lxml import etree

    paragraph = etree.Element(f"{W}p")
    run = etree.SubElement(paragraph, f"{W}r")
    etree.SubElement(run, f"{W}t").text = text
    return paragraph
