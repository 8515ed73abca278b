"""Writes the hand-written pages as PDF, Word, HTML and Markdown, as an intranet would hold them.

A page is a dict {file, title, number, blocks}, of some with the `marking` in their footer or the
`password` that a PDF is encrypted with; a block is one of {h: text}, {p: text},
{list: [text]}, {table: rows of cells, the first being the head}.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

import docx
from docx.shared import Cm, Pt
from reportlab.lib import colors
from reportlab.lib.pagesizes import A5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

COMPANY = "Brackwater Pumpworks Ltd"
EPOCH = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)

Page = dict[str, Any]

BODY = ParagraphStyle("body", fontName="Helvetica", fontSize=9.5, leading=13.5, spaceAfter=6)
CELL = ParagraphStyle("cell", fontName="Helvetica", fontSize=8, leading=10)
HEAD_CELL = ParagraphStyle("head-cell", CELL, fontName="Helvetica-Bold")
HEADING = ParagraphStyle("heading", BODY, fontName="Helvetica-Bold", fontSize=11, keepWithNext=1)
TITLE = ParagraphStyle("title", HEADING, fontSize=15, leading=19, spaceAfter=8)


def department_name(slug: str) -> str:
    """The written name of a department's folder: field-service -> Field Service."""
    return " ".join(w.upper() if w == "it" else w.capitalize() for w in slug.split("-"))


def pdf(page: Page, department: str) -> bytes:
    """An A5 PDF with running header and footer; the same bytes for the same library version."""
    total = 0

    def draw_furniture(canvas: Canvas, doc: SimpleDocTemplate) -> None:
        width, height = A5
        canvas.setFont("Helvetica", 7.5)
        canvas.drawString(15 * mm, height - 10 * mm, f"{COMPANY} - Handbook")
        canvas.drawRightString(width - 15 * mm, height - 10 * mm, page["title"])
        canvas.line(15 * mm, height - 12 * mm, width - 15 * mm, height - 12 * mm)
        canvas.drawString(15 * mm, 8 * mm, _footer(page))
        canvas.drawRightString(width - 15 * mm, 8 * mm, f"Page {doc.page} of {total}")

    # The footer names the number of pages, so the first pass only counts them.
    for _ in range(2):
        buffer = io.BytesIO()
        doc = SimpleDocTemplate(
            buffer,
            pagesize=A5,
            leftMargin=15 * mm,
            rightMargin=15 * mm,
            topMargin=18 * mm,
            bottomMargin=16 * mm,
            title=page["title"],
            author=f"{COMPANY}, {department_name(department)}",
            encrypt=page.get("password"),
            invariant=1,
        )
        doc.build(_flowables(page), onFirstPage=draw_furniture, onLaterPages=draw_furniture)
        total = doc.page
    return buffer.getvalue()


def _footer(page: Page) -> str:
    return f"{page['number']}   Revision 4   {page.get('marking', 'For internal use')}"


def _flowables(page: Page) -> list[Flowable]:
    story: list[Flowable] = [Paragraph(escape(page["title"]), TITLE)]
    for block in page["blocks"]:
        ((kind, content),) = block.items()
        if kind == "h":
            story.append(Paragraph(escape(content), HEADING))
        elif kind == "p":
            story.append(Paragraph(escape(content), BODY))
        elif kind == "list":
            story += [Paragraph(escape(item), BODY, bulletText="-") for item in content]
        else:
            story += [_pdf_table(content), Spacer(1, 8)]
    return story


def _pdf_table(rows: list[list[str]]) -> Table:
    styles = [HEAD_CELL, *[CELL] * (len(rows) - 1)]
    cells = [
        [Paragraph(escape(c), style) for c in row] for row, style in zip(rows, styles, strict=True)
    ]
    grid = TableStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.4, colors.grey),
            ("BACKGROUND", (0, 0), (-1, 0), colors.whitesmoke),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
    )
    return Table(cells, style=grid, colWidths=[118 * mm / len(rows[0])] * len(rows[0]))


