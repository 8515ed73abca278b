"""HTML and Markdown: what is said, without navigation and other page furniture."""

from __future__ import annotations

import re
from typing import Any

from stillhouse.corpus.parse.elements import (
    WITHOUT_DETECTION,
    Element,
    ParsedFile,
    assemble,
    convert,
)

FRONT_MATTER = re.compile(
    r"\A\ufeff?---[ \t]*\r?\n(.*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)", re.S
)
SPACE = re.compile(r"\s+")
FRONT_MATTER_TITLE = re.compile(r"^title:(.*)$", re.M)

# Never text.
INVISIBLE_TAGS = ("script", "style", "noscript", "template", "svg", "iframe", "object")
# The "¶" or "#" beside a heading, as documentation generators write it.
PERMALINKS = "a.headerlink, a.anchor, a.anchorjs-link"
# What stands on lines of its own in a mail.
BLOCKS = (
    *("p", "div", "br", "tr", "table", "ul", "ol", "li", "hr", "pre", "blockquote", "dt", "dd"),
    *("h1", "h2", "h3", "h4", "h5", "h6"),
)
# Text, but of the site, not of the page.
FURNITURE = (
    "nav, aside, footer, form, [role=navigation], [role=banner], [role=contentinfo], "
    "[role=search], [role=complementary], [hidden], [aria-hidden=true], "
    # of the pages of a Confluence export
    "#breadcrumb-section, .page-metadata, .pageSection:has(#attachments)"
)
# A header inside these carries the text's own title.
CONTENT_TAGS = ("article", "main", "section")


def parse_html(data: bytes | str) -> ParsedFile:
    """The page's text; navigation, banners, side bars, forms and page footers are furniture.

    Bytes are read in the encoding that the page declares.
    """
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data, "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in [*soup(INVISIBLE_TAGS), *soup.select(PERMALINKS)]:
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
    return _from_html(
        str(soup) if soup.find() else "",  # unstructured stumbles over comments alone
        title=(heading.get_text(" ", strip=True) if heading else "") or title,
        furniture=[element for element in furniture if element.text],
    )


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
    for tag in soup.select(FURNITURE):
        if not tag.decomposed and lengths[id(tag)] < 0.8 * whole:
            whole -= lengths[id(tag)]
            cut.append(_cut(tag))
    return cut


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
