"""The lines of text in a picture of a page, whichever way up it lies.

PP-OCRv6 (small) in ONNX, by RapidOCR: one model finds lines, one reads them. Both lie in RapidOCR's
wheel and are named by path, as it would fetch by itself what it doesn't find.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stillhouse.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Lines are found in a smaller picture than they are read in: at 96 dots an inch all lines of 7 to
# 10 point were found, in a quarter of the time that 200 dots take.
DETECTION_DPI = 96
# The model that finds lines holds its whole picture in memory.
DETECTION_PIXELS = 3_000_000
# Upright lines were read with 0.96 and more, the same upside down with 0.62 to 0.76.
POOR = 0.85
SAMPLE = 4
# What differs by no more is paper.
PAPER = 32
# Lines at the very edge are found only with some paper around them.
BORDER = 16


@dataclass(frozen=True)
class Line:
    """A line of text; its box in pixels from the upper left corner of the upright page."""

    text: str
    confidence: float
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Page:
    """`lines` in no order; `width` and `height` in pixels, as it is read."""

    lines: list[Line]
    width: float
    height: float


@dataclass(frozen=True)
class _Found:
    picture: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    """n x 4 corners x 2, clockwise from where the line begins."""


def read_page(picture: NDArray[np.uint8], dpi: float) -> Page:
    """The lines of a picture (height x width x 3, BGR) of `dpi` dots an inch.

    A page that lies on its side is known by its lines, one that stands on its head by how little
    of them can be read.

    Raises:
        UserError: a library or a model is missing.
    """
    found = _find(_with_border(picture), dpi)
    if _lie_on_their_side(found.boxes):
        found = _find(np.rot90(found.picture), dpi)
    crops = _crops(found)
    longest = sorted(range(len(crops)), key=lambda i: -crops[i].shape[1])[:SAMPLE]
    sample = _read([crops[i] for i in longest])
    if _mean(sample) < POOR:
        turned = _read([np.rot90(crops[i], 2) for i in longest])
        if _mean(turned) > _mean(sample):
            found, sample = _upside_down(found), turned
            crops = [np.rot90(crop, 2) for crop in crops]
    rest = [i for i in range(len(crops)) if i not in longest]
    words = dict(zip(longest, sample, strict=True))
    words |= zip(rest, _read([crops[i] for i in rest]), strict=True)
    height, width = found.picture.shape[:2]
    places = _straight(found.boxes)
    lines = [Line(*words[i], *places[i]) for i in range(len(crops)) if words[i][0].strip()]
    return Page(lines, float(width), float(height))


def _with_border(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    sides = ((BORDER, BORDER), (BORDER, BORDER), (0, 0))
    return np.pad(picture, sides, mode="edge")


def _find(picture: NDArray[np.uint8], dpi: float) -> _Found:
    import cv2

    picture = np.ascontiguousarray(picture)
    nothing = _Found(picture, np.zeros((0, 4, 2), np.float32))
    if int(picture.max()) - int(picture.min()) < PAPER:
        return nothing
    height, width = picture.shape[:2]
    scale = min(1.0, DETECTION_DPI / dpi, (DETECTION_PIXELS / (height * width)) ** 0.5)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    engine, nothing_found = _engine()
    try:
        _, lines = engine.detect_and_crop(
            cv2.resize(picture, size, interpolation=cv2.INTER_AREA), {}
        )
    except nothing_found:
        return nothing
    ratio = np.array([width / size[0], height / size[1]], np.float32)
    return _Found(picture, np.asarray(lines.boxes, np.float32) * ratio)


def _lie_on_their_side(boxes: NDArray[np.float32]) -> bool:
    along, across = _sizes(boxes)
    area = along * across
    return bool(area[across > along].sum() > 0.5 * area.sum())


def _sizes(boxes: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    along = np.linalg.norm(boxes[:, 1] - boxes[:, 0], axis=1)
    across = np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)
    return along, across


def _crops(found: _Found) -> list[NDArray[np.uint8]]:
    crops: list[NDArray[np.uint8]] = _engine()[0].crop_text_regions(found.picture, found.boxes)
    return crops


def _upside_down(found: _Found) -> _Found:
    height, width = found.picture.shape[:2]
    corners = np.array([width, height], np.float32) - found.boxes
    return _Found(np.rot90(found.picture, 2), corners[:, [2, 3, 0, 1]])


def _straight(boxes: NDArray[np.float32]) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of each box, once the page is no longer crooked."""
    if not len(boxes):
        return []
    along, across = _sizes(boxes)
    long = along > 4 * across
    lean = boxes[:, 1] - boxes[:, 0]
    angle = np.median(np.arctan2(lean[long, 1], lean[long, 0])) if long.any() else 0.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middles = boxes.mean(axis=1) @ turn
    half = np.stack([along, across], axis=1) / 2
    places = np.hstack([middles - half, middles + half]).tolist()
    return [(left, top, right, bottom) for left, top, right, bottom in places]


def _read(crops: list[NDArray[np.uint8]]) -> list[tuple[str, float]]:
    if not crops:
        return []
    found = _engine()[0].recognize_txt([np.ascontiguousarray(crop) for crop in crops])
    return [(str(text), float(score)) for text, score in zip(found.txts, found.scores, strict=True)]


def _mean(words: list[tuple[str, float]]) -> float:
    return sum(score for _, score in words) / len(words) if words else 1.0


@lru_cache(maxsize=1)
def _engine() -> tuple[Any, type[Exception]]:
    """RapidOCR, and the error by which it says that there are no lines."""
    try:
        import cv2
        import onnxruntime  # noqa: F401 - RapidOCR imports it late
        import rapidocr
        from rapidocr.main import RapidOCRError
    except ImportError as error:
        raise UserError(
            f"reading scans and pictures needs {error.name}, which is not installed",
            remedy="run: pip install rapidocr, then "
            "pip install --no-deps -r requirements-nodeps.txt; or set `ocr: {enabled: false}`.",
        ) from error
    models = Path(rapidocr.__file__).parent / "models"
    finder, reader = models / "PP-OCRv6_det_small.onnx", models / "PP-OCRv6_rec_small.onnx"
    if not (finder.is_file() and reader.is_file()):
        raise UserError(
            "rapidocr is installed without its models",
            remedy="run: pip install --force-reinstall --no-deps 'rapidocr==3.10.*'.",
        )
    cv2.setNumThreads(1)
    settings = {
        "Global.log_level": "critical",
        "Global.use_cls": False,
        "Global.use_vertical_padding": False,
        "Det.model_path": str(finder),
        # The size is chosen here, by the size of the page.
        "Det.limit_type": "max",
        "Det.limit_side_len": 1 << 16,
        "Rec.model_path": str(reader),
        # Lines read together are padded to the longest.
        "Rec.rec_batch_num": 1,
        # There is a process for each core.
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    return rapidocr.RapidOCR(params=settings), RapidOCRError
