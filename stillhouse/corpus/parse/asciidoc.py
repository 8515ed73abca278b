"""AsciiDoc to text, line by line: what it would include or run is left out.

The language is described at https://docs.asciidoctor.org/asciidoc/latest/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble, table

HEADING = re.compile(r"(={1,6}|#{1,6}) +(\S.*)")
ATTRIBUTE = re.compile(r":!?([\w-]+)!?:(?: +(.*))?")
BLOCK_ATTRIBUTES = re.compile(r"\[[^\]]*\]")
BLOCK_MACRO = re.compile(r"(?:include|image|video|audio|toc|ifdef|ifndef|ifeval|endif)::\S*\[.*\]")
ITEM = re.compile(r"(?:\*{1,5}|-|\.{1,5}|\d+\.|<\.>|<\d+>) +(\S.*)")
CHECKBOX = re.compile(r"\[[ x*]\] +")
TERM = re.compile(r"(\S.*?):{2,4}(?: +(.*))?")
# Blocks that are delimited by the same line twice: as they stand, or left out.
LITERAL = re.compile(r"(-{4,}|\.{4,}|`{3,})(?:\w*)")
COMMENT = re.compile(r"/{4,}")
PASSED = re.compile(r"\+{4,}")
FENCE = re.compile(r"={4,}|\*{4,}|_{4,}|--")  # whose content is read like any other
TABLE = re.compile(r"[|,:!]={3,}")
CELL = re.compile(r"(?:^|\s)(?:[\d.+*<>^aehlmsvd]*)\|")

# Within a line: possessive, as what has no end must not be tried in all its lengths.
LINK = re.compile(r"(?:link:|xref:|mailto:|https?://)[^\s\[\]]++\[([^\[\]]*+)\]")
REFERENCE = re.compile(r"<<([^<>,]++)(?:,\s*+([^<>]++))?>>")
NOTE = re.compile(r"footnote:[\w-]*+\[([^\[\]]*+)\]")
MACRO = re.compile(r"(?:image|icon|kbd|btn|menu|anchor|indexterm|pass):[^\s\[\]]*+\[([^\[\]]*+)\]")
ANCHOR = re.compile(r"\[\[[^\[\]]*+\]\]|\(\(\([^()]*+\)\)\)")
ROLE = re.compile(r"\[[.#%][^\[\]]*+\](?=[#*_`])")
MARKS = re.compile(r"(?<![\w*_`#])(\*\*?|__?|``?|##?)(?=\S)([^*_`#]++)\1(?![\w])")
NAMED = re.compile(r"\{([\w-]+)\}")


def parse_asciidoc(text: str) -> ParsedFile:
    """Headings, paragraphs, items and tables; who wrote it and what it defines are furniture."""
    reader = _Reader(text.splitlines())
    elements = list(reader.elements())
    title = next((e.text for e in elements if e.type == "Title"), "")
    furniture = [Element("Header lines", line) for line in reader.header]
    return assemble(elements, title=title, furniture=furniture)


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        self.at = 0
        self.named: dict[str, str] = {}
        self.header: list[str] = []

    def elements(self) -> Iterator[Element]:
        said: list[str] = []
        kind = "NarrativeText"
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            self.at += 1
            item, term, heading = (
                ITEM.fullmatch(line),
                TERM.fullmatch(line),
                HEADING.fullmatch(line),
            )
            silent = self._is_silent(line)
            block = LITERAL.fullmatch(line) or COMMENT.fullmatch(line) or PASSED.fullmatch(line)
            begins = not line or item or term or heading or silent or block or TABLE.fullmatch(line)
            if begins or FENCE.fullmatch(line):
                if said:
                    yield Element(kind, self._plain(" ".join(said)))
                said, kind = [], "NarrativeText"
            if block:
                inside = "\n".join(self._until(line))
                if LITERAL.fullmatch(line):
                    yield Element("CodeSnippet", inside)
            elif TABLE.fullmatch(line):
                columns = self._columns()
                yield table(self._rows(self._until(line), columns))
            elif heading:
                yield Element("Title", self._plain(heading[2]))
                if heading[1] in ("=", "#"):
                    self._read_header()
            elif item:
                said, kind = [CHECKBOX.sub("", item[1])], "ListItem"
            elif term and not silent:
                said, kind = [f"{term[1]}:", term[2] or ""], "ListItem"
            elif line and not silent and not FENCE.fullmatch(line) and line != "+":
                title = line[1:] if line[0] == "." and line[1:2].strip() else ""
                said.append(title or line.strip())
        if said:
            yield Element(kind, self._plain(" ".join(said)))

    def _is_silent(self, line: str) -> bool:
        if attribute := ATTRIBUTE.fullmatch(line):
            self.named[attribute[1]] = attribute[2] or ""
            self.header.append(line)
            return True
        comment = line.startswith("//") and not line.startswith("///")
        return bool(comment or BLOCK_ATTRIBUTES.fullmatch(line) or BLOCK_MACRO.fullmatch(line))

    def _read_header(self) -> None:
        """Below a document's title, up to a blank line: who wrote it, and when."""
        while self.at < len(self.lines) and (line := self.lines[self.at].strip()):
            self.at += 1
            if not self._is_silent(line):
                self.header.append(line)

    def _until(self, end: str) -> list[str]:
        start = self.at
        end = end.rstrip() if not end.startswith("```") else "```"
        while self.at < len(self.lines) and self.lines[self.at].rstrip() != end:
            self.at += 1
        self.at += 1
        return self.lines[start : self.at - 1]

    def _columns(self) -> int:
        """How many its attributes say, in the lines above; 0 where they don't."""
        found = re.search(r'cols="?([^"\]]+)', " ".join(self.lines[max(0, self.at - 4) : self.at]))
        if not found:
            return 0
        times = re.fullmatch(r"(\d{1,3})\*?.*", found[1]) if "," not in found[1] else None
        return int(times[1]) if times else found[1].count(",") + 1

    def _rows(self, lines: list[str], columns: int) -> list[list[str]]:
        """Cells row by row: so many as there are columns, or else as many as the first line has."""
        cells: list[str] = []
        for line in lines:
            before, *found = CELL.split(line)
            if cells and before.strip():
                cells[-1] += f" {before}"
            cells += found
            columns = columns or len(found)
        plain = [self._plain(cell) for cell in cells]
        width = max(columns, 1)
        return [plain[n : n + width] for n in range(0, len(plain), width)]

    def _plain(self, text: str) -> str:
        text = NAMED.sub(lambda m: self.named.get(m[1], m[0])[:1000], text)
        text = NOTE.sub(r" (\1)", ANCHOR.sub("", text))
        text = LINK.sub(r"\1", REFERENCE.sub(lambda m: m[2] or m[1], text))
        return MARKS.sub(r"\2", ROLE.sub("", MACRO.sub(r"\1", text)))
