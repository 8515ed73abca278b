"""Office files: whole archives of the kind that their suffix says, in the form readers know."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable

from stillhouse.corpus.parse.parts import ENCRYPTED_FLAG
from stillhouse.corpus.parse.unparsable import Unparsable

MAX_UNPACKED_BYTES = 1 << 30
OLE = b"\xd0\xcf\x11\xe0"

# ISO/IEC 29500 "strict" names the same things differently; the readers only know the names of its
# "transitional" form (ECMA-376): http://purl.oclc.org/ooxml/wordprocessingml/main is
# http://schemas.openxmlformats.org/wordprocessingml/2006/main.
STRICT = b"http://purl.oclc.org/ooxml/"
STRICT_NAME = re.compile(re.escape(STRICT) + rb"([A-Za-z]+)/([A-Za-z]+)(/[A-Za-z]+)?")
DASHED = {
    b"extendedProperties": b"extended-properties",
    b"customProperties": b"custom-properties",
}


def whole_office_file(data: bytes, main_part: str) -> io.BytesIO:
    """The file as a stream, once it is known to be an Office archive that holds `main_part`.

    Raises:
        Unparsable: it isn't, or it asks for a password, or unpacks to more than a gigabyte.
    """
    if data.startswith(OLE):  # encrypted, or the old format
        if "EncryptedPackage".encode("utf-16-le") in data:
            raise asks_for_a_password()
        raise Unparsable(
            "unsupported", "an old Office file under a new suffix", remedy="save it anew as such."
        )
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, main_part)
            if STRICT in archive.read("_rels/.rels"):
                return _transitional(archive)
    except (zipfile.BadZipFile, KeyError) as error:
        raise Unparsable(
            "corrupt",
            f"not a whole Office file ({type(error).__name__})",
            remedy="save or copy it again.",
        ) from error
    return io.BytesIO(data)


def _check(archive: zipfile.ZipFile, main_part: str) -> None:
    if main_part not in archive.namelist():
        raise Unparsable(
            "corrupt",
            f"the archive holds no {main_part}: it isn't the kind of file its suffix says",
            remedy="save it again in its own program.",
        )
    if any(entry.flag_bits & ENCRYPTED_FLAG for entry in archive.infolist()):
        raise asks_for_a_password()
    unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        raise Unparsable(
            "too_large",
            f"it unpacks to {unpacked >> 20} MB",
            remedy="split it into smaller files.",
        )


def asks_for_a_password() -> Unparsable:
    return Unparsable(
        "encrypted", "the file asks for a password", remedy="save it without a password."
    )


def _transitional(archive: zipfile.ZipFile) -> io.BytesIO:
    def renamed(name: str, part: bytes) -> bytes:
        return STRICT_NAME.sub(_renamed, part) if name.endswith((".xml", ".rels")) else part

    return rewritten(archive, renamed)


def rewritten(archive: zipfile.ZipFile, change: Callable[[str, bytes], bytes]) -> io.BytesIO:
    """The archive with `change` of the name and content of each part in its place."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as target:
        for entry in archive.infolist():
            target.writestr(entry.filename, change(entry.filename, archive.read(entry)))
    stream.seek(0)
    return stream


def _renamed(match: re.Match[bytes]) -> bytes:
    family, name, below = match[1], match[2], (match[3] or b"")[1:]
    last = b"/" + DASHED.get(below, below) if below else b""
    name = DASHED.get(name, name)
    return b"http://schemas.openxmlformats.org/" + family + b"/2006/" + name + last
