"""The Office formats of before 2007 ([MS-DOC], [MS-PPT], [MS-XLS]), as files that are read.

Many a file is no such thing inside: programs write web pages, rich text or new Office files under
these suffixes. A workbook (.xls) is read by itself, by xlrd; the others need LibreOffice.
"""

from __future__ import annotations

import io
import zipfile
from typing import Any

from stillhouse.corpus.parse.elements import How
from stillhouse.corpus.parse.libreoffice import converted, not_installed
from stillhouse.corpus.parse.office import OLE, asks_for_a_password
from stillhouse.corpus.parse.unparsable import Unparsable

LEGACY = {".doc": ".docx", ".ppt": ".pptx", ".xls": ".xls"}
# The stream that makes a compound file one of its kind.
STREAMS = {
    ".doc": ("WordDocument",),
    ".ppt": ("PowerPoint Document",),
    ".xls": ("Workbook", "Book"),
}
NEW_PARTS = {
    "word/document.xml": ".docx",
    "ppt/presentation.xml": ".pptx",
    "xl/workbook.xml": ".xlsx",
}
# Of BIFF 2 to 4: workbooks of the time before compound files.
BARE_SHEETS = (b"\x09\x00\x04\x00", b"\x09\x02\x06\x00", b"\x09\x04\x06\x00")
WORD_ENCRYPTED = 0x0100  # [MS-DOC] 2.5.2, FibBase.fEncrypted
SLIDES_ENCRYPTED = b"\xdf\xc4\xd1\xf3"  # [MS-PPT] 2.3.2, CurrentUserAtom.headerToken


def as_new(data: bytes, kind: str, how: How) -> tuple[str, bytes]:
    """The suffix by which the content of such a file is read, and that content.

    Raises:
        Unparsable: it is none, asks for a password, or LibreOffice is missing or fails.
    """
    if not data.startswith(OLE):
        return _something_else(data, kind), data
    if "EncryptedPackage".encode("utf-16-le") in data:
        raise asks_for_a_password()
    _check(data, kind)
    if kind == ".xls":
        return kind, data
    if how.office is None:
        raise not_installed(kind)
    new = LEGACY[kind]
    return new, converted(data, kind, new, how.office, how.workshop)


def _something_else(data: bytes, kind: str) -> str:
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1000].lower()
    if head.startswith(b"{\\rtf"):
        return ".rtf"
    if head.startswith((b"<!doctype html", b"<html")) or b"<html" in head or b"<table" in head:
        return ".html"
    if kind == ".xls" and data.startswith(BARE_SHEETS):
        return kind
    if head.startswith(b"pk"):
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                names = set(archive.namelist())
        except zipfile.BadZipFile:
            names = set()
        if found := next((new for part, new in NEW_PARTS.items() if part in names), None):
            return found
    raise another(kind)


def another(kind: str) -> Unparsable:
    return Unparsable(
        "corrupt",
        f"not the kind of file that {kind} says",
        remedy="open it in its own program and save it again.",
    )


def _check(data: bytes, kind: str) -> None:
    import olefile  # type: ignore[import-untyped]

    with olefile.OleFileIO(io.BytesIO(data)) as file:
        stream = next((name for name in STREAMS[kind] if file.exists(name)), None)
        if stream is None:
            raise another(kind)
        if kind == ".doc":
            base = file.openstream(stream).read(12)
            sealed = bool(int.from_bytes(base[10:12], "little") & WORD_ENCRYPTED)
        else:
            user = file.openstream("Current User") if file.exists("Current User") else io.BytesIO()
            sealed = user.read(16)[12:] == SLIDES_ENCRYPTED
    if sealed:
        raise asks_for_a_password()


def open_workbook(data: bytes, *, merged: bool = False) -> Any:
    """A workbook of xlrd's, its sheets unread yet; with `merged` it knows what cells are merged.

    Raises:
        Unparsable: it asks for a password, or is none.
    """
    import xlrd  # type: ignore[import-untyped]

    quiet = io.StringIO()  # it says of odd records what stands in them
    try:
        return xlrd.open_workbook(
            file_contents=data, on_demand=True, formatting_info=merged, logfile=quiet
        )
    except xlrd.XLRDError as error:
        if "encrypted" in str(error):
            raise asks_for_a_password() from None
        raise Unparsable(
            "corrupt",
            f"not a whole workbook ({type(error).__name__})",
            remedy="open it in its own program and save it again.",
        ) from None
