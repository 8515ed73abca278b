"""The markup of MediaWiki, roughly to text: what it would take a wiki to expand is left out."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from stillhouse.corpus.parse.elements import Element

COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.S)
# Notes, pictures, formulas: no running text.
CUT = re.compile(
    r"<(ref|gallery|math|timeline|score|imagemap|templatestyles)\b(?:[^<>]*/>|[^<>]*>.*?(?:</\1\s*>|\Z))",
    re.S | re.I,
)
BREAK = re.compile(r"<br\s*/?>", re.I)
TAG = re.compile(r"</?[a-z][^<>]*>", re.I)
TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
PARAMETER = re.compile(r"\{\{\{[^{}]*\}\}\}")
LINK = re.compile(r"\[\[([^\[\]]*)\]\]")
# Possessive (`*+`): what has no end must not be tried in all its lengths.
OUTER_LINK = re.compile(r"\[(?:(?:https?:|ftp:)?//|mailto:)[^\s\[\]]*+\s*+([^\[\]]*+)\]")
EMPHASIS = re.compile(r"'{2,5}")
SWITCH = re.compile(r"__[A-Z]+__")
HEADING = re.compile(r"(={1,6}) ?(.+?) ?\1")
MARKS = re.compile(r"\A[*#:;]+ ?")
# What a picture or a category is called in a few large languages.
NO_TEXT = ("file", "image", "media", "category", "datei", "bild", "kategorie", "fichier", "archivo",
           "catégorie", "categoría", "categoria", "immagine")  # fmt: skip
DEEPEST = 40  # templates within templates


def wikitext_elements(text: str) -> Iterator[Element]:
    """Headings, and the paragraphs, list items and rows of tables between them."""
    lines: list[str] = []
    for line in _plain_lines(text):
        heading = HEADING.fullmatch(line)
        if heading or not line:
            if lines:
                yield Element("NarrativeText", "\n".join(lines))
                lines = []
            if heading:
                yield Element("Title", heading[2])
        else:
            lines.append(line)
    if lines:
        yield Element("NarrativeText", "\n".join(lines))


def _plain_lines(text: str) -> Iterator[str]:
    text = CUT.sub("", COMMENT.sub("", text))
    text = _inside_out(PARAMETER, "", text)
    text = _inside_out(TEMPLATE, "", text)
    text = OUTER_LINK.sub(r"\1", TAG.sub("", BREAK.sub("\n", text)))
    text = EMPHASIS.sub("", SWITCH.sub("", _inside_out(LINK, _link, text)))
    for line in _without_tables(text.split("\n")):
        yield MARKS.sub(_marks, " ".join(html.unescape(line).split()))


def _marks(match: re.Match[str]) -> str:
    """Of what a line of a list begins with; indents and definitions are plain lines."""
    return "- " if match[0].rstrip()[-1] in "*#" else ""


def _inside_out(pattern: re.Pattern[str], by: object, text: str) -> str:
    """Replaced from the innermost on, as they lie in one another."""
    for _ in range(DEEPEST):
        text, found = pattern.subn(by, text)  # type: ignore[call-overload]
        if not found:
            break
    return text


def _link(match: re.Match[str]) -> str:
    target, *rest = match[1].split("|")
    space = target.partition(":")[0].strip().lower() if ":" in target else ""
    if space in NO_TEXT:
        return ""
    return rest[-1] if rest else target.removeprefix(":")


def _without_tables(lines: list[str]) -> Iterator[str]:
    """Lines outside of tables as they are, a row of one as its cells, parted by ` | `."""
    depth = 0
    cells: list[str] = []
    for line in lines:
        start = line.strip()
        if start.startswith("{|"):
            depth += 1
        elif not depth:
            yield line
        elif start.startswith(("|}", "|-")):
            if cells:
                yield " | ".join(cells)
            cells = []
            if start.startswith("|}"):
                depth -= 1
                yield ""
        elif start.startswith("|+"):
            yield start[2:].strip()
        elif start.startswith(("|", "!")):
            divider = r"\|\||!!" if start[0] == "!" else r"\|\|"
            parts = (_without_style(part) for part in re.split(divider, start[1:]))
            cells += [part for part in parts if part]
        elif start and cells:
            cells[-1] += f" {start}"
    if cells:
        yield " | ".join(cells)


def _without_style(cell: str) -> str:
    style, bar, said = cell.partition("|")
    return (said if bar and "=" in style else cell).strip()
