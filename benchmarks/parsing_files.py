"""Files of the kinds that are read, with invented text: plain text, Markdown, web pages, PDFs."""

from __future__ import annotations

from html import escape
from pathlib import Path

from mixed_corpus import LOCALES, Writer

KINDS = (".txt", ".md", ".html", ".pdf")
# A page of each kind: headings and paragraphs under them.
PARAGRAPHS_A_PAGE = 6

Section = tuple[str, list[str]]
"""A heading, and what stands below it."""

PAGE = """<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">
<title>{title}</title><style>body {{ margin: 2em }}</style></head><body>
<header><nav><ul><li><a href="/">Home</a></li><li><a href="/all">All pages</a></li></ul></nav>
</header><main><h1>{title}</h1>{sections}</main>
<footer>Technical documentation</footer></body></html>"""


def write_files(folder: Path, pages: int, *, kinds: tuple[str, ...] = KINDS) -> list[Path]:
    """As many pages of each kind; files have 1 to 8 pages, PDFs up to 20."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = Writer()
    files = []
    for kind in kinds:
        left = pages
        while left > 0:
            size = min(left, writer.rng.randint(1, 20 if kind == ".pdf" else 8))
            left -= size
            language = writer.rng.choice(list(LOCALES))
            file = folder / f"{kind[1:]}-{len(files):04d}{kind}"
            WRITERS[kind](file, language, _sections(writer, language, size))
            files.append(file)
    return files


def _sections(writer: Writer, language: str, pages: int) -> list[Section]:
    return [
        (
            writer.heading(language),
            writer.paragraphs(language, PARAGRAPHS_A_PAGE)
            + [f"- {item}" for item in writer.sentences(language, 3)],
        )
        for _ in range(pages)
    ]


def _text(file: Path, _: str, sections: list[Section]) -> None:
    parts = [part for heading, below in sections for part in (heading, *below)]
    file.write_text("\n\n".join(parts), encoding="utf-8")


def _markdown(file: Path, _: str, sections: list[Section]) -> None:
    parts = [part for heading, below in sections for part in (f"## {heading}", *below)]
    table = "| Code | Limit |\n|---|---|\n| A10-1000 | 250 |\n| B20-2000 | 900 |"
    file.write_text("\n\n".join([*parts, table]), encoding="utf-8")


def _html(file: Path, language: str, sections: list[Section]) -> None:
    marked = []
    for heading, below in sections:
        marked.append(f"<h2>{escape(heading)}</h2>")
        items = [part[2:] for part in below if part.startswith("- ")]
        marked += [f"<p>{escape(part)}</p>" for part in below if not part.startswith("- ")]
        marked.append("<ul>" + "".join(f"<li>{escape(item)}</li>" for item in items) + "</ul>")
        marked.append(
            "<table><tr><th>Code</th><th>Limit</th></tr><tr><td>A10</td><td>250</td></tr>"
        )
        marked.append("</table>")
    title = escape(sections[0][0])
    page = PAGE.format(language=language, title=title, sections="\n".join(marked))
    file.write_text(page, encoding="utf-8")


def _pdf(file: Path, _: str, sections: list[Section]) -> None:
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate

    styles = getSampleStyleSheet()
    flow = []
    for heading, below in sections:
        flow.append(Paragraph(escape(heading), styles["Heading2"]))
        flow += [Paragraph(escape(part), styles["BodyText"]) for part in below]
        flow.append(PageBreak())
    SimpleDocTemplate(str(file)).build(flow)


WRITERS = {".txt": _text, ".md": _markdown, ".html": _html, ".pdf": _pdf}
