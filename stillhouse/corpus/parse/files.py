"""One document file to text: PDF, HTML, Markdown, Word, PowerPoint, Excel and plain text.

unstructured splits a file into elements; here they are checked, freed of page headers, footers
and navigation, and joined. A file that gives no text is an `Unparsable`, never an empty success.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from stillhouse.corpus.parse.elements import (
    WITHOUT_DETECTION,
    Element,
    ParsedFile,
    assemble,
    convert,
)
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError
from stillhouse.storage.files import digest

__all__ = ["SUPPORTED_SUFFIXES", "Element", "ParsedFile", "Unparsable", "parse_file"]
__all__ += ["parse_fingerprint"]

# Raise when the code here, or in markup.py or pdf.py, changes what comes out of a file.
VERSION = 1
LIBRARIES = (
    *("unstructured", "pdfminer.six", "pypdf", "beautifulsoup4", "lxml", "Markdown"),
    *("python-docx", "python-pptx", "openpyxl", "langdetect"),
)

MAX_UNPACKED_BYTES = 1 << 30
LEGACY = {".doc": ".docx", ".ppt": ".pptx", ".xls": ".xlsx"}
CONVERTIBLE = {".odt": ".docx", ".rtf": ".docx", ".epub": ".html", ".rst": ".md", ".org": ".md"}
IMAGES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".heic", ".webp"}


def parse_file(path: Path, *, nlp_model: str) -> ParsedFile:
    """The text of a document file; `nlp_model` is the spaCy model that tells text from titles.

    Raises:
        Unparsable: the file is empty, corrupt, encrypted, a scan without text, unreadable, or of
            a kind that isn't supported; the reason and the remedy say which.
        UserError: there is no such spaCy model.
    """
    parser = _parser_for(path)
    data = _read(path)
    _hand_over_model(nlp_model)
    try:
        parsed = parser(data)
    except (Unparsable, UserError, MemoryError):
        raise
    except Exception as error:
        # The libraries below raise whatever a damaged file makes them stumble over.
        raise Unparsable(
            "corrupt",
            f"the file breaks its parser: {type(error).__name__}: {str(error)[:200]}",
            remedy="open it in its own program and save it again.",
        ) from error
    if not parsed.text:
        raise Unparsable(
            "empty", "the file holds no text", remedy="remove it, or replace it by one with text."
        )
    return replace(parsed, title=parsed.title or path.stem, language=_language(parsed.text))


def parse_fingerprint() -> str:
    """Changes when the same file could give other text: this code's version and the libraries'."""
    from importlib.metadata import PackageNotFoundError, version

    versions: dict[str, str] = {}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = "missing"
    return digest("parse", VERSION, versions)


def _parser_for(path: Path) -> Callable[[bytes], ParsedFile]:
    suffix = path.suffix.lower()
    if suffix in PARSERS:
        return PARSERS[suffix]
    if suffix in LEGACY:
        problem, remedy = "the old Office format", f"save it as {LEGACY[suffix]}."
    elif suffix in CONVERTIBLE:
        problem, remedy = "not read directly", f"convert it to {CONVERTIBLE[suffix]} (pandoc does)."
    elif suffix in IMAGES:
        problem = "an image, whose text only character recognition (OCR) could read"
        remedy = "run OCR on it and put the resulting text or PDF here."
    else:
        problem, remedy = "of no known kind", f"use one of {', '.join(SUPPORTED_SUFFIXES)}."
    raise Unparsable(
        "unsupported", f"{suffix or 'a file without suffix'} is {problem}", remedy=remedy
    )


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise Unparsable(
            "unreadable",
            f"the file can't be read: {error.strerror or error}",
            remedy="check that it is there and that this user may read it.",
        ) from error
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise Unparsable("empty", "the file is empty", remedy="export it again, or remove it.")
    return data


def _hand_over_model(nlp_model: str) -> None:
    """Give unstructured our spaCy model; by itself it downloads and installs one at run time."""
    from stillhouse.corpus.nlp import transformers_hidden

    with transformers_hidden():
        import unstructured.nlp.tokenize as tokenize

    if getattr(tokenize, "_stillhouse_model", None) == nlp_model:
        return
    # Loaded here, since what fails inside partition_pdf is swallowed there.
    nlp = _tagger(nlp_model)
    tokenize._load_spacy_model = lambda: nlp
    for cached in vars(tokenize).values():  # it keeps the first model, and answers by text
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    tokenize._stillhouse_model = nlp_model


def _tagger(nlp_model: str) -> Any:
    """Tags and sentence ends by punctuation: all that unstructured asks, at half the cost."""
    from stillhouse.corpus.nlp import pipeline

    nlp = pipeline(nlp_model, "tagger")
    if "sentencizer" not in nlp.pipe_names:
        nlp.add_pipe("sentencizer")
    return nlp


@lru_cache(maxsize=1)
def _detector() -> Any:
    from langdetect import DetectorFactory, detect_langs  # type: ignore[import-untyped]

    DetectorFactory.seed = 0  # it draws at random: the same text must give the same language
    return detect_langs


def _language(text: str) -> str | None:
    if sum(c.isalpha() for c in text[:400]) < 40:
        return None
    try:
        best = _detector()(text[:5000])[0]
    except Exception:  # langdetect raises its own kind for texts without features
        return None
    return str(best.lang)[:2] if best.prob > 0.8 else None


def _pdf(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.pdf import parse_pdf

    return parse_pdf(data)


def _html(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.markup import parse_html

    return parse_html(_text_bytes(data))


def _markdown(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.markup import parse_markdown

    return parse_markdown(_decoded(data))


def _plain(data: bytes) -> ParsedFile:
    from unstructured.partition.text import partition_text

    return assemble(convert(partition_text(text=_decoded(data), languages=WITHOUT_DETECTION)))


def _docx(data: bytes) -> ParsedFile:
    from unstructured.partition.docx import partition_docx

    file = _office(data, "word/document.xml")
    return assemble(convert(partition_docx(file=file, languages=WITHOUT_DETECTION)))


def _pptx(data: bytes) -> ParsedFile:
    from unstructured.partition.pptx import partition_pptx

    file = _office(data, "ppt/presentation.xml")
    return assemble(convert(partition_pptx(file=file, languages=WITHOUT_DETECTION)))


def _xlsx(data: bytes) -> ParsedFile:
    from unstructured.partition.xlsx import partition_xlsx

    file = _office(data, "xl/workbook.xml")
    return assemble(convert(partition_xlsx(file=file, languages=WITHOUT_DETECTION)))


def _office(data: bytes, main_part: str) -> io.BytesIO:
    """The file as a stream, once it is known to be a whole Office archive of the right kind."""
    if data.startswith(b"\xd0\xcf\x11\xe0"):  # an OLE container: encrypted, or the old format
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise Unparsable(
                "encrypted", "the file asks for a password", remedy="save it without a password."
            )
        raise Unparsable(
            "unsupported", "an old Office file under a new suffix", remedy="save it anew as such."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except zipfile.BadZipFile as error:
        raise Unparsable(
            "corrupt", f"not a whole Office file: {error}", remedy="save or copy it again."
        ) from error
    if main_part not in names:
        raise Unparsable(
            "corrupt",
            f"the archive holds no {main_part}: it isn't the kind of file its suffix says",
            remedy="save it again in its own program.",
        )
    if unpacked > MAX_UNPACKED_BYTES:
        raise Unparsable(
            "unsupported",
            f"it unpacks to {unpacked >> 20} MB",
            remedy="split it into smaller files.",
        )
    return io.BytesIO(data)


def _text_bytes(data: bytes) -> bytes:
    """`data`, once it is known to be text of some encoding."""
    utf16_or_32 = data[:2] in (b"\xff\xfe", b"\xfe\xff")
    controls = len(re.findall(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]", data[:65536]))
    if not utf16_or_32 and controls > 0.01 * min(len(data), 65536):
        raise Unparsable(
            "corrupt",
            "binary data where text was expected",
            remedy="check what the file really is, and give it its right suffix.",
        )
    return data


def _decoded(data: bytes) -> str:
    """Text of any usual encoding: by its byte order mark, as UTF-8, or by guessing."""
    from charset_normalizer import from_bytes

    data = _text_bytes(data)
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        best = from_bytes(data).best()
    if best is None:
        raise Unparsable("corrupt", "text in no known encoding", remedy="save it as UTF-8.")
    return str(best)


PARSERS: dict[str, Callable[[bytes], ParsedFile]] = {
    ".pdf": _pdf,
    ".html": _html,
    ".htm": _html,
    ".md": _markdown,
    ".markdown": _markdown,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".txt": _plain,
    ".text": _plain,
}
SUPPORTED_SUFFIXES = tuple(PARSERS)