def word(page: Page, department: str) -> bytes:
    """A Word file with header and footer, its dates and those of its zip entries fixed."""
    document = docx.Document()
    document.styles["Normal"].font.size = Pt(10.5)
    section = document.sections[0]
    section.left_margin = section.right_margin = Cm(2.5)
    section.header.paragraphs[0].text = f"{COMPANY} - Handbook\t\t{page['title']}"
    section.footer.paragraphs[0].text = _footer(page)
    core = document.core_properties
    core.title, core.author = page["title"], f"{COMPANY}, {department_name(department)}"
    core.created = core.modified = EPOCH
    document.add_heading(page["title"], level=1)
    for block in page["blocks"]:
        ((kind, content),) = block.items()
        if kind == "h":
            document.add_heading(content, level=2)
        elif kind == "p":
            document.add_paragraph(content)
        elif kind == "list":
            for item in content:
                document.add_paragraph(item, style="List Bullet")
        else:
            table = document.add_table(rows=0, cols=len(content[0]), style="Table Grid")
            for row in content:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
    raw = io.BytesIO()
    document.save(raw)
    return _with_fixed_dates(raw)


def _with_fixed_dates(archive: io.BytesIO) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(out, "w") as target:
        for name in source.namelist():
            info = zipfile.ZipInfo(name, ZIP_EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            target.writestr(info, source.read(name))
    return out.getvalue()


def markdown(page: Page, department: str) -> bytes:
    """A wiki page in Markdown."""
    name = department_name(department)
    parts = [f"[Wiki](../index.html) / {name} / {page['title']}", f"# {page['title']}"]
    for block in page["blocks"]:
        ((kind, content),) = block.items()
        if kind == "h":
            parts.append(f"## {content}")
        elif kind == "p":
            parts.append(content)
        elif kind == "list":
            parts.append("\n".join(f"- {item}" for item in content))
        else:
            rows = ["| " + " | ".join(row) + " |" for row in content]
            rule = "|" + " --- |" * len(content[0])
            parts.append("\n".join([rows[0], rule, *rows[1:]]))
    return ("\n\n".join(parts) + "\n").encode()


def html(page: Page, department: str, departments: Iterable[str], siblings: list[Page]) -> bytes:
    """A wiki page in HTML amid the navigation that surrounds it on an intranet."""
    name = department_name(department)
    top = _links((f"../{d}/index.html", department_name(d)) for d in departments)
    side = _links((Path(s["file"]).name, s["title"]) for s in siblings)
    article = "\n".join(_html_block(block) for block in page["blocks"])
    title = escape(page["title"])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title} - Brackwater Wiki</title>
<script>document.documentElement.className = "js";</script>
</head>
<body>
<header>
<a href="#content">Skip to content</a>
<form action="/search"><input name="q" placeholder="Search the wiki"><button>Search</button></form>
<nav aria-label="Departments">{top}</nav>
</header>
<div class="breadcrumb">Home &gt; Wiki &gt; {escape(name)} &gt; {title}</div>
<aside><p>In this section</p><nav>{side}</nav></aside>
<main id="content">
<h1>{title}</h1>
{article}
</main>
<footer>
<p>Was this page helpful? <a href="#yes">Yes</a> <a href="#no">No</a></p>
<p>{COMPANY}. Last edited 5 January 2026. <a href="#edit">Edit this page</a></p>
<p>We use cookies to remember your language.</p>
</footer>
</body>
</html>
""".encode()


def _links(targets: Iterable[tuple[str, str]]) -> str:
    items = (f'<li><a href="{escape(href)}">{escape(text)}</a></li>' for href, text in targets)
    return "<ul>" + "".join(items) + "</ul>"


def _html_block(block: dict[str, Any]) -> str:
    ((kind, content),) = block.items()
    if kind == "h":
        return f"<h2>{escape(content)}</h2>"
    if kind == "p":
        return f"<p>{escape(content)}</p>"
    if kind == "list":
        return "<ul>\n" + "\n".join(f"<li>{escape(item)}</li>" for item in content) + "\n</ul>"
    head, *rows = content
    body = [_html_row(head, "th"), *(_html_row(row, "td") for row in rows)]
    return "<table>\n" + "\n".join(body) + "\n</table>"


def _html_row(cells: list[str], tag: str) -> str:
    return "<tr>" + "".join(f"<{tag}>{escape(c)}</{tag}>" for c in cells) + "</tr>"


WRITERS: dict[str, Callable[[Page, str], bytes]] = {".pdf": pdf, ".docx": word, ".md": markdown}
