"""Pages that are pictures, read one by one, and a count of what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.config.corpus import Ocr
from stillhouse.corpus.parse.blocks import Block
from stillhouse.corpus.parse.clock import page_begins
from stillhouse.corpus.parse.elements import Recognised
from stillhouse.corpus.parse.ocr import Line, Page, read_page
from stillhouse.corpus.parse.paragraphs import blocks_of
from stillhouse.corpus.parse.unparsable import Unparsable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# More pages than any document has; a page can be in a PDF a million times.
MAX_PAGES = 10_000


class Pictures:
    """Reads a document's pages; `recognised` counts those with text so far."""

    def __init__(self, settings: Ocr) -> None:
        self.settings = settings
        self.kept: list[Line] = []
        self.seen = self.legible = self.illegible = self.dropped = 0

    def read(self, picture: NDArray[np.uint8], number: int, dpi: float) -> list[Block]:
        """What stands on page `number`; lines that can't be read with confidence are left out.

        `picture` is height x width x 3, BGR.
        """
        self.seen += 1
        if self.seen > MAX_PAGES:
            raise Unparsable(
                "too_large",
                f"more than {MAX_PAGES} of its pages are pictures",
                remedy="split it into smaller files.",
            )
        page_begins()
        page = read_page(picture, dpi)
        kept = [x for x in page.lines if x.confidence >= self.settings.min_confidence]
        self.kept += kept
        self.dropped += len(page.lines) - len(kept)
        self.legible += bool(kept)
        self.illegible += bool(page.lines) and not kept
        return blocks_of(Page(kept, page.width, page.height), number)

    def recognised(self) -> Recognised | None:
        """None where no page holds as much as a line."""
        if not self.legible and not self.illegible:
            return None
        characters = sum(len(line.text) for line in self.kept)
        confidence = sum(line.confidence * len(line.text) for line in self.kept)
        return Recognised(
            pages=self.legible,
            illegible_pages=self.illegible,
            dropped_lines=self.dropped,
            confidence=confidence / characters if characters else None,
        )

    def illegible_text(self) -> Unparsable:
        """Why lines that are there gave no text."""
        return Unparsable(
            "scan",
            f"its {self.dropped} lines of text can't be read with confidence",
            remedy="scan it again, at 300 dots an inch or more, or lower `ocr: {min_confidence}` "
            "in the project file.",
        )


def turned_off(pages: int) -> Unparsable:
    return Unparsable(
        "scan",
        f"its pages ({pages}) are pictures without a text layer",
        remedy="set `ocr: {enabled: true}` in the project file, or run character recognition "
        "(OCR) on it.",
    )
