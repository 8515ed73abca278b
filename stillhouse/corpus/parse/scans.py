"""The pages of a PDF as pictures: which have to be read off them, and what they look like."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# A page of fewer letters, half of which is a picture, is a scan with a stamp or a number on it.
FEW_LETTERS, MOST_OF_A_PAGE = 40, 0.5
# An A2 page at 200 dots an inch has 15 million.
MAX_PIXELS = 24_000_000
MIN_DPI = 50
# How deep pictures are looked for in groups of groups.
DEPTH = 3


class Scans:
    """An open PDF, for its pictures; what is too damaged for that has none."""

    def __init__(self, data: bytes) -> None:
        import pypdfium2
        from pypdfium2 import PdfiumError

        self.error = PdfiumError
        self.document: Any = None
        with suppress(PdfiumError):
            self.document = pypdfium2.PdfDocument(data)

    def without_usable_text(self, texts: dict[int, str], pages: int) -> Iterator[int]:
        """Which pages, counted from 1, aren't known by `texts`, what the text layer says of each.

        A page without text may be blank: that is seen when it is rendered.
        """
        for number in range(1, min(pages, len(self.document or ())) + 1):
            letters = sum(c.isalnum() for c in texts.get(number, ""))
            if letters < FEW_LETTERS and (not letters or self._is_a_picture(number)):
                yield number

    def _is_a_picture(self, number: int) -> bool:
        import pypdfium2.raw as pdfium

        try:
            page = self.document[number - 1]
            width, height = page.get_size()
            pictures = page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=DEPTH)
            boxes = [picture.get_bounds() for picture in pictures]
        except self.error:
            return False
        covered = [(right - left) * (top - bottom) for left, bottom, right, top in boxes]
        return max(covered, default=0.0) > MOST_OF_A_PAGE * width * height

    def picture(self, number: int, dpi: float) -> tuple[NDArray[np.uint8], float] | None:
        """The page as it is shown (height x width x 3, BGR), and its dots an inch: a huge page has
        fewer. None where it can't be rendered, or would be too coarse to read."""
        try:
            page = self.document[number - 1]
            width, height = page.get_size()
            if not (width > 0 and height > 0):
                return None
            scale = min(dpi / 72, math.sqrt(MAX_PIXELS / (width * height)))
            if scale * 72 < MIN_DPI or min(width, height) * scale < 1:
                return None
            pixels = page.render(scale=scale).to_numpy()
            page.close()
        except self.error:
            return None
        if pixels.ndim == 2 or pixels.shape[2] == 1:
            pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
        return pixels[:, :, :3], scale * 72
