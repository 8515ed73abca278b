"""PDF: the text layer, and what stands on pages that have none.

unstructured's `fast` strategy reads the text layer. It swallows every error and answers a scan, a
damaged and an encrypted file alike with an empty list: so the file is checked before.
"""

from __future__ import annotations

import io
import logging
import re
from collections import defaultdict
from dataclasses import replace
from typing import Any

from stillhouse.config.corpus import Ocr
from stillhouse.corpus.confidentiality.properties import pdf_said
from stillhouse.corpus.parse.blocks import Block, assemble_pages
from stillhouse.corpus.parse.elements import SHORT, How, ParsedFile
from stillhouse.corpus.parse.headings import ask_less
from stillhouse.corpus.parse.passwords import unlocked
from stillhouse.corpus.parse.pictures import Pictures, turned_off
from stillhouse.corpus.parse.scans import Scans
from stillhouse.corpus.parse.unparsable import Unparsable

# The dots between a heading and its page number in a table of contents.
LEADERS = re.compile(r"(?:\. ?){4,}")
# Characters the file gives no Unicode for, as pdfminer writes them.
UNMAPPED = re.compile(r"\(cid:\d+\)")


def parse_pdf(data: bytes, how: How) -> ParsedFile:
    """The text of a PDF, headers and footers set apart, rows of cells as tables.

    Pages without a text layer, or with one that says nothing, are read off their picture.
    """
    for library in ("pypdf", "pdfminer"):  # a line for every oddity of every font
        logging.getLogger(library).setLevel(logging.ERROR)
    reader = _open(data)
    if reader is None:
        data = unlocked(data, how.passwords)
        reader = _open(data)
    pages = _page_count(reader)
    blocks = _blocks(data)
    pictures = Pictures(how.ocr)
    if how.ocr.enabled:
        blocks = _with_pictures(blocks, data, pages, pictures)
    if not any(block.text.strip() for block in blocks):
        raise (
            pictures.illegible_text() if pictures.dropped else _without_text(reader, pages, how.ocr)
        )
    if _unmapped("".join(block.text for block in blocks)):
        raise Unparsable(
            "scan",
            "its fonts don't say which characters they draw, so the text can't be read",
            remedy="set `ocr: {enabled: true}` in the project file, or print it to a new PDF.",
        )
    with_text = {block.page for block in blocks}
    title = str(reader.metadata.title or "") if reader.metadata else ""
    parsed = assemble_pages(
        blocks,
        pages,
        title=title if _is_title(title) else "",
        pages_without_text=[n for n in range(1, pages + 1) if n not in with_text],
        recognised=pictures.recognised(),
    )
    return replace(parsed, said=pdf_said(reader))


def _with_pictures(blocks: list[Block], data: bytes, pages: int, pictures: Pictures) -> list[Block]:
    """Blocks by page; where the text layer says nothing, those of the page's picture."""
    by_page: dict[int, list[Block]] = defaultdict(list)
    for block in blocks:
        by_page[block.page].append(block)
    texts = {number: "".join(b.text for b in found) for number, found in by_page.items()}
    usable = {number: text for number, text in texts.items() if not _unmapped(text)}
    scans = Scans(data)
    for number in scans.without_usable_text(usable, pages):
        shown = scans.picture(number, pictures.settings.dpi)
        read = pictures.read(shown[0], number, shown[1]) if shown else []
        if read:  # a stamp is better than nothing
            by_page[number] = read
    return [block for number in sorted(by_page) for block in by_page[number]]


def _unmapped(text: str) -> bool:
    return sum(len(m[0]) for m in UNMAPPED.finditer(text)) > 0.3 * len(text)


def _open(data: bytes) -> Any:
    """pypdf's reader; None for a file that asks for a password."""
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    if b"%PDF-" not in data[:1024]:
        raise Unparsable("corrupt", "not a PDF file", remedy="check what it really is.")
    truncated = b"%%EOF" not in data[-4096:]
    try:
        reader = PdfReader(io.BytesIO(data))
        # Many files are encrypted with an empty password, only to forbid printing.
        if reader.is_encrypted and not reader.decrypt(""):
            return None
    except (PyPdfError, ValueError, KeyError, TypeError, RecursionError, OSError) as error:
        raise _damaged(type(error).__name__, truncated) from error
    if truncated:
        raise _damaged("its end is missing", truncated)
    return reader


def _page_count(reader: Any) -> int:
    from pypdf.errors import PyPdfError

    try:
        pages = len(reader.pages)
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(type(error).__name__, False) from error
    if pages == 0:
        raise Unparsable("empty", "the file has no pages", remedy="export it again, or remove it.")
    return pages


def _damaged(detail: str, truncated: bool) -> Unparsable:
    what = "the file is cut off" if truncated else "the file is damaged"
    return Unparsable("corrupt", f"{what} ({detail})", remedy="copy or export it again.")


def _without_text(reader: Any, pages: int, ocr: Ocr) -> Unparsable:
    """Why there is no text: pictures of none, blank pages, or a parser that gave up."""
    try:
        if any((page.extract_text() or "").strip() for page in reader.pages):
            return Unparsable(
                "corrupt",
                "there is text in it, but its layout can't be read",
                remedy="print it to a new PDF.",
            )
        images = any(_has_image(page) for page in reader.pages)
    except Exception as error:  # pypdf stumbles over damaged pages in many ways
        return _damaged(type(error).__name__, False)
    if not images:
        return Unparsable("empty", f"its {pages} pages are blank", remedy="remove it.")
    if not ocr.enabled:
        return turned_off(pages)
    return Unparsable(
        "scan",
        f"its {pages} pages are pictures, and no text is to be seen in them",
        remedy="remove it, or scan it again with more contrast, at 300 dots an inch or more.",
    )


def _has_image(page: Any, depth: int = 0) -> bool:
    resources: Any = page.get("/Resources")
    objects: Any = resources.get_object().get("/XObject") if resources else None
    for item in objects.get_object().values() if objects else ():
        target = item.get_object()
        if target.get("/Subtype") == "/Image":
            return True
        if target.get("/Subtype") == "/Form" and depth < 3 and _has_image(target, depth + 1):
            return True
    return False


def _is_title(title: str) -> bool:
    """Word processors leave the file name, or "untitled", where a title should be."""
    return bool(title.strip()) and not re.search(
        r"untitled|unspecified|anonymous|^microsoft |\.(docx?|pdf|tex|odt|indd|html?)$", title, re.I
    )


def _blocks(data: bytes) -> list[Block]:
    try:
        import pikepdf  # noqa: F401 - without it, partition_pdf silently finds nothing
        from unstructured.partition.pdf import partition_pdf
    except ImportError as error:
        from stillhouse.errors import UserError

        raise UserError(
            f"reading PDF files needs {error.name}, which is not installed",
            remedy="run: pip install --no-deps -r requirements-nodeps.txt",
        ) from error
    ask_less()
    elements = partition_pdf(file=io.BytesIO(data), strategy="fast", languages=["eng"])
    return [_block(element) for element in elements if (element.text or "").strip()]


def _block(element: Any) -> Block:
    page = element.metadata.page_number or 1
    kind = SHORT if element.category == "Title" else element.category
    text = LEADERS.sub(" … ", element.text)
    box = element.metadata.coordinates
    if box is None or not box.system.height or not box.system.width:
        return Block(kind, text, page, 0.0, 0.5, 1.0, 0.5)
    across = [point[0] / box.system.width for point in box.points]
    down = [point[1] / box.system.height for point in box.points]
    return Block(kind, text, page, min(across), min(down), max(across), max(down))
