"""Rich text (.rtf) to text, after the Rich Text Format Specification 1.9.1.

Footnotes, comments and text boxes stand below the paragraph that they are anchored in; what was
deleted while changes were tracked, pictures and embedded objects are left out, and headers and
footers are furniture.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field, replace

from stillhouse.corpus.confidentiality.marks import Said
from stillhouse.corpus.confidentiality.properties import labels
from stillhouse.corpus.parse.elements import SHORT, Element, ParsedFile, assemble, table
from stillhouse.corpus.parse.headings import may_be_heading
from stillhouse.corpus.parse.unparsable import Unparsable

TOKEN = re.compile(
    r"\\([a-zA-Z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|[\r\n]+"
    r"|([^\\{}\r\n]+)|\\"
)
# The code pages that fonts name by a number of Windows.
CHARSETS = {
    0: "cp1252",
    77: "mac_roman",
    128: "cp932",
    129: "cp949",
    130: "johab",
    134: "gbk",
    136: "cp950",
    161: "cp1253",
    162: "cp1254",
    163: "cp1258",
    177: "cp1255",
    178: "cp1256",
    186: "cp1257",
    204: "cp1251",
    222: "cp874",
    238: "cp1250",
    254: "cp437",
    255: "cp850",
}
SIGNS = {
    "tab": "\t",
    "line": "\n",
    "emdash": "—",
    "endash": "–",
    "bullet": "•",
    "lquote": "‘",
    "rquote": "’",
    "ldblquote": "“",
    "rdblquote": "”",
    "emspace": " ",
    "enspace": " ",
    "qmspace": " ",
    "~": "\u00a0",
    "_": "-",
    "{": "{",
    "}": "}",
    "\\": "\\",
    "nestcell": " | ",
    "nestrow": "\n",
}
ENDS = {"par", "sect", "page", "column", "\n", "\r"}
# Groups whose words are part of the text, by what they become.
ANCHORED = {"footnote": "Footnote", "annotation": "Comment", "shptxt": "NarrativeText"}
EDGES = {
    f"{where}{which}": where.capitalize()
    for where in ("header", "footer")
    for which in ("", "l", "r", "f")
}
# What the document says of itself.
TOLD = {"title", "keywords", "subject", "category", "doccomm", "propname", "staticval"}
# Groups that hold such groups, though readers may pass over them.
OPEN = {"shpinst", "userprops", "info", "upr", "shp", "nesttableprops", "object"}
SILENT = {
    *("fonttbl", "colortbl", "stylesheet", "listtable", "listoverridetable", "revtbl", "rsidtbl"),
    *("pict", "objdata", "objclass", "objname", "fldinst", "datafield", "formfield", "bkmkstart"),
    *("bkmkend", "atnid", "atnauthor", "atndate", "atnref", "atrfstart", "atrfend", "sp", "sn"),
    *("sv", "shprslt", "nonshppict", "nonesttables", "generator", "filetbl", "themedata", "xe"),
    *(
        "colorschememapping",
        "datastore",
        "latentstyles",
        "listtext",
        "pntext",
        "pn",
        "tc",
        "author",
    ),
    *("operator", "company", "manager", "creatim", "revtim", "printim", "buptim", "hlinkbase"),
    *("ftnsep", "ftnsepc", "aftnsep", "aftnsepc", "background", "xmlnstbl", "mmathPr", "private"),
}


@dataclass
class _Flow:
    """Paragraphs in their order, and the one that is being read."""

    kind: str = "NarrativeText"
    elements: list[Element] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    anchored: list[Element] = field(default_factory=list)
    cells: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    def text(self) -> str:
        found, self.said = "".join(self.said), []
        # Two surrogates are one character.
        return found.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def paragraph(self, kind: str) -> None:
        self.end_table()
        text = self.text()
        if kind == "NarrativeText":
            kind = SHORT if self.kind == kind and may_be_heading(text) else self.kind
        self.elements += [Element(kind, text), *self.anchored]
        self.anchored = []

    def row(self) -> None:
        last = self.text()
        self.rows.append([*self.cells, last] if last.strip() else self.cells)
        self.cells = []

    def end_table(self) -> None:
        if self.cells:
            self.rows.append(self.cells)
        if self.rows:
            self.elements.append(table(self.rows))
            self.rows, self.cells = [], []

    def end(self) -> list[Element]:
        self.paragraph("NarrativeText")
        return self.elements


@dataclass(frozen=True)
class _State:
    """Of a group, and what groups in it begin with. `flow` is None where nothing is text; `outer`
    is the last one that was."""

    flow: _Flow | None
    outer: _Flow
    told: str = ""
    font: int | None = None
    skipped: int = 1  # characters after one of Unicode, for readers that don't know it
    hidden: bool = False
    kind: str = "NarrativeText"
    in_table: bool = False
    opens: bool = False  # nothing but \* came yet


def parse_rtf(data: bytes) -> ParsedFile:
    """Raises `Unparsable` for what is no rich text."""
    if not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{\\rtf"):
        raise Unparsable(
            "corrupt", "not rich text", remedy="open it in its own program and save it again."
        )
    reader = _Reader(data.decode("latin-1"))
    body = reader.read()
    of_itself = [(name, value) for name, value in reader.told if name in TOLD and name != "title"]
    properties = labels([*of_itself, *reader.properties])
    title = next((value for name, value in reader.told if name == "title"), "")
    parsed = assemble(body, title=title, furniture=reader.edges)
    return replace(parsed, said=Said(tuple(properties)))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.main = _Flow()
        self.state = _State(self.main, self.main)
        self.stack: list[_State] = []
        self.code_page = "cp1252"
        self.fonts: dict[int, str] = {}
        self.bytes = bytearray()  # of one code page, not decoded yet
        self.skip = 0
        self.edges: list[Element] = []
        self.told: list[tuple[str, str]] = []
        self.properties: list[tuple[str, str]] = []
        self.words: list[str] = []  # of what it says of itself

    def read(self) -> list[Element]:
        at, end = 0, len(self.text)
        while at < end and (token := TOKEN.match(self.text, at)):
            at = token.end()
            word, number, sign, symbol, brace, plain = token.groups()
            if plain is not None or sign is not None:
                self._bytes(plain.encode("latin-1") if sign is None else bytes.fromhex(sign))
            elif word == "bin":
                at += max(0, int(number or 0))
            elif word or symbol or brace:
                self._flush()
                self.skip = 0
                if brace == "{":
                    self.stack.append(self.state)
                    self.state = replace(self.state, opens=True)
                elif brace:
                    self._close()
                else:
                    self._control(word or symbol, None if number is None else int(number))
        self._flush()
        while self.stack:  # it is broken off
            self._close()
        return self.main.end()

    def _bytes(self, found: bytes) -> None:
        left = found[self.skip :]
        self.skip = max(0, self.skip - len(found))
        if (self.state.flow or self.state.told) and not self.state.hidden:
            self.bytes += left

    def _flush(self) -> None:
        if self.bytes:
            font = self.fonts.get(-1 if self.state.font is None else self.state.font)
            self._say(bytes(self.bytes).decode(font or self.code_page, "replace"))
            self.bytes.clear()

    def _say(self, text: str) -> None:
        if self.state.told:
            self.words.append(text)
        elif self.state.flow and not self.state.hidden:
            self.state.flow.said.append(text)

    def _close(self) -> None:
        if not self.stack:
            return
        closed, self.state = self.state, self.stack.pop()
        if closed.told and closed.told != self.state.told:
            self._tell(closed.told, "".join(self.words).strip())
            self.words = []
        flow, around = closed.flow, self.state.flow
        if flow is not None and flow is not around and flow is not self.state.outer:
            elements = [e for e in flow.end() if e.text.strip()]
            if flow.kind in EDGES.values():
                self.edges += elements
            else:
                self.state.outer.anchored += elements

    def _tell(self, name: str, value: str) -> None:
        if name == "propname":
            self.properties.append((value, ""))
        elif name == "staticval" and self.properties:
            self.properties[-1] = (self.properties[-1][0], value)
        elif value:
            self.told.append(({"doccomm": "description"}.get(name, name), value))

    def _control(self, word: str, number: int | None) -> None:
        opens, state = self.state.opens, self.state
        if word == "*":
            # A group of a kind that nobody here knows is passed over, once its name came.
            self.state = replace(state, flow=None, opens=True)
            return
        self.state = state = replace(state, opens=False)
        if word in SILENT:
            self.state = replace(state, flow=None, told="")
        elif word in TOLD:
            self.state = replace(state, flow=None, told=word)
        elif word in ANCHORED or word in EDGES:
            flow = _Flow(ANCHORED.get(word) or EDGES[word])
            self.state = replace(state, flow=flow, outer=flow, kind="NarrativeText", in_table=False)
        elif word == "ud" or (word in OPEN and opens and word != "upr"):
            self.state = replace(state, flow=state.outer if word == "ud" else None)
        elif word == "upr":
            self.state = replace(state, flow=None)
        elif word == "result":
            self.state = replace(state, flow=state.outer)
        else:
            self._within(word, number)

    def _within(self, word: str, number: int | None) -> None:
        state, flow, on = self.state, self.state.flow, number != 0
        if word == "u" and number is not None:
            self._say(chr(number % 0x10000))
            self.skip = state.skipped
        elif word == "uc":
            self.state = replace(state, skipped=min(max(number or 0, 0), 9))
        elif word in SIGNS:
            self._say(SIGNS[word])
        elif word == "ansicpg":
            self.code_page = _known(f"cp{number}", self.code_page)
        elif word == "f":
            self.state = replace(state, font=number)
        elif word in ("fcharset", "cpg") and state.font is not None:
            named = f"cp{number}" if word == "cpg" else CHARSETS.get(number or 0, "")
            self.fonts[state.font] = _known(named, self.code_page)
        elif word in ("v", "deleted", "htmlrtf"):
            self.state = replace(state, hidden=on)
        elif word == "plain":
            self.state = replace(state, hidden=False, font=None)
        elif word == "pard":
            self.state = replace(state, kind="NarrativeText", in_table=False)
        elif word == "intbl":
            self.state = replace(state, in_table=True)
        elif word == "outlinelevel" and number is not None and 0 <= number < 9:
            self.state = replace(state, kind="Title")
        elif word == "ls" and number and state.kind != "Title":
            self.state = replace(state, kind="ListItem")
        elif flow is None:
            return
        elif word == "cell":
            flow.cells.append(flow.text())
        elif word == "row":
            flow.row()
        elif word in ENDS:
            if state.in_table:
                flow.said.append("\n")
            else:
                flow.paragraph(state.kind)


def _known(name: str, otherwise: str) -> str:
    try:
        return codecs.lookup(name).name if name else otherwise
    except LookupError:
        return otherwise
