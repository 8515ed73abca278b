"""HTML and Markdown: what is said, without navigation and other page furniture."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from stillhouse.corpus.confidentiality.marks import Said
from stillhouse.corpus.parse.elements import (
    WITHOUT_DETECTION,
    Element,
    ParsedFile,
    assemble,
    convert,
)
from stillhouse.corpus.parse.headings import ask_less

FRONT_MATTER = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S
)
SPACE = re.compile(r"\s+")
FRONT_MATTER_TITLE = re.compile(r"^title:(.*)$", re.M)

# Never text.
INVISIBLE_TAGS = ("script", "style", "noscript", "template", "svg", "iframe", "object")
# The "¶" or "#" beside a heading, as documentation generators write it.
PERMALINKS = {"headerlink", "anchor", "anchorjs-link"}
# What stands on lines of its own in a mail.
BLOCKS = (
    *("p", "div", "br", "tr", "table", "ul", "ol", "li", "hr", "pre", "blockquote", "dt", "dd"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
)
# Text, but of the site, not of the page.
FURNITURE = {"nav", "aside", "footer", "form"}
FURNITURE_ROLES = {"navigation", "banner", "contentinfo", "search", "complementary"}
# A header inside these carries the text's own title.
CONTENT_TAGS = ("article", "main", "section")


def parse_html(data: bytes | str) -> ParsedFile:
    """The page's text; navigation, banners, side bars, forms and page footers are furniture.

    Bytes are read in the encoding that the page declares.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data, "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    told = [(str(tag["name"]), str(tag["content"])) for tag in soup.select("meta[name][content]")]
    for tag in [*soup(INVISIBLE_TAGS), *(a for a in soup("a") if _is_permalink(a))]:
        tag.decompose()
    furniture = _cut_furniture(soup)
    furniture += [
        _cut(tag)
        for tag in soup("header")
        if not tag.decomposed and not tag.find_parent(CONTENT_TAGS)
    ]
    for form in soup("form"):
        form.unwrap()  # unstructured skips forms, but this one holds the page
    heading = soup.find("h1")
    parsed = _from_html(
        str(soup) if soup.find() else "",  # unstructured stumbles over comments alone
        title=(heading.get_text(" ", strip=True) if heading else "") or title,
        furniture=[element for element in furniture if element.text],
    )
    return replace(parsed, said=Said(tuple(told)))


def html_text(html: str) -> str:
    """All that the HTML of a mail says, line by line: its tables are mostly for looks."""
    from bs4 import BeautifulSoup
    from bs4.element import NavigableString

    soup = BeautifulSoup(html, "lxml")
    for tag in soup([*INVISIBLE_TAGS, "head"]):
        tag.decompose()
    for text in soup.find_all(string=True):
        plain = type(text) is NavigableString  # not a comment, which would become text
        if plain and text.find_parent("pre") is None:
            text.replace_with(SPACE.sub(" ", text))
    for tag in soup(BLOCKS):
        tag.insert_before("\n")
        tag.append("\n")
    for cell in soup(("td", "th")):
        cell.append(" ")
    return soup.get_text()


def parse_markdown(text: str) -> ParsedFile:
    """The text below the front matter, whose `title:` is the title where there is one."""
    import markdown  # type: ignore[import-untyped]

    title, furniture = "", []
    if front := FRONT_MATTER.match(text):
        found = FRONT_MATTER_TITLE.search(front[1])
        title = _unquoted(found[1].strip()) if found else ""
        furniture.append(Element("FrontMatter", front[1].strip()))
        text = text[front.end() :]
    html = markdown.markdown(text, extensions=["tables", "fenced_code"])
    return _from_html(html, title=title, furniture=furniture)


def _from_html(html: str, *, title: str, furniture: list[Element]) -> ParsedFile:
    from unstructured.partition.html import partition_html

    ask_less()
    elements = partition_html(text=html, languages=WITHOUT_DETECTION) if html.strip() else []
    return assemble(convert(elements), title=title, furniture=furniture)


def _unquoted(title: str) -> str:
    quoted = len(title) > 1 and title[0] == title[-1] and title[0] in "'\""
    return title[1:-1].strip() if quoted else title


def _cut_furniture(soup: Any) -> list[Element]:
    """Cut what is furniture, but never the whole page: some sites are one form.

    Lengths are taken once: asking each tag for its text makes a page of nested or of many tags
    take time by the square of its size.
    """
    lengths = _text_lengths(soup)
    whole = lengths.get(id(soup.body), 0)
    cut = []
    for tag in [tag for tag in soup.descendants if _is_furniture(tag)]:
        if not tag.decomposed and lengths[id(tag)] < 0.8 * whole:
            whole -= lengths[id(tag)]
            cut.append(_cut(tag))
    return cut


def _is_permalink(anchor: Any) -> bool:
    return not PERMALINKS.isdisjoint(anchor.get_attribute_list("class"))


def _is_furniture(node: Any) -> bool:
    """Asked of every node of a page: selectors of CSS took a third of its time."""
    if node.name is None:
        return False  # a text
    return (
        node.name in FURNITURE
        or node.get("role") in FURNITURE_ROLES
        or node.has_attr("hidden")
        or node.get("aria-hidden") == "true"
        or _of_an_export(node)
    )


def _of_an_export(node: Any) -> bool:
    """The furniture of a page that Confluence exported."""
    if node.get("id") == "breadcrumb-section":
        return True
    classes = node.get_attribute_list("class")
    if "pageSection" in classes:
        return node.find(id="attachments") is not None
    return "page-metadata" in classes


def _text_lengths(soup: Any) -> dict[int, int]:
    """Characters of text below each tag, by its id: white space at the borders doesn't count."""
    from bs4.element import NavigableString, PreformattedString

    lengths: dict[int, int] = {}
    path: list[tuple[Any, Any]] = [(soup, iter(soup.contents))]
    lengths[id(soup)] = 0
    while path:
        tag, children = path[-1]
        child = next(children, None)
        if child is None:
            path.pop()
            if path:
                lengths[id(path[-1][0])] += lengths[id(tag)]
        elif not isinstance(child, NavigableString):
            lengths[id(child)] = 0
            path.append((child, iter(child.contents)))
        elif not isinstance(child, PreformattedString):  # a comment, a declaration
            lengths[id(tag)] += len(child.strip()) + 1
    return lengths


def _cut(tag: Any) -> Element:
    element = Element(tag.name, " ".join(tag.get_text(" ").split()))
    tag.decompose()
    return element
