"""Picture files: photographs and scans of pages, whatever way their pixels are kept."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.config.corpus import Ocr
from stillhouse.corpus.parse.blocks import assemble_pages
from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.pictures import MAX_PAGES, Pictures, turned_off
from stillhouse.corpus.parse.unparsable import Unparsable

if TYPE_CHECKING:
    from numpy.typing import NDArray

# By content, whatever the suffix says. JPEG is also what phones write, with two pictures in it.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP", "GIF", "AVIF", "HEIF")
# Whose other pictures are pages, or photographs beside the first: not those of a film.
OF_PAGES = ("TIFF", "HEIF")
# An A3 page at 600 dots an inch has 70 million; each takes up to 4 bytes, twice while converted.
MAX_PIXELS = 80_000_000
# What a file says of its resolution counts where it may be that of a page.
HONEST_DPI = (100, 1200)
# Else the short side is taken for that of an A4 page.
USUAL_INCHES = 8.27


def parse_image(data: bytes, ocr: Ocr) -> ParsedFile:
    """The text of each picture in the file: of TIFF and HEIF all, of any other the first.

    Raises:
        Unparsable: it is no picture, too large, or holds no text that can be read.
    """
    from pi_heif import register_heif_opener  # type: ignore[import-untyped]
    from PIL import Image

    register_heif_opener(thumbnails=False)
    pictures = Pictures(ocr)
    blocks = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow says of odd tags, in the file's own words
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise _too_large() from error
        except (OSError, ValueError, SyntaxError, RuntimeError) as error:
            raise _damaged(error) from error
        several = image.format in OF_PAGES
        pages = min(getattr(image, "n_frames", 1), MAX_PAGES + 1) if several else 1
        if not ocr.enabled:
            raise turned_off(pages)
        for number, frame in enumerate(_frames(image, pages), start=1):
            pixels, dpi = _page(frame, ocr.dpi)
            blocks += pictures.read(pixels, number, dpi)
    if not blocks:
        raise pictures.illegible_text() if pictures.dropped else _without_text()
    return assemble_pages(blocks, pages, recognised=pictures.recognised())


def _frames(image: Any, pages: int) -> Iterator[Any]:
    for number in range(pages):
        try:
            image.seek(number)
            if image.width * image.height > MAX_PIXELS:
                raise _too_large()
            image.load()
        except (OSError, ValueError, SyntaxError, EOFError, RuntimeError) as error:
            raise _damaged(error) from error
        yield image


def _page(image: Any, wanted_dpi: int) -> tuple[NDArray[np.uint8], float]:
    """Pixels (height x width x 3, BGR) at no more than `wanted_dpi` dots an inch, and how many."""
    from PIL import Image

    told = image.info.get("dpi") or (0, 0)
    short = min(image.size)
    dpi = float(min(told)) if _honest(told) else short / USUAL_INCHES
    upright = _rgb(image)
    if dpi > wanted_dpi:
        size = [max(1, round(side * wanted_dpi / dpi)) for side in upright.size]
        upright = upright.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
        dpi = wanted_dpi
    return np.asarray(upright)[:, :, ::-1], max(dpi, 1.0)


def _honest(dpi: tuple[Any, Any]) -> bool:
    return all(HONEST_DPI[0] <= float(number) <= HONEST_DPI[1] for number in dpi)


def _rgb(image: Any) -> Any:
    """As it is meant to be seen: on white paper, upright by its own account, 8 bits a colour."""
    from PIL import Image, ImageOps

    image = ImageOps.exif_transpose(image)
    if image.mode == "F" or image.mode.startswith("I"):
        return Image.fromarray(_eight_bits(np.asarray(image))).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(image, mask=image.getchannel("A"))
        return paper
    return image.convert("RGB")


def _eight_bits(values: NDArray[Any]) -> NDArray[np.uint8]:
    """The darkest black, the lightest white: 16-bit scanners seldom use all of their range."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all() or high <= low:
        return np.full(values.shape, 255, np.uint8)
    scaled: NDArray[np.uint8] = ((values.astype(np.float32) - low) * (255 / (high - low))).astype(
        np.uint8
    )
    return scaled


def _damaged(error: Exception) -> Unparsable:
    return Unparsable(
        "corrupt",
        f"a damaged picture, or none at all ({type(error).__name__})",
        remedy="open it in its own program and save it again.",
    )


def _too_large() -> Unparsable:
    return Unparsable(
        "too_large",
        f"a picture of more than {MAX_PIXELS // 1_000_000} million pixels",
        remedy="save it smaller: 300 dots an inch are enough; a small file that unpacks to so much "
        "may be made to do harm.",
    )


def _without_text() -> Unparsable:
    return Unparsable(
        "empty",
        "there is no text to be seen in it",
        remedy="remove it, or scan it again with more contrast.",
    )
