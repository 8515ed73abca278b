"""PDF: is there text at all, which of it is page furniture, and what are tables.

unstructured's `fast` strategy reads the text layer. It swallows every error and answers a scan, a
damaged and an encrypted file alike with an empty list: so the file is checked before.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from stillhouse.corpus.parse.elements import FURNITURE_TYPES, Element, ParsedFile, assemble
from stillhouse.corpus.parse.unparsable import Unparsable

# A header or footer lies in the outer part of the page, and comes back on this share of pages.
MARGIN = 0.15
COVERAGE = 0.5
# Words that run through all pages' first element are a header that ran into the text.
MIN_PREFIX_WORDS = 3
# The dots between a heading and its page number in a table of contents.
LEADERS = re.compile(r"(?:\. ?){4,}")
# Characters the file gives no Unicode for, as pdfminer writes them.
UNMAPPED = re.compile(r"\(cid:\d+\)")


@dataclass
class Block:
    """An element with its box: `top` and `bottom` as shares of the page's height from its top."""

    type: str
    text: str
    page: int
    left: float
    top: float
    right: float
    bottom: float


def parse_pdf(data: bytes) -> ParsedFile:
    """The text layer of a PDF, headers and footers set apart, rows of cells as tables."""
    for library in ("pypdf", "pdfminer"):  # a line for every oddity of every font
        logging.getLogger(library).setLevel(logging.ERROR)
    reader = _open(data)
    pages = _page_count(reader)
    blocks = _blocks(data)
    text = "".join(block.text for block in blocks)
    if not text.strip():
        raise _without_text(reader, pages)
    unmapped = sum(len(m[0]) for m in UNMAPPED.finditer(text))
    if unmapped > 0.3 * len(text):
        raise Unparsable(
            "scan",
            "its fonts don't say which characters they draw, so the text can't be read",
            remedy="print it to a new PDF, or run character recognition (OCR) on it.",
        )
    body, furniture = split_furniture(blocks, pages)
    for block in body:
        # unstructured takes all that stands high or low on a page for a header or footer.
        if block.type in FURNITURE_TYPES:
            block.type = "UncategorizedText"
    with_text = {block.page for block in blocks}
    title = str(reader.metadata.title or "") if reader.metadata else ""
    return assemble(
        join_rows(body),
        title=title if _is_title(title) else "",
        furniture=[Element(b.type, b.text, b.page) for b in furniture],
        pages=pages,
        pages_without_text=[n for n in range(1, pages + 1) if n not in with_text],
    )


def _open(data: bytes) -> Any:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    if b"%PDF-" not in data[:1024]:
        raise Unparsable("corrupt", "not a PDF file", remedy="check what it really is.")
    truncated = b"%%EOF" not in data[-4096:]
    try:
        reader = PdfReader(io.BytesIO(data))
        # Many files are encrypted with an empty password, only to forbid printing.
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unparsable(
                "encrypted", "the file asks for a password", remedy="save it without a password."
            )
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


def _without_text(reader: Any, pages: int) -> Unparsable:
    """Why there is no text: a scan, blank pages, or a parser that gave up."""
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
    return Unparsable(
        "scan",
        f"its {pages} pages are images without a text layer",
        remedy="run character recognition (OCR) on it, for instance with OCRmyPDF, and put the "
        "result here.",
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
    elements = partition_pdf(file=io.BytesIO(data), strategy="fast", languages=["eng"])
    return [_block(element) for element in elements if (element.text or "").strip()]


def _block(element: Any) -> Block:
    page = element.metadata.page_number or 1
    text = LEADERS.sub(" … ", element.text)
    box = element.metadata.coordinates
    if box is None or not box.system.height or not box.system.width:
        return Block(element.category, text, page, 0.0, 0.5, 1.0, 0.5)
    across = [point[0] / box.system.width for point in box.points]
    down = [point[1] / box.system.height for point in box.points]
    return Block(element.category, text, page, min(across), min(down), max(across), max(down))


def split_furniture(blocks: list[Block], pages: int) -> tuple[list[Block], list[Block]]:
    """Part the text from what repeats in the margins of at least half the pages (and of two).

    Digits don't count, so that page numbers and dates repeat too. A header that ran into the
    first paragraph is cut off it.
    """
    needed = max(2, math.ceil(COVERAGE * pages))
    seen_on: dict[str, set[int]] = defaultdict(set)
    for block in blocks:
        if _in_margin(block):
            seen_on[_shape(block.text)].add(block.page)
    body: list[Block] = []
    furniture: list[Block] = []
    for block in blocks:
        repeats = _in_margin(block) and len(seen_on[_shape(block.text)]) >= needed
        # A lone page with a number below it has nothing to repeat on.
        numbered = block.bottom > 1 - MARGIN and block.text.strip().isdigit()
        wordless = not any(c.isalnum() for c in block.text)
        (furniture if repeats or numbered or wordless else body).append(block)
    return _cut_prefix(body, furniture, needed)


def _in_margin(block: Block) -> bool:
    return (block.bottom <= MARGIN or block.top >= 1 - MARGIN) and len(block.text) <= 200


def _shape(text: str) -> str:
    return re.sub(r"[\W\d_]+", " ", text).strip().casefold()


def _cut_prefix(
    body: list[Block], furniture: list[Block], needed: int
) -> tuple[list[Block], list[Block]]:
    first: dict[int, Block] = {}
    for block in body:
        if block.top <= MARGIN:
            first.setdefault(block.page, block)
    by_start: dict[str, list[Block]] = defaultdict(list)
    for block in first.values():
        by_start[_shape(" ".join(block.text.split()[:MIN_PREFIX_WORDS]))].append(block)
    for start, group in by_start.items():
        if len(group) < needed or not start:
            continue
        length = _common_words([block.text.split() for block in group])
        for block in group:
            words = block.text.split()
            if len(words) > length >= MIN_PREFIX_WORDS:
                prefix, block.text = " ".join(words[:length]), " ".join(words[length:])
                height = block.top + 0.02
                furniture.append(
                    Block("Header", prefix, block.page, block.left, block.top, block.right, height)
                )
    return body, furniture


def _common_words(texts: list[list[str]]) -> int:
    """How many words all texts begin with alike; words that differ in digits only don't count."""
    length = 0
    for words in zip(*texts, strict=False):
        if len(set(words)) > 1:
            break
        length += 1
    return length


def join_rows(blocks: list[Block]) -> list[Element]:
    """Elements, with cells that stand side by side joined to rows, and rows to tables."""
    lines: list[list[Block]] = []
    for block in blocks:
        if lines and _beside(lines[-1][-1], block):
            lines[-1].append(block)
        else:
            lines.append([block])
    elements: list[Element] = []
    for (page, cells), group in groupby(lines, key=lambda line: (line[0].page, len(line) > 1)):
        if cells:
            rows = [" | ".join(cell.text.replace("\n", " ") for cell in row) for row in group]
            elements.append(Element("Table", "\n".join(rows), page))
        else:
            elements += [Element(line[0].type, line[0].text, page) for line in group]
    return elements


def _beside(left: Block, right: Block) -> bool:
    """Both on one line, the second to the right: neighbouring cells, not columns of text."""
    if left.page != right.page or right.left <= left.left or len(left.text) + len(right.text) > 400:
        return False
    overlap = min(left.bottom, right.bottom) - max(left.top, right.top)
    taller = max(left.bottom - left.top, right.bottom - right.top)
    return overlap > 0.6 * taller and taller < 0.08
