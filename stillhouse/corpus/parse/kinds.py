"""Which files are read, by suffix, and what to do about the others."""

from __future__ import annotations

from functools import lru_cache
from pathlib import PurePath

from stillhouse.corpus.parse.unparsable import Unparsable

# What gives one document, and what holds others (read by files.py and by documents.py).
IMAGES = (
    *(".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif"),
    *(".heic", ".heif", ".avif"),
)
SINGLE = (
    *(".pdf", ".html", ".htm", ".md", ".markdown", ".docx", ".pptx", ".xlsx", ".txt", ".text"),
    *(".doc", ".ppt", ".xls"),
    *(".epub", ".tex", ".latex", ".adoc", ".asciidoc", ".rtf", ".rst", ".org"),
    *(".xlsm", ".odt", ".ods", ".odp", ".csv", ".tsv", ".json"),
    *IMAGES,
)
HOLDING_FILES = (".eml", ".mbox", ".msg", ".zip", ".tar", ".tgz", ".gz")
HOLDING = (*HOLDING_FILES, ".jsonl", ".ndjson", ".xml")
SUPPORTED_SUFFIXES = (*SINGLE, *HOLDING)

# What may hold pages that are pictures.
MAYBE_PICTURES = (".pdf", *IMAGES, *HOLDING_FILES)

# Formats of programs that are gone, or that no library reads: what to save them as.
CONVERTIBLE = {".xlsb": ".xlsx", ".wpd": ".docx", ".pages": ".docx", ".numbers": ".xlsx"}
CONVERTIBLE |= {".key": ".pptx", ".pub": ".pdf", ".vsd": ".pdf", ".vsdx": ".pdf", ".one": ".pdf"}
OTHER_IMAGES = {".jp2", ".svg", ".jxl"}
PACKED = {".7z", ".rar", ".bz2", ".xz", ".zst", ".lz4", ".tbz2", ".txz", ".cab", ".jar"}
OUTLOOK_STORES = {".pst", ".ost"}


def kind_of(name: str) -> str:
    """The suffix that says how a file is read, in lower case; `.tgz` for `.tar.gz`."""
    lower = name.lower()
    return ".tgz" if lower.endswith(".tar.gz") else PurePath(lower).suffix


def unsupported(suffix: str) -> Unparsable:
    """What to do about a file whose suffix (in lower case) no reader takes.

    A suffix that nobody knows may be part of a name ("letter.john_smith"): it is not repeated.
    """
    if suffix in CONVERTIBLE:
        problem = "a format of one program alone"
        remedy = f"save it in that program as {CONVERTIBLE[suffix]}."
    elif suffix in OTHER_IMAGES:
        problem = "a picture in a format that is not read"
        remedy = "save it as .png or .jpg: then it is read by character recognition (OCR)."
    elif suffix in PACKED:
        problem, remedy = "packed in a way that is not read", "unpack it, or pack it as .zip."
    elif suffix in OUTLOOK_STORES:
        problem = "Outlook's own store"
        remedy = "export its mails as .mbox or .eml (readpst does)."
    else:
        problem, remedy = "of no known kind", f"use one of {', '.join(SUPPORTED_SUFFIXES)}."
    what = known_suffix(suffix) or ("this suffix" if suffix else "a file without suffix")
    return Unparsable("unsupported", f"{what} is {problem}", remedy=remedy)


def known_suffix(suffix: str) -> str:
    """`suffix` where it names a format, else "": it may be part of somebody's name."""
    suffix = suffix.lower()
    ours = (SUPPORTED_SUFFIXES, CONVERTIBLE, OTHER_IMAGES, PACKED, OUTLOOK_STORES)
    return suffix if any(suffix in kinds for kinds in ours) or suffix in _formats() else ""


@lru_cache(maxsize=1)
def _formats() -> dict[str, str]:
    """The suffixes that Python itself knows, whatever this machine has been taught."""
    from mimetypes import MimeTypes

    return MimeTypes().types_map[True]
