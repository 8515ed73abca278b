"""Files of formats that no library here writes."""

from __future__ import annotations

import io
import zipfile

OASIS = "urn:oasis:names:tc:opendocument:xmlns"
ODF_SPACES = " ".join(
    [
        *(f'xmlns:{p}="{OASIS}:{p}:1.0"' for p in ("office", "text", "table", "style")),
        f'xmlns:draw="{OASIS}:drawing:1.0"',
        f'xmlns:presentation="{OASIS}:presentation:1.0"',
        f'xmlns:svg="{OASIS}:svg-compatible:1.0"',
        'xmlns:xlink="http://www.w3.org/1999/xlink"',
        'xmlns:dc="http://purl.org/dc/elements/1.1/"',
    ]
)


def odf(kind: str, body: str, *, styles: str = "", manifest: str = "", head: str = "") -> bytes:
    """An OpenDocument file of the `kind` "text", "spreadsheet" or "presentation"."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr(
            "content.xml",
            f"{head}<office:document-content {ODF_SPACES}><office:body><office:{kind}>{body}"
            f"</office:{kind}></office:body></office:document-content>",
        )
        if styles:
            archive.writestr(
                "styles.xml",
                f"<office:document-styles {ODF_SPACES}>{styles}</office:document-styles>",
            )
        archive.writestr(
            "META-INF/manifest.xml", f'<m:manifest xmlns:m="x">{manifest}</m:manifest>'
        )
    return stream.getvalue()


def epub(*chapters: str, rights: str = "") -> bytes:
    """A book of these chapters, listed in an order that isn't theirs, after its contents."""
    stream = io.BytesIO()
    numbers = range(len(chapters))
    items = "".join(
        f'<item id="c{n}" href="text/c%20{n}.xhtml" media-type="application/xhtml+xml"/>'
        for n in reversed(numbers)
    )
    spine = "".join(f'<itemref idref="c{n}"/>' for n in numbers)
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", "application/epub+zip")
        archive.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
            '<rootfile full-path="OPS/book.opf"/></rootfiles></container>',
        )
        if rights:
            archive.writestr("META-INF/encryption.xml", rights)
        archive.writestr(
            "OPS/book.opf",
            '<package xmlns="http://www.idpf.org/2007/opf"><metadata>'
            '<title xmlns="http://purl.org/dc/elements/1.1/">On pumps</title></metadata>'
            '<manifest><item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" '
            f'properties="nav"/>{items}</manifest><spine><itemref idref="nav"/>{spine}</spine>'
            "</package>",
        )
        archive.writestr("OPS/nav.xhtml", "<html><body><p>Contents</p></body></html>")
        for n, chapter in enumerate(chapters):
            archive.writestr(f"OPS/text/c {n}.xhtml", f"<html><body>{chapter}</body></html>")
    return stream.getvalue()
