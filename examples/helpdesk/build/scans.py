"""Documents that give a parser trouble: pages that are pictures, and a file that is no PDF."""

from __future__ import annotations

import io
import random
import textwrap

from pages import COMPANY, Page, pdf
from PIL import Image, ImageDraw, ImageFont
from reportlab.lib.pagesizes import A5
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

# A5 at 150 dots an inch.
WIDTH, HEIGHT = 874, 1240
PAPER, INK = 243, 38


def scan(page: Page, rng: random.Random) -> bytes:
    """A PDF without a text layer: each page a grey JPEG, a little crooked and noisy."""
    paragraphs = [block["p"] for block in page["blocks"]]
    half = (len(paragraphs) + 1) // 2
    sheets = [paragraphs[:half], paragraphs[half:]]
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A5, invariant=1)
    for number, sheet in enumerate(sheets, start=1):
        picture = _photograph(_typeset(page, sheet, number, len(sheets)), rng)
        jpeg = io.BytesIO()
        picture.save(jpeg, "JPEG", quality=45)
        canvas.drawImage(ImageReader(jpeg), 0, 0, *A5)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def letter(text: str, rng: random.Random) -> bytes:
    """A letter as an office scanner sends it: a grey PNG of one A5 page."""
    image = Image.new("L", (WIDTH, HEIGHT), PAPER)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(28)
    for number, line in enumerate(text.splitlines()):
        draw.text((90, 90 + 40 * number), line, INK, font)
    buffer = io.BytesIO()
    # Few greys, as scanners of black and white have them: a sixth of the bytes.
    picture = image.rotate(rng.uniform(0.3, 0.8), Image.Resampling.BICUBIC, fillcolor=PAPER)
    picture.quantize(8).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _typeset(page: Page, paragraphs: list[str], number: int, total: int) -> Image.Image:
    image = Image.new("L", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(image)
    small, body, title = (ImageFont.load_default(size) for size in (17, 24, 34))
    draw.text((80, 50), f"{COMPANY} - Handbook", INK, small)
    y = 110
    if number == 1:
        draw.text((80, y), page["title"], INK, title)
        y += 80
    for paragraph in paragraphs:
        for line in textwrap.wrap(paragraph, 54):
            draw.text((80, y), line, INK, body)
            y += 36
        y += 24
    draw.text((80, HEIGHT - 70), f"{page['number']}   Page {number} of {total}", INK, small)
    return image


def _photograph(image: Image.Image, rng: random.Random) -> Image.Image:
    turned = image.rotate(rng.uniform(0.4, 1.1), Image.Resampling.BICUBIC, fillcolor=PAPER)
    size = (WIDTH // 2, HEIGHT // 2)
    grain = Image.frombytes("L", size, rng.randbytes(size[0] * size[1]))
    return Image.blend(turned, grain.resize(image.size), 0.07)


def corrupt(page: Page, rng: random.Random) -> bytes:
    """A PDF whose upload broke off: a true beginning, then bytes of nothing."""
    return pdf(page, "quality")[:120] + rng.randbytes(3000)
