"""XML that others wrote: nothing that a file declares or points to is ever fetched or expanded."""

from __future__ import annotations

import io
from typing import Any, BinaryIO
from xml.parsers import expat

from stillhouse.corpus.parse.unparsable import Unparsable

# For lxml's parsers: a tree deeper than 256 or a text longer than 10 MB is an error.
SAFELY = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}

FIRST_BYTES = 1 << 14


def parsed_xml(data: bytes) -> Any:
    """The root of a part of an office file; raises `Unparsable` where it declares entities."""
    from lxml import etree  # type: ignore[import-untyped]

    refuse_entities(io.BytesIO(data))
    return etree.fromstring(data, etree.XMLParser(**SAFELY))


def refuse_entities(stream: BinaryIO) -> None:
    """Raise where the file declares entities: what they stand for may be another file, or endless.

    Looks no further than the first tag; what is no XML at all is said by who reads it.
    """

    class Begun(Exception):  # noqa: N818 - no error
        pass

    def declared(*_: Any) -> None:
        raise Unparsable(
            "unsupported",
            "XML that declares entities of its own, which may be made to do harm",
            remedy="where you trust it, expand them (xmllint --noent) and put the result here.",
        )

    def begun(*_: Any) -> None:
        raise Begun

    parser = expat.ParserCreate()
    parser.EntityDeclHandler = declared
    parser.StartElementHandler = begun
    size = FIRST_BYTES
    try:
        while data := stream.read(size):
            parser.Parse(data, False)
            size *= 2  # expat begins a tag without an end anew with each piece
    except (Begun, expat.ExpatError, LookupError, ValueError):  # the last two: of its encoding
        return
