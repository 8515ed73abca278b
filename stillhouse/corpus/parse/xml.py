"""XML: a wiki's dump to its pages, an article (JATS) with its headings, of any other the text.

Nothing that a file declares or points to is ever fetched or expanded.
"""

from __future__ import annotations

from collections.abc import Iterator
from html.entities import html5
from typing import Any

from stillhouse.corpus.parse import confluence
from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble, table
from stillhouse.corpus.parse.parts import Holder, Part
from stillhouse.corpus.parse.safe_xml import SAFELY, refuse_entities
from stillhouse.corpus.parse.unparsable import Unparsable, without_text
from stillhouse.corpus.parse.wikitext import wikitext_elements

# Of a wiki: messages of its interface, templates and modules are no pages to read.
MACHINERY = {"8", "10", "828"}


def xml_parts(holder: Holder) -> Iterator[Part]:
    from lxml import etree  # type: ignore[import-untyped]

    refuse_entities(holder.stream)
    holder.stream.seek(0)
    events = etree.iterparse(holder.stream, events=("start", "end"), **SAFELY)
    _, root = next(iter(events))
    if _tag(root) == "mediawiki":
        yield from _pages(events)
        return
    if _tag(root) == confluence.ROOT:
        yield from confluence.space_parts(events)
        return
    for _ in events:
        pass
    is_article = _tag(root) == "article" and any(_tag(child) == "front" for child in root)
    elements = _article(root) if is_article else list(_blocks(root))
    parsed = assemble(elements)
    yield parsed if parsed.text else without_text()


def _tag(element: Any) -> str:
    """Without its namespace; "" for what is no element."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _said(element: Any) -> str:
    """The text in it on one line."""
    return " ".join("".join(_pieces(element)).split())


def _pieces(node: Any) -> Iterator[str]:
    """All text in it. Of an entity that no one declared, what HTML means by its name."""
    from lxml import etree

    if node.tag is etree.Entity:
        yield html5.get(f"{node.name};", "")
        return
    yield node.text or ""
    for child in node:
        yield from _pieces(child)
        yield child.tail or ""


def _pages(events: Any) -> Iterator[Part]:
    """Each page with text in its last revision; one that only leads to another has none."""
    for event, page in events:
        if event == "start" or _tag(page) != "page":
            continue
        title, space, text, redirect = "", "", "", False
        for node in page.iter():
            match _tag(node):
                case "title":
                    title = node.text or ""
                case "ns":
                    space = node.text or ""
                case "redirect":
                    redirect = True
                case "text":
                    text = node.text or ""
        page.clear()
        while page.getprevious() is not None:  # it keeps all that it has seen
            del page.getparent()[0]
        if not redirect and space not in MACHINERY:
            yield _page(title, text)


def _page(title: str, text: str) -> ParsedFile | Unparsable:
    parsed = assemble([Element("Title", title), *wikitext_elements(text)], title=title)
    if not text.strip():
        return Unparsable("empty", "a page of a wiki without text", remedy="nothing need be done.")
    return parsed


def _article(root: Any) -> list[Element]:
    """Title, abstract and body of an article; who wrote it and what it cites are left out."""
    titles = root.xpath("(.//*[local-name()='article-meta']//*[local-name()='article-title'])[1]")
    elements = [Element("Title", _said(title)) for title in titles]
    for abstract in root.xpath(".//*[local-name()='article-meta']/*[local-name()='abstract']"):
        if not any(_tag(child) == "title" for child in abstract):
            elements.append(Element("Title", "Abstract"))
        elements += _sections(abstract)
    for body in root.xpath("./*[local-name()='body']"):
        elements += _sections(body)
    return elements


def _sections(node: Any) -> Iterator[Element]:
    for child in node:
        match _tag(child):
            case "" | "label" | "ref-list":
                pass
            case "title":
                yield Element("Title", _said(child))
            case "table":
                rows = child.xpath(".//*[local-name()='tr']")
                yield table([[_said(cell) for cell in row] for row in rows])
            case _ if _says_something(child):
                yield Element("NarrativeText", _said(child))
            case _:
                yield from _sections(child)


def _blocks(node: Any) -> Iterator[Element]:
    """A paragraph for each element that says something itself, with all that is marked up in it."""
    if _says_something(node):
        yield Element("Text", _said(node))
    else:
        for child in node:
            yield from _blocks(child)


def _says_something(node: Any) -> bool:
    return bool((node.text or "").strip()) or any((child.tail or "").strip() for child in node)
