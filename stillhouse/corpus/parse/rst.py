"""reStructuredText to text, by docutils; nothing that a file names is read, included or run.

Directives and roles that docutils doesn't know, as those of Sphinx, give what stands in them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from stillhouse.corpus.parse.elements import Element, ParsedFile
from stillhouse.corpus.parse.markup import parse_html

DIRECTIVE = re.compile(r"^[ \t]*\.\. (?:\|[^|\n]{1,200}\| )?([\w:.+-]{1,60})::", re.M)
ROLE = re.compile(r":([\w:.+-]{1,60}):`")
ASIDE = re.compile(r"<(/?)aside\b")
TARGET = re.compile(r"\s*<[^<>]*>$")
# Which say nothing that is read here: what they name lies elsewhere, or is for a program.
SILENT = re.compile(
    r"toctree|index|highlight|literalinclude|currentmodule|module|testsetup|only|tabularcolumns"
    r"|(?:\w+:)?auto\w*"
)
SETTINGS = {
    "file_insertion_enabled": False,
    "raw_enabled": False,
    "_disable_config": True,
    # Its words about a file would become part of the text.
    "report_level": 5,
    "halt_level": 5,
    "input_encoding": "unicode",
    "output_encoding": "unicode",
    "stylesheet_path": [],
    "stylesheet": [],
    "syntax_highlight": "none",
    "math_output": "latex",
    "line_length_limit": 1 << 24,
}


def parse_rst(text: str) -> ParsedFile:
    """Who wrote it and when, as far as it says so above its text, is furniture."""
    from docutils import nodes
    from docutils.core import publish_doctree, publish_from_doctree

    _make_known(text)
    document = publish_doctree(text, settings_overrides=SETTINGS)
    about = list(document.findall(nodes.docinfo))
    for node in about:
        node.parent.remove(node)
    for picture in [n for n in document.findall(nodes.image) if "alt" not in n]:
        picture.parent.remove(picture)  # the name of a file
    html = str(publish_from_doctree(document, writer="html5", settings_overrides=SETTINGS))
    # Notes and warnings are part of the text, which an <aside> of a web page is not.
    parsed = parse_html(ASIDE.sub(r"<\1div", html))
    furniture = [Element("Header lines", node.astext()) for node in about]
    return replace(parsed, furniture=[*parsed.furniture, *furniture])


def _make_known(text: str) -> None:
    """Names are registered for the process: whoever uses one has it registered for himself."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    passage = _passage()
    for name in {found.lower() for found in DIRECTIVE.findall(text)} - en.directives.keys():
        directives.register_directive(name, passage)
    for name in {found.lower() for found in ROLE.findall(text)} - en.roles.keys():
        roles.register_local_role(name, _role)


def _role(_: str, rawtext: str, text: str, *__: Any) -> tuple[list[Any], list[Any]]:
    from docutils import nodes

    shown = TARGET.sub("", nodes.unescape(text)).lstrip("~!")
    return [nodes.inline(rawtext, shown or nodes.unescape(text))], []


def _passage() -> Any:
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives

    class AnyOption(dict[str, Any]):
        def __missing__(self, name: str) -> Any:
            return directives.unchanged

    class Passage(Directive):
        has_content = True
        optional_arguments = 1
        final_argument_whitespace = True
        option_spec = AnyOption(name=directives.unchanged)

        def run(self) -> list[Any]:
            if SILENT.fullmatch(self.name):
                return []
            found: list[Any] = []
            if self.arguments:
                said, _ = self.state.inline_text(self.arguments[0], self.lineno)
                found.append(nodes.paragraph("", "", *said))
            inside = nodes.container()
            self.state.nested_parse(self.content, self.content_offset, inside)
            return [*found, inside]

    return Passage
