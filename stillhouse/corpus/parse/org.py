"""Org files (Emacs) to text, line by line: what they would run or include is left out.

The language is described at https://orgmode.org/worg/org-syntax.html.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble, table

HEADING = re.compile(r"\*+ +(\S.*)")
STATE = re.compile(r"(?:TODO|DONE|NEXT|WAITING|CANCELLED|CANCELED)\b *|\[#[A-Za-z0-9]\] *")
TAGS = re.compile(r"\s+:[\w@#%:]+:\s*$")
KEYWORD = re.compile(r"\s*#\+(\w+(?:\[[^\]]*\])?):(.*)", re.I)
BEGIN = re.compile(r"\s*#\+begin[_:](\w+).*|\s*#\+begin:.*", re.I)
END = re.compile(r"\s*(?:#\+end[_:](\w*).*|(:)end:\s*)", re.I)
DRAWER = re.compile(r"\s*:[\w-]+:\s*")
PLANNED = re.compile(r"\s*(?:SCHEDULED|DEADLINE|CLOSED|CLOCK): *[<\[].*")
ITEM = re.compile(r"(?:\s*[-+]|\s+\*|\s*(?:\d{1,9}|[A-Za-z])[.)]) +(?:\[[ xX-]\] +)?(\S.*)")
NOTE = re.compile(r"\[fn:[\w-]+\] *(.*)")
ROW, RULE = re.compile(r"\s*\|(.*)"), re.compile(r"\s*\|-[-+|]*\s*")
COMMENT = re.compile(r"\s*#(?: .*)?")
FIXED = re.compile(r"\s*:(?: (.*))?")
ESCAPED = re.compile(r"^\s*,(?=\*|#\+|,)")
LITERAL = {"src", "example"}
LEFT_OUT = {"comment", "export"}

# Within a line: possessive, as what has no end must not be tried in all its lengths.
LINK = re.compile(r"\[\[([^\[\]]++)\](?:\[([^\[\]]++)\])?\]")
INLINE_NOTE = re.compile(r"\[fn:[\w-]*+:([^\[\]]++)\]")
REFERENCE = re.compile(r"\[fn:[\w-]++\]")
MACRO = re.compile(r"\{\{\{[^{}]*+\}\}\}|<<<?[^<>\s][^<>]*+>?>>")
MARKS = re.compile(r"(?<![^\s({'\"-])([*/_=~+])(?=\S)([^*/_=~+\n]++)(?<=\S)\1(?![^\s)}'\".,:;!?-])")


def parse_org(text: str) -> ParsedFile:
    """Headings, paragraphs, items, notes and tables; what it sets, and when, is furniture."""
    reader = _Reader(text.splitlines())
    elements = list(reader.elements())
    furniture = [Element("Header lines", line) for line in reader.settings]
    return assemble(elements, title=reader.title, furniture=furniture)


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0
        self.title = ""
        self.settings: list[str] = []
        # Where blocks may end: looked up, as what has no end must not be searched for each time.
        self.ends: dict[str, list[int]] = {}
        self.headings = [n for n, line in enumerate(lines) if HEADING.match(line)]
        for number, line in enumerate(lines):
            if end := END.fullmatch(line.rstrip()):
                self.ends.setdefault((end[1] or end[2] or "").lower(), []).append(number)

    def elements(self) -> Iterator[Element]:
        said: list[str] = []
        kind = "NarrativeText"
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            self.at += 1
            found = None if self._goes_on(line) else list(self._block(line))
            if found is None and (item := ITEM.fullmatch(line)):
                found = []
            if found is not None and said:
                yield Element(kind, _plain(" ".join(said)))
                said, kind = [], "NarrativeText"
            if found is None:
                said.append(line.strip())
            elif item := ITEM.fullmatch(line):
                said, kind = [item[1]], "ListItem"
            yield from found or ()
        if said:
            yield Element(kind, _plain(" ".join(said)))

    def _goes_on(self, line: str) -> bool:
        """Whether the line is one of a paragraph."""
        others = (HEADING, KEYWORD, BEGIN, END, DRAWER, PLANNED, NOTE, ROW, COMMENT, FIXED, ITEM)
        return bool(line) and not any(other.fullmatch(line) for other in others)

    def _block(self, line: str) -> Iterator[Element]:
        if not line or any(other.fullmatch(line) for other in (COMMENT, ITEM, END)):
            return
        if heading := HEADING.fullmatch(line):
            bare = STATE.sub("", TAGS.sub("", heading[1]), count=2)
            yield Element("Title", _plain(bare))
        elif block := BEGIN.fullmatch(line):
            yield from self._delimited((block[1] or "").lower())
        elif keyword := KEYWORD.fullmatch(line):
            if keyword[1].lower() == "title":
                self.title = f"{self.title} {_plain(keyword[2])}".strip()
            self.settings.append(line.strip())
        elif PLANNED.fullmatch(line):
            self.settings.append(line.strip())
        elif DRAWER.fullmatch(line):
            self.settings += self._until(":")
        elif note := NOTE.fullmatch(line):
            yield Element("Footnote", _plain(" ".join([note[1], *self._paragraph()])))
        elif ROW.fullmatch(line):
            self.at -= 1
            yield table(list(self._rows()))
        elif fixed := FIXED.fullmatch(line):
            yield Element("CodeSnippet", fixed[1] or "")

    def _delimited(self, name: str) -> Iterator[Element]:
        """What stands as it is, or not at all; of any other block the lines are read on."""
        if name in LITERAL | LEFT_OUT:
            inside = self._until(name)
            if name in LITERAL:
                yield Element("CodeSnippet", "\n".join(ESCAPED.sub("", line) for line in inside))

    def _until(self, end: str) -> list[str]:
        """The lines up to that end; none where it doesn't come before the next heading."""
        places = self.ends.get(end, [])
        if (next_one := bisect_left(places, self.at)) == len(places):
            return []
        at = places[next_one]
        heading = bisect_left(self.headings, self.at)
        if heading < len(self.headings) and self.headings[heading] < at:
            return []
        found, self.at = self.lines[self.at : at], at + 1
        return found

    def _paragraph(self) -> Iterator[str]:
        while self.at < len(self.lines) and self._goes_on(self.lines[self.at].rstrip()):
            yield self.lines[self.at].strip()
            self.at += 1

    def _rows(self) -> Iterator[list[str]]:
        while self.at < len(self.lines) and (row := ROW.fullmatch(self.lines[self.at].rstrip())):
            self.at += 1
            if not RULE.fullmatch(row[0]):
                yield [_plain(cell) for cell in row[1].removesuffix("|").split("|")]


def _plain(text: str) -> str:
    text = INLINE_NOTE.sub(r" (\1)", text)
    text = LINK.sub(lambda m: m[2] or m[1], REFERENCE.sub("", MACRO.sub("", text)))
    return MARKS.sub(r"\2", text).strip()
