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
