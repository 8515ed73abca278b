"""What files say of themselves beside their text: properties, sensitivity labels, watermarks.

Formats: Office Open XML (ECMA-376: docProps, headers and footers, slide masters; labels of
[MS-OFFCRYPTO] 2.6 as custom properties or docMetadata/LabelInfo.xml), PDF (document information,
XMP), and mails (RFC 2156 "Sensitivity"). Nothing here raises: a file that was read is not lost for
a damaged property.
"""

from __future__ import annotations

import io
import logging
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from stillhouse.corpus.confidentiality.marks import Said

logger = logging.getLogger("stillhouse")

MAX_PART_BYTES = 16 << 20
MAX_SHEET_BYTES = 128 << 20
MSIP = re.compile(r"MSIP_Label_([0-9a-fA-F-]{36})_(\w+)")
# Of docProps/core.xml; who wrote it and when is no matter here.
CORE = ("keywords", "category", "subject", "description", "contentStatus")
EDGES = re.compile(r"word/(header|footer)\d*\.xml|ppt/(slideMasters|handoutMasters)/[^/]+\.xml")
SHEETS = re.compile(r"xl/(worksheets|chartsheets)/[^/]+\.xml")
SHEET_EDGES = re.compile(rb"<(?:\w+:)?(?:odd|even|first)(?:Header|Footer)[^>]*>([^<]*)<")
# Of a sheet's header: sections, fonts, sizes, colours, fields.
SHEET_CODES = re.compile(r'&(?:[LCR]|"[^"]*"|K[0-9A-Fa-f]{6}|K\d\d[+-]\d{3}|\d+|[A-Z])')
OF_PDF = {"/Keywords": "keywords", "/Subject": "subject"}


def office_said(data: bytes) -> Said:
    """Of a .docx, .pptx or .xlsx."""
    properties: list[tuple[str, str]] = []
    edges: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if SHEETS.fullmatch(name) and entry.file_size <= MAX_SHEET_BYTES:
                    edges += _of_sheet(archive.read(entry))
                elif entry.file_size > MAX_PART_BYTES:
                    continue
                elif EDGES.fullmatch(name):
                    edges += _of_edge(archive.read(entry))
                elif name == "docProps/core.xml":
                    properties += _core(archive.read(entry))
                elif name == "docProps/custom.xml":
                    properties += labels(_custom(archive.read(entry)))
                elif name == "docMetadata/LabelInfo.xml":
                    properties += _label_info(archive.read(entry))
    except Exception as error:  # a part that breaks its parser says nothing
        logger.debug("Properties of an Office file can't be read (%s)", type(error).__name__)
    return Said(tuple(properties), tuple(edges))


def pdf_said(reader: Any) -> Said:
    """Of an open PDF (pypdf's reader)."""
    found: list[tuple[str, str]] = []
    try:
        for name, value in (reader.metadata or {}).items():
            found.append((OF_PDF.get(str(name), str(name).lstrip("/")), str(value)))
        if xmp := reader.xmp_metadata:
            found += [("keywords", str(xmp.pdf_keywords or ""))]
            found += [("keywords", str(word)) for word in xmp.dc_subject or []]
            found += [(str(n), str(v)) for n, v in (xmp.custom_properties or {}).items()]
    except Exception as error:  # damaged metadata raises whatever it likes
        logger.debug("Properties of a PDF can't be read (%s)", type(error).__name__)
    told = ((n, v) for n, v in labels(found) if n not in ("Title", "Author", "Creator", "Producer"))
    return Said(tuple((name, value) for name, value in told if value.strip()))


def mail_said(headers: Iterable[tuple[str, str]]) -> Said:
    """Of a mail's header lines: its subject, its sensitivity, labels that programs add."""
    found: list[tuple[str, str]] = []
    for name, value in headers:
        lowered = name.casefold()
        if lowered == "msip_labels":
            pairs = (part.strip().partition("=") for part in value.split(";"))
            found += labels((n, v) for n, _, v in pairs if n)
        elif lowered == "subject":
            found.append(("subject", value))
        elif lowered == "sensitivity" or "classification" in lowered:
            found.append((name, value))
    return Said(tuple(found))


def labels(properties: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of each sensitivity label that is on, its name and its id; other properties as they are."""
    found: list[tuple[str, str]] = []
    of_labels: dict[str, dict[str, str]] = {}
    for name, value in properties:
        if match := MSIP.fullmatch(name.strip()):
            of_labels.setdefault(match[1], {})[match[2].casefold()] = value
        else:
            found.append((name, value))
    for identity, told in of_labels.items():
        if told.get("enabled", "true").strip().casefold() != "false":
            found += [("MSIP label", told.get("name", "")), ("MSIP label", identity)]
    return found


def _tree(part: bytes) -> Any:
    from lxml import etree  # type: ignore[import-untyped]

    # Nothing that the part points to is fetched, no entity is replaced.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, recover=True)
    return etree.fromstring(part, parser)


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _core(part: bytes) -> Iterator[tuple[str, str]]:
    for child in _tree(part):
        if _local(child.tag) in CORE and child.text:
            yield _local(child.tag), child.text


def _custom(part: bytes) -> Iterator[tuple[str, str]]:
    for child in _tree(part):
        if name := child.get("name"):
            yield name, "".join(child.itertext())


def _label_info(part: bytes) -> Iterator[tuple[str, str]]:
    """Labels by their id alone; what an id means a project file can say (`privacy.markings`)."""
    for label in _tree(part).iter():
        if _local(label.tag) == "label" and label.get("enabled") != "0":
            yield "MSIP label", (label.get("id") or "").strip("{}")


def _of_edge(part: bytes) -> Iterator[str]:
    """Paragraphs of a header, footer or master, and the words of its watermarks."""
    for node in _tree(part).iter():
        kind = _local(node.tag)
        if kind == "textpath" and node.get("string"):
            yield node.get("string")
        elif kind == "p":
            yield "".join(map(_words, node.iter())).strip()


def _words(node: Any) -> str:
    kind = _local(node.tag)
    if kind in ("tab", "ptab"):
        return "\t"
    if kind in ("br", "cr"):
        return "\n"
    return node.text or "" if kind == "t" else ""


def _of_sheet(part: bytes) -> Iterator[str]:
    from html import unescape

    for found in SHEET_EDGES.finditer(part):
        text = unescape(found[1].decode("utf-8", "replace"))
        yield from (piece for piece in SHEET_CODES.sub("\n", text).splitlines() if piece.strip())
