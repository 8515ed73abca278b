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
FRONT_MATTER_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.+?)\1[ \t]*$", re.M)

# Never text.
INVISIBLE_TAGS = ("script", "style", "noscript", "template", "svg", "iframe", "object")
# The "¶" or "#" beside a heading, as documentation generators write it.
PERMALINKS = "a.headerlink, a.anchor, a.anchorjs-link"
# Text, but of the site, not of the page.
FURNITURE = (
    "nav, aside, footer, form, [role=navigation], [role=banner], [role=contentinfo], "
    "[role=search], [role=complementary], [hidden], [aria-hidden=true]"
)
# A header inside these carries the text's own title.
CONTENT_TAGS = ("article", "main", "section")


def parse_html(data: bytes) -> ParsedFile:
    """The page's text; navigation, banners, side bars, forms and page footers are furniture."""
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(data, "lxml")
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for tag in [*soup(INVISIBLE_TAGS), *soup.select(PERMALINKS)]:
        tag.decompose()
    furniture = [_cut(tag) for tag in soup.select(FURNITURE) if _is_furniture(tag)]
    furniture += [
        _cut(tag)
        for tag in soup("header")
        if not tag.decomposed and not tag.find_parent(CONTENT_TAGS)
    ]
    for form in soup("form"):
        form.unwrap()  # unstructured skips forms, but this one holds the page
    heading = soup.find("h1")
    return _from_html(
        str(soup),
        title=(heading.get_text(" ", strip=True) if heading else "") or title,
        furniture=[element for element in furniture if element.text],
    )


def parse_markdown(text: str) -> ParsedFile:
    """The text below the front matter, whose `title:` is the title where there is one."""
    import markdown  # type: ignore[import-untyped]

    title, furniture = "", []
    if front := FRONT_MATTER.match(text):
        found = FRONT_MATTER_TITLE.search(front[1])
        title = found[2].strip() if found else ""
        furniture.append(Element("FrontMatter", front[1].strip()))
        text = text[front.end() :]
    html = markdown.markdown(text, extensions=["tables", "fenced_code"])
    return _from_html(html, title=title, furniture=furniture)


def _from_html(html: str, *, title: str, furniture: list[Element]) -> ParsedFile:
    from unstructured.partition.html import partition_html

    elements = partition_html(text=html, languages=WITHOUT_DETECTION) if html.strip() else []
    return assemble(convert(elements), title=title, furniture=furniture)


def _is_furniture(tag: Any) -> bool:
    """Not cut already with the tag around it, and not the whole page: some sites are one form."""
    if tag.decomposed:
        return False
    body = tag.find_parent("body")
    whole = len(body.get_text(" ", strip=True)) if body else 0
    return len(tag.get_text(" ", strip=True)) < 0.8 * whole


def _cut(tag: Any) -> Element:
    element = Element(tag.name, " ".join(tag.get_text(" ").split()))
    tag.decompose()
    return element
