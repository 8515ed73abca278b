"""EPUB: a book's chapters in their order, each a web page in an archive."""

from __future__ import annotations

import io
import posixpath
import zipfile
from urllib.parse import unquote

from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble
from stillhouse.corpus.parse.markup import parse_html
from stillhouse.corpus.parse.office import asks_for_a_password
from stillhouse.corpus.parse.parts import ENCRYPTED_FLAG, MAX_PART_BYTES, refuse_ratio, too_large
from stillhouse.corpus.parse.safe_xml import parsed_xml
from stillhouse.corpus.parse.unparsable import Unparsable

CONTAINER, RIGHTS = "META-INF/container.xml", "META-INF/encryption.xml"


def parse_epub(data: bytes) -> ParsedFile:
    """What its spine names, in that order (EPUB 3.3, "Package documents").

    Raises:
        Unparsable: it is no whole EPUB, its chapters are encrypted, or unpack to far too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, len(data))
            return _book(archive)
    except (zipfile.BadZipFile, KeyError, AttributeError) as error:
        raise Unparsable(
            "corrupt",
            f"not a whole EPUB ({type(error).__name__})",
            remedy="save or copy it again.",
        ) from error


def _check(archive: zipfile.ZipFile, size: int) -> None:
    entries = archive.infolist()
    refuse_ratio(sum(entry.file_size for entry in entries), size)
    if any(entry.file_size > MAX_PART_BYTES for entry in entries):
        raise too_large()
    if any(entry.flag_bits & ENCRYPTED_FLAG for entry in entries):
        raise asks_for_a_password()
    if RIGHTS in archive.namelist():  # fonts are often veiled, and no matter
        veiled = parsed_xml(archive.read(RIGHTS)).iterfind(".//{*}CipherReference")
        if any(str(v.get("URI")).endswith(("html", ".htm", ".xml", ".opf")) for v in veiled):
            raise Unparsable(
                "encrypted",
                "a book whose chapters are encrypted",
                remedy="put a copy without protection here, where you have the right to one.",
            )


def _book(archive: zipfile.ZipFile) -> ParsedFile:
    package = parsed_xml(archive.read(CONTAINER)).find(".//{*}rootfile").get("full-path")
    root = parsed_xml(archive.read(package))
    files = {item.get("id"): item for item in root.iterfind("{*}manifest/{*}item")}
    elements: list[Element] = []
    furniture: list[Element] = []
    read: set[str] = set()
    for reference in root.iterfind("{*}spine/{*}itemref"):
        item = files.get(reference.get("idref"))
        if item is None or "html" not in str(item.get("media-type")):
            continue
        name = posixpath.normpath(
            posixpath.join(posixpath.dirname(package), unquote(str(item.get("href"))))
        )
        if "nav" in str(item.get("properties")).split() or name in read:
            continue  # its table of contents
        read.add(name)
        chapter = parse_html(archive.read(name))
        elements += chapter.elements
        furniture += chapter.furniture
    title = root.findtext("{*}metadata/{http://purl.org/dc/elements/1.1/}title") or ""
    return assemble(elements, title=title, furniture=furniture)
