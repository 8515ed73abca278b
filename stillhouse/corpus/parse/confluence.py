"""Space exports of Confluence in XML: `entities.xml` to its pages, and the names of attachments.

The export is a list of objects, pages and their bodies apart. Bodies are in its storage format:
XHTML with macros, described in Atlassian's "Confluence Storage Format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import escape
from typing import Any, BinaryIO

from stillhouse.corpus.parse.parts import Member, Part
from stillhouse.corpus.parse.safe_xml import SAFELY, refuse_entities
from stillhouse.corpus.parse.unparsable import Unparsable

ROOT = "hibernate-generic"
SAYING = ("Page", "BlogPost", "Comment")
# A body stands in a CDATA section, where the end of one within it is written with a space.
CDATA, CDATA_END = "<![CDATA[", re.compile(r"\]\] ?>")
DROPPED = ("ac:parameter", "ac:placeholder", "ac:task-id", "ac:task-uuid", "ac:task-status")
BLOCKS = re.compile(r"ac:(structured-macro|rich-text-body|layout.*|task-list|task|task-body)")


def space_parts(events: Any) -> Iterator[Part]:
    """Each page, post and comment of the space in its last version, as a web page."""
    titles: dict[str, str] = {}
    bodies: dict[str, str] = {}
    for kind, number, values in _objects(events):
        if kind in SAYING:
            is_old = values.get("originalVersion") or values.get("contentStatus") not in (
                *(None, "current"),
            )
            if not is_old:
                titles[number] = values.get("title", "")
        elif kind == "BodyContent":
            bodies[values.get("content", "")] = values.get("body", "")
    for number, title in titles.items():
        if body := bodies.pop(number, "").strip():
            yield Member("page.html", _html(title, body).encode())
        else:
            yield Unparsable("empty", "a page without text", remedy="nothing need be done.")


def attachment_names(entities: BinaryIO) -> dict[str, str]:
    """By the id of an attachment, what it is called: in the export it is a number without suffix.

    Raises `Unparsable` or lxml's errors where the file is broken.
    """
    from lxml import etree  # type: ignore[import-untyped]

    refuse_entities(entities)
    entities.seek(0)
    events = etree.iterparse(entities, events=("start", "end"), **SAFELY)
    return {
        number: values.get("title") or values.get("fileName") or ""
        for kind, number, values in _objects(events)
        if kind == "Attachment"
    }


def _objects(events: Any) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Class, id and properties of each object; a property that is an object is its id."""
    for event, node in events:
        if event == "start" or node.tag != "object":
            continue
        number = (node.findtext("id") or "").strip()
        values = {
            str(p.get("name")): (p.findtext("id") or p.text or "").strip()
            for p in node.findall("property")
        }
        kind = str(node.get("class"))
        node.clear()
        while node.getprevious() is not None:  # it keeps all that it has seen
            del node.getparent()[0]
        yield kind, number, values


def _html(title: str, body: str) -> str:
    """A page of plain HTML: macros as what they show, links as what they are called."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(_without_cdata(body), "lxml")
    for tag in soup(DROPPED):
        tag.decompose()
    for page in soup("ri:page"):
        link = page.find_parent("ac:link")
        if link is not None and not link.get_text(strip=True):
            page.insert_before(str(page.get("ri:content-title") or ""))
    for tag in soup("ac:plain-text-body"):
        tag.name = "pre"
    for tag in soup(BLOCKS):
        tag.name = "div"
        tag.attrs = {}
    for tag in soup(re.compile(r"(ac|ri):")):
        tag.unwrap()
    heading = f"<h1>{escape(title)}</h1>" if title else ""
    return f"<html><body>{heading}{soup.body.decode_contents() if soup.body else ''}</body></html>"


def _without_cdata(body: str) -> str:
    head, *pieces = body.split(CDATA)
    said = [head]
    for piece in pieces:
        inside, *after = CDATA_END.split(piece, maxsplit=1)
        said += [escape(inside), *after]
    return "".join(said)
