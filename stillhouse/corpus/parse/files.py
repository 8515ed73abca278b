"""One document file to text: PDF, pictures, web pages, Office files, data and plain text.

unstructured splits a file into elements; here they are checked, freed of page headers, footers
and navigation, and joined. A file that gives no text is an `Unparsable`, never an empty success.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from stillhouse.code_of_parts import PARSING_LIBRARIES, code_version
from stillhouse.corpus.clean.text import clean_text
from stillhouse.corpus.confidentiality.properties import office_said
from stillhouse.corpus.parse.elements import (
    AS_USUAL,
    WITHOUT_DETECTION,
    Element,
    How,
    ParsedFile,
    assemble,
    convert,
)
from stillhouse.corpus.parse.encodings import decoded, encoding_of, text_bytes
from stillhouse.corpus.parse.kinds import IMAGES, kind_of, unsupported
from stillhouse.corpus.parse.office import whole_office_file
from stillhouse.corpus.parse.side_by_side import one_below_the_other
from stillhouse.corpus.parse.telling import hand_over
from stillhouse.corpus.parse.unparsable import Unparsable, unreadable, without_text
from stillhouse.errors import UserError
from stillhouse.storage.files import digest
from stillhouse.storage.provenance import library_versions

__all__ = ["PARSERS", "SEEING", "Element", "ParsedFile", "Unparsable", "parse_data", "parse_file"]
__all__ += ["parse_fingerprint", "refuse_blank"]

# Word, PowerPoint and Excel of before 2007, whatever they hold.
OLD_OFFICE = (".doc", ".ppt", ".xls")
OFFICE = (".docx", ".pptx", ".xlsx", ".xlsm")


def parse_file(path: Path, *, nlp_model: str, how: How = AS_USUAL) -> ParsedFile:
    """The text of a document file.

    `nlp_model` is the spaCy model that tells text from titles, `how` the rest.

    Raises:
        Unparsable: the file is empty, corrupt, encrypted, a scan that can't be read, unreadable, or
            of a kind that isn't supported; the reason and the remedy say which.
        UserError: there is no such spaCy model, or a library is missing.
    """
    kind = kind_of(path.name)
    if not _is_read(kind):
        raise unsupported(kind)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(error) from error
    return parse_data(data, kind, nlp_model=nlp_model, how=how)


def parse_data(data: bytes, kind: str, *, nlp_model: str, how: How = AS_USUAL) -> ParsedFile:
    """As `parse_file`, of what is in memory; `kind` is its suffix."""
    if not _is_read(kind):
        raise unsupported(kind)
    refuse_blank(data)
    hand_over(nlp_model)
    try:
        parsed = SEEING[kind](data, how) if kind in SEEING else PARSERS[kind](data)
    except (Unparsable, UserError, MemoryError):
        raise
    except Exception as error:
        # The libraries below raise whatever a damaged file makes them stumble over.
        raise Unparsable(
            "corrupt",
            f"the file breaks its parser ({type(error).__name__})",
            remedy="open it in its own program and save it again.",
        ) from error
    if not parsed.text:
        raise without_text()
    if kind in OFFICE:
        parsed = replace(parsed, said=office_said(data))
    return parsed


def _is_read(kind: str) -> bool:
    return kind in PARSERS or kind in SEEING


def refuse_blank(data: bytes) -> None:
    if not data.strip(b"\0 \t\r\n\xef\xbb\xbf"):
        raise Unparsable("empty", "the file is empty", remedy="export it again, or remove it.")


def parse_fingerprint() -> str:
    """Changes when the same file could give other text: this code's version and the libraries'."""
    return digest("parse", code_version("parsing"), library_versions(PARSING_LIBRARIES))


def _pdf(data: bytes, how: How) -> ParsedFile:
    from stillhouse.corpus.parse.pdf import parse_pdf

    return parse_pdf(data, how)


def _image(data: bytes, how: How) -> ParsedFile:
    from stillhouse.corpus.parse.images import parse_image

    return parse_image(data, how.ocr)


def _html(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.markup import parse_html

    # What it declares itself counts, but a page in UTF-16 can't declare anything.
    wide = encoding_of(data).startswith("utf-16")
    return parse_html(decoded(data) if wide else text_bytes(data))


def _markdown(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.markup import parse_markdown

    return parse_markdown(decoded(data))


def _latex(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.latex import parse_latex

    return parse_latex(decoded(data))


def _rtf(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.rtf import parse_rtf

    return parse_rtf(data)


def _rst(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.rst import parse_rst

    return parse_rst(decoded(data))


def _org(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.org import parse_org

    return parse_org(decoded(data))


def _asciidoc(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.asciidoc import parse_asciidoc

    return parse_asciidoc(decoded(data))


def _plain(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.plain import parse_plain

    # Cleaned before: its search for paragraphs takes time by the square of the spaces in a row.
    return parse_plain(clean_text(one_below_the_other(decoded(data))))


def _docx(data: bytes) -> ParsedFile:
    from unstructured.partition.docx import partition_docx

    from stillhouse.corpus.parse.word import with_all_in_its_body

    file = with_all_in_its_body(whole_office_file(data, "word/document.xml"))
    return assemble(convert(partition_docx(file=file, languages=WITHOUT_DETECTION)))


def _pptx(data: bytes) -> ParsedFile:
    from unstructured.partition.pptx import partition_pptx

    file = whole_office_file(data, "ppt/presentation.xml")
    return assemble(
        convert(partition_pptx(file=file, include_slide_notes=True, languages=WITHOUT_DETECTION))
    )


def _xlsx(data: bytes) -> ParsedFile:
    from unstructured.partition.xlsx import partition_xlsx

    file = whole_office_file(data, "xl/workbook.xml")
    return assemble(convert(partition_xlsx(file=file, languages=WITHOUT_DETECTION)))


def _xls(data: bytes) -> ParsedFile:
    from unstructured.partition.xlsx import partition_xlsx

    from stillhouse.corpus.parse.legacy import open_workbook

    open_workbook(data).release_resources()  # says what is wrong with it
    return assemble(convert(partition_xlsx(file=io.BytesIO(data), languages=WITHOUT_DETECTION)))


def _old_office(kind: str) -> Callable[[bytes, How], ParsedFile]:
    def parse(data: bytes, how: How) -> ParsedFile:
        from stillhouse.corpus.parse.legacy import as_new

        new, content = as_new(data, kind, how)
        if new == ".xls":
            return _xls(content)
        parsed = PARSERS[new](content)
        return replace(parsed, said=office_said(content)) if new in OFFICE else parsed

    return parse


def _epub(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.epub import parse_epub

    return parse_epub(data)


def _odf(kind: str) -> Callable[[bytes], ParsedFile]:
    def parse(data: bytes) -> ParsedFile:
        from stillhouse.corpus.parse.odf import parse_odf

        return parse_odf(data, kind)

    return parse


def _csv(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.data import parse_csv

    return parse_csv(data)


def _tsv(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.data import parse_csv

    return parse_csv(data, "\t")


def _json(data: bytes) -> ParsedFile:
    from stillhouse.corpus.parse.data import parse_json

    return parse_json(data)


# What may ask for more than its content: character recognition, a password, another program.
SEEING: dict[str, Callable[[bytes, How], ParsedFile]] = {
    ".pdf": _pdf,
    **dict.fromkeys(IMAGES, _image),
    **{kind: _old_office(kind) for kind in OLD_OFFICE},
}
PARSERS: dict[str, Callable[[bytes], ParsedFile]] = {
    ".html": _html,
    ".htm": _html,
    ".md": _markdown,
    ".markdown": _markdown,
    ".epub": _epub,
    ".tex": _latex,
    ".latex": _latex,
    ".adoc": _asciidoc,
    ".asciidoc": _asciidoc,
    ".rtf": _rtf,
    ".rst": _rst,
    ".org": _org,
    ".docx": _docx,
    ".pptx": _pptx,
    ".xlsx": _xlsx,
    ".xlsm": _xlsx,
    **{kind: _odf(kind) for kind in (".odt", ".ods", ".odp")},
    ".txt": _plain,
    ".text": _plain,
    ".csv": _csv,
    ".tsv": _tsv,
    ".json": _json,
}
