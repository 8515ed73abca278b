"""LaTeX to text: what is said, without commands; formulas stay as they are written.

Nothing is expanded, run or included: a command of the author's own gives what stands in its braces.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from stillhouse.corpus.parse.elements import Element, ParsedFile, assemble, table

DOCUMENT = re.compile(r"\\begin\s*\{document\}")
TOKEN = re.compile(
    r"\\(?:begin|end)\s*\{(?P<environment>[^{}]*)\}|\\(?P<command>[A-Za-z@]+)\*?|\\(?P<sign>.)"
    r"|(?P<special>[{}&~]|\$\$?)|(?P<gap>\n[ \t]*\n\s*)|(?P<words>[^\\{}&~$%\n]+|\n|\\)"
    r"|%[^\n]*\n?[ \t]*",
    re.S,
)
HEADINGS = {"title", "part", "chapter", "section", "subsection", "subsubsection", "paragraph"}
# With how many arguments they are left out: what they name is for a machine.
DROPPED = {
    **dict.fromkeys(("label", "ref", "eqref", "pageref", "cite", "citep", "citet", "input"), 1),
    **dict.fromkeys(("include", "includegraphics", "usepackage", "documentclass", "href"), 1),
    **dict.fromkeys(("bibliography", "bibliographystyle", "vspace", "hspace", "pagestyle"), 1),
    **dict.fromkeys(("hypersetup", "color", "index", "graphicspath", "addbibresource"), 1),
    **dict.fromkeys(("thispagestyle", "cref", "autoref", "nocite", "textcolor"), 1),
    **dict.fromkeys(("newcommand", "renewcommand", "setlength", "setcounter"), 2),
    **dict.fromkeys(("newenvironment", "definecolor"), 3),
}
SYMBOLS = {
    "ss": "ß",
    "ae": "æ",
    "AE": "Æ",
    "oe": "œ",
    "OE": "Œ",
    "o": "ø",
    "O": "Ø",
    "aa": "å",
    "AA": "Å",
    "l": "ł",
    "L": "Ł",
    "i": "ı",
    "ldots": "…",
    "dots": "…",
    "textbackslash": "\\",
    "LaTeX": "LaTeX",
    "TeX": "TeX",
    "S": "§",
    "euro": "€",
    "textdegree": "°",
    "quad": " ",
    "newline": "\n",
    "tabularnewline": "\n",
    "par": "\n\n",
    "textasciitilde": "~",
    "pounds": "£",
}
ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    "^": "\u0302",
    '"': "\u0308",
    "~": "\u0303",
    "=": "\u0304",
    ".": "\u0307",
    "c": "\u0327",
    "v": "\u030c",
    "u": "\u0306",
    "H": "\u030b",
    "r": "\u030a",
    "k": "\u0328",
    "d": "\u0323",
    "b": "\u0331",
}
ACCENTED = re.compile(r"\s*(?:\{\s*\\?([A-Za-z])\s*\}|\\?([A-Za-z]))")
AS_WRITTEN = {"verbatim", "lstlisting", "minted", "Verbatim", "alltt"}
FORMULAS = {"equation", "align", "gather", "multline", "eqnarray", "math", "displaymath", "flalign"}
TABLES = {"tabular", "tabularx", "longtable", "tabulary", "array"}
PICTURES = {"tikzpicture", "pgfpicture", "comment", "filecontents", "picture"}
LIGATURES = {"---": "—", "--": "–", "``": "“", "''": "”"}
LIGATURE = re.compile("|".join(map(re.escape, LIGATURES)))
RULES = re.compile(r"\\(?:hline|toprule|midrule|bottomrule|cline\s*\{[^{}]*\})")


def parse_latex(text: str) -> ParsedFile:
    """Title, headings, paragraphs, items, tables and notes of what stands in the document."""
    text = text.replace("\r\n", "\n")
    begun = DOCUMENT.search(text)
    head, body = (text[: begun.start()], text[begun.end() :]) if begun else ("", text)
    title = ""
    if (at := head.find("\\title")) >= 0:
        title = _Reader(head[at:]).first_argument()
    elements = [Element("Title", title), *_Reader(body).elements()]
    return assemble(elements, title=title)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kind = "NarrativeText"
        self.notes: list[str] = []

    def first_argument(self) -> str:
        self.at = self.text.find("{")
        return _words(self.argument()) if self.at >= 0 else ""

    def elements(self) -> Iterator[Element]:
        said: list[str] = []
        while token := TOKEN.match(self.text, self.at):
            self.at = token.end()
            name = token["environment"]
            if name is not None:
                name = name.rstrip("*")
                if name == "document":
                    break
                yield from self._end(said)
                if token[0].startswith("\\begin"):
                    yield from self._environment(name)
            elif token["gap"]:
                yield from self._end(said)
            elif (command := token["command"]) in HEADINGS:
                yield from self._end(said)
                self.option()
                yield Element("Title", _words(self.argument()))
            elif command in ("item", "caption", "bibitem"):
                yield from self._end(said)
                if command == "bibitem":
                    self.argument()
                term = self.option()
                said += [f"{_words(term)}: "] if term else []
                self.kind = "NarrativeText" if command == "caption" else "ListItem"
            else:
                said.append(self._inline(token))
        yield from self._end(said)

    def _end(self, said: list[str]) -> Iterator[Element]:
        """The paragraph so far, and the notes to it."""
        for part in "".join(said).split("\n\n"):
            yield Element(self.kind, " ".join(part.split(" ")).strip())
        for note in self.notes:
            yield Element("Footnote", note)
        said.clear()
        self.notes, self.kind = [], "NarrativeText"

    def _environment(self, name: str) -> Iterator[Element]:
        if name in AS_WRITTEN or name in FORMULAS or name in PICTURES or name in TABLES:
            inside = self._until(name)
            if name in TABLES:
                yield table(_rows(inside))
            elif name not in PICTURES:
                yield Element(
                    "CodeSnippet" if name in AS_WRITTEN else "Formula", inside.strip("\n")
                )
        elif name in ("figure", "table", "minipage", "multicols", "thebibliography", "wrapfigure"):
            self.option()
            if name not in ("figure", "table"):
                self.argument()
        else:
            self.option()

    def _until(self, name: str) -> str:
        start = self.at
        ends = [self.text.find(f"\\end{{{name}{star}}}", start) for star in ("", "*")]
        found = [end for end in ends if end >= 0]
        end = min(found) if found else len(self.text)
        self.at = end
        return self.text[start:end]

    def _inline(self, token: re.Match[str]) -> str:
        if words := token["words"]:
            return LIGATURE.sub(lambda m: LIGATURES[m[0]], words.replace("\n", " "))
        if token[0].startswith("%"):
            return ""
        if special := token["special"]:
            if special[0] == "$":
                return f"{special}{self._to(special)}{special}"
            return " " if special in "~&" else ""
        name = token["command"] or token["sign"]
        if name in ACCENTS and (letter := ACCENTED.match(self.text, self.at)):
            self.at = letter.end()
            return unicodedata.normalize("NFC", (letter[1] or letter[2]) + ACCENTS[name])
        if token["sign"]:
            if name in "[(":
                end = "\\]" if name == "[" else "\\)"
                return f"\\{name}{self._to(end)}{end}"
            return name if name in "&%$#_{}" else " "
        if name == "footnote":
            self.option()
            self.notes.append(_words(self.argument()))
            return ""
        if name == "verb":
            return self._verb()
        if name in DROPPED:
            for _ in range(DROPPED[name]):
                self.option()
                self.argument()
            return ""
        if name in SYMBOLS:
            while self.text.startswith(" ", self.at):  # it ends the command
                self.at += 1
            return SYMBOLS[name]
        self.option()
        return ""

    def _verb(self) -> str:
        mark = self.text[self.at : self.at + 1]
        self.at += 1
        return self._to(mark) if mark else ""

    def _to(self, end: str) -> str:
        """Up to `end`, which is passed; to the paragraph's end where there is none."""
        start = self.at
        stop = self.text.find("\n\n", start)
        stop = len(self.text) if stop < 0 else stop
        found = self.text.find(end, start, stop)
        self.at = stop if found < 0 else found + len(end)
        return self.text[start : stop if found < 0 else self.at - len(end)]

    def option(self) -> str:
        if self.text.startswith("[", self.at):
            start = self.at + 1
            end = self.text.find("]", start, start + 1000)
            self.at = end + 1 if end >= 0 else start
            return self.text[start:end] if end >= 0 else ""
        return ""

    def argument(self) -> str:
        """What stands in the braces that come next; "" where none do."""
        while self.text[self.at : self.at + 1].isspace():
            self.at += 1
        if not self.text.startswith("{", self.at):
            return ""
        depth, start = 0, self.at + 1
        for brace in re.compile(r"\\.|[{}]", re.S).finditer(self.text, self.at):
            depth += {"{": 1, "}": -1}.get(brace[0], 0)
            if depth == 0:
                self.at = brace.end()
                return self.text[start : brace.start()]
        self.at = len(self.text)
        return self.text[start:]


def _words(text: str) -> str:
    """On one line, its notes in brackets."""
    elements = (element.text for element in _Reader(text).elements())
    return " ".join(" ".join(elements).split())


def _rows(inside: str) -> Iterator[list[str]]:
    """Of what stands in a table, after the argument that describes its columns."""
    reader = _Reader(inside)
    while inside.startswith(("{", "["), reader.at) and reader.at < len(inside):
        if not reader.option():
            reader.argument()
    rest = RULES.sub("", inside[reader.at :])
    for row in re.split(r"\\\\(?:\[[^\]]*\])?|\\tabularnewline", rest):
        yield [_words(cell) for cell in re.split(r"(?<!\\)&", row)]
