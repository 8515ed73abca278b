"""Files that are broken, or made to do harm, each written here: none is kept as such.

`hostile_files` gives each with what may become of it: "parsed", or a category of quarantine.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from functools import cache

from tests.corpus.parse.test_sheets import old_stream
from tests.documents import odf
from tests.heic import heic, heic_claiming
from tests.mails import compound_file

# What a parser would fetch, or what it would find on this machine: the test watches for both.
ELSEWHERE = "http://elsewhere.invalid/x"
WORDS = "The pump goes back to the warehouse within thirty days of its delivery."

SPACES = b" " * (1 << 20)

Hostile = tuple[str, bytes, set[str]]


def hostile_files(secret: str) -> Iterator[Hostile]:
    """Name, content, and what may become of it; `secret` is the URL of a file to be left alone."""
    yield from _archives()
    yield from _tars()
    yield from _markup(secret)
    yield from _office(secret)
    yield from _pdfs()
    yield from _pictures()
    yield from _texts()
    yield from _mails()
    yield from _old_and_light(secret)
    yield from _under_wrong_suffixes()


def zipped(*entries: tuple[str, bytes | str], mode: int = 0) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = mode << 16
            archive.writestr(entry, data)
    return stream.getvalue()


def claiming(archive: bytes, size: int) -> bytes:
    """With `size` for that of an entry of `SPACES` or more, in its directory at least."""
    data = bytearray(archive)
    at = data.find(b"PK\1\2")
    while at >= 0:
        if struct.unpack_from("<L", data, at + 24)[0] >= len(SPACES):
            struct.pack_into("<L", data, at + 24, size)
        at = data.find(b"PK\1\2", at + 4)
    return bytes(data)


def locked(archive: bytes) -> bytes:
    """With the mark of a password in each of its headers."""
    data = bytearray(archive)
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = data.find(mark)
        while at >= 0:
            data[at + offset] |= 1
            at = data.find(mark, at + 4)
    return bytes(data)


def directory_of(names: int, size: int, local: bytes = b"") -> bytes:
    """A zip of nothing but a directory: so many names for one place, each of so many bytes."""
    entries = b"".join(
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, 50, size, 7, 0, 0, 0, 0, 0, 0)
        + b"%03x.txt" % (n % 4096)
        for n in range(names)
    )
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, names % 65536, names % 65536,
                      len(entries), len(local), 0)  # fmt: skip
    return local + entries + end


def _archives() -> Iterator[Hostile]:
    good = ("good.txt", WORDS)
    whole = zipped(good, ("two.txt", WORDS * 3))
    yield "bomb.zip", claiming(zipped(("a.txt", SPACES)), 70 << 20), {"too_large"}
    nested = zipped(good)
    for _ in range(12):
        nested = zipped(("in.zip", nested))
    yield "nested.zip", nested, {"too_large"}
    yield "overlapping.zip", directory_of(50, 40 << 20, zipped(good)[:60]), {"too_large"}
    yield "too many.zip", directory_of(100_001, 1), {"too_large", "corrupt"}
    yield "up.zip", zipped(("../../up.txt", WORDS), good), {"outside", "parsed"}
    yield "root.zip", zipped(("/tmp/root.txt", WORDS), good), {"outside", "parsed"}
    yield "drive.zip", zipped(("C:\\drive.txt", WORDS), good), {"outside", "parsed"}
    yield "link.zip", zipped(("a.txt", "/etc/passwd"), mode=0o120777), {"outside"}
    yield "locked.zip", locked(whole), {"encrypted"}
    yield "cut.zip", whole[:-40], {"corrupt"}
    liar = whole.replace(struct.pack("<L", len(WORDS)), struct.pack("<L", 5))
    yield "liar.zip", liar, {"corrupt", "parsed"}
    markup = zipped(("<script>alert(1)</script>\n\x1b[31m.txt", WORDS))
    yield "markup.zip", markup, {"parsed", "unsupported"}
    yield "null.zip", zipped(("a.txt\0.exe", WORDS)), {"parsed", "unsupported", "corrupt"}
    yield "none.zip", zipped(), {"empty"}
    yield "7z.zip", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(range(256)) * 8, {"corrupt"}
    yield "rar.zip", b"Rar!\x1a\7\1\0" + bytes(range(256)) * 8, {"corrupt"}
    yield "locked.7z", b"7z\xbc\xaf\x27\x1c\0\4" + bytes(range(256)) * 8, {"unsupported"}


def tarred(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for entry, data in entries:
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def _tars() -> Iterator[Hostile]:
    def of(name: str, kind: bytes = tarfile.REGTYPE, to: str = "") -> tarfile.TarInfo:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, to
        return entry

    good = (of("good.txt"), WORDS.encode())
    yield "up.tar", tarred((of("../up.txt"), b"x"), good), {"outside", "parsed"}
    yield "link.tar", tarred((of("a.txt", tarfile.SYMTYPE, "/etc/passwd"), b"")), {"outside"}
    yield "hard.tar", tarred((of("a.txt", tarfile.LNKTYPE, "/etc/passwd"), b"")), {"outside"}
    yield "device.tar", tarred((of("zero.txt", tarfile.CHRTYPE), b"")), {"unsupported"}
    through = tarred((of("d", tarfile.SYMTYPE, "/tmp"), b""), (of("d/through.txt"), b"Words."))
    yield "through.tar", through, {"outside", "parsed"}
    whole = tarred(good, (of("two.txt"), WORDS.encode() * 30))
    yield "cut.tar", whole[:1700], {"parsed", "corrupt"}
    huge = bytearray(tarred(good))
    huge[124:136] = b"\x80" + (1 << 40).to_bytes(11)
    huge[148:156] = b" " * 8
    huge[148:156] = b"%06o\0 " % sum(huge[:512])
    yield "huge.tar", bytes(huge), {"too_large"}
    padded = tarred((of("a.txt"), SPACES))[:512] + SPACES * 70
    padded = padded.replace(b"%011o" % len(SPACES), b"%011o" % (70 << 20))
    padded = padded[:148] + b" " * 8 + padded[156:]
    padded = padded[:148] + b"%06o\0 " % sum(padded[:512]) + padded[156:]
    yield "bomb.tgz", gzip.compress(padded, 1), {"too_large"}
    yield "bomb.txt.gz", gzip.compress(SPACES) * 70, {"too_large"}
    yield "cut.txt.gz", gzip.compress(WORDS.encode() * 50)[:-12], {"corrupt"}
    yield "gzip.tar", gzip.compress(whole), {"corrupt"}


LAUGHS = "<!ENTITY a0 'ha'>" + "".join(
    f"<!ENTITY a{n} '{f'&a{n - 1};' * 10}'>" for n in range(1, 12)
)


def _entities(secret: str) -> dict[str, str]:
    return {
        "laughs": LAUGHS + "<!ENTITY x '&a11;'>",
        "blowup": f"<!ENTITY b '{'b' * 100_000}'><!ENTITY x '{'&b;' * 5_000}'>",
        "file": f"<!ENTITY x SYSTEM '{secret}'>",
        "net": f"<!ENTITY x SYSTEM '{ELSEWHERE}'>",
        "parameter": f"<!ENTITY % p SYSTEM '{secret}'> %p; <!ENTITY x 'x'>",
    }


def _markup(secret: str) -> Iterator[Hostile]:
    for name, declared in _entities(secret).items():
        xml = f"<!DOCTYPE a [{declared}]><a><b>Words &x;</b></a>"
        yield f"{name}.xml", xml.encode(), {"unsupported"}
        wiki = f"<!DOCTYPE mediawiki [{declared}]><mediawiki><page><title>&x;</title></page>"
        yield f"{name} wiki.xml", f"{wiki}</mediawiki>".encode(), {"unsupported"}
    dtd = f"<!DOCTYPE a SYSTEM '{ELSEWHERE}'><a><b>{WORDS}</b></a>"
    yield "dtd.xml", dtd.encode(), {"parsed"}
    include = f"<a xmlns:i='http://www.w3.org/2001/XInclude'><i:include href='{secret}'/>Words.</a>"
    yield "include.xml", include.encode(), {"parsed"}
    style = f"<?xml-stylesheet href='{ELSEWHERE}'?><a>{WORDS}</a>"
    yield "style.xml", style.encode(), {"parsed"}
    yield "deep.xml", b"<a>" * 100_000 + b"x" + b"</a>" * 100_000, {"corrupt", "too_large"}
    yield "attribute.xml", b"<a b='" + b"x" * 12_000_000 + b"'>Words.</a>", {"corrupt"}
    yield "charset.xml", b"<?xml version='1.0' encoding='utf-99'?><a>x</a>", {"corrupt"}
    yield "cut.xml", b"<a><b>Words", {"corrupt"}
    yield "loads.html", _page_that_loads(secret), {"parsed"}
    yield "deep.html", b"<div>" * 5_000 + WORDS.encode(), {"empty"}
    yield "tags.html", b"<p>Words.</p>" + b"<b><i>" * 3_000, {"parsed", "corrupt"}
    yield "open.html", b"<!--" * 50_000 + b"<p>Words.", {"empty"}
    yield "table.html", b"<table><tr><td colspan=99999999 rowspan=99999999>Words.", {"parsed"}
    yield "quotes.md", b">" * 3_000 + b" Words.\n", {"empty"}
    yield "brackets.md", b"[" * 1_000 + b"Words.\n", {"parsed", "corrupt"}
    yield "lists.md", b"".join(b" " * 2 * n + b"- Words.\n" for n in range(60)), {"parsed"}
    yield "html.md", f"{WORDS}\n\n<img src='{ELSEWHERE}'>\n".encode(), {"parsed"}


def _page_that_loads(secret: str) -> bytes:
    return f"""<html><head><meta http-equiv="refresh" content="0;{ELSEWHERE}">
    <link rel="stylesheet" href="{ELSEWHERE}"><base href="{ELSEWHERE}">
    <script src="{ELSEWHERE}"></script></head><body onload="fetch('{ELSEWHERE}')">
    <img src="{ELSEWHERE}"><iframe src="{secret}"></iframe><object data="{secret}"></object>
    <video src="{ELSEWHERE}"></video><embed src="{secret}"><p>{WORDS}</p></body>""".encode()


@cache
def _docx(body: str = "") -> bytes:
    from docx import Document

    stream = io.BytesIO()
    document = Document()
    document.add_paragraph(WORDS)
    document.save(stream)
    return changed(stream.getvalue(), "word/document.xml", "<w:body>", f"<w:body>{body}")


@cache
def _xlsx() -> bytes:
    from openpyxl import Workbook

    stream = io.BytesIO()
    book = Workbook()
    book.active.append(["Part", WORDS])
    book.save(stream)
    return stream.getvalue()


@cache
def _pptx() -> bytes:
    from pptx import Presentation

    stream = io.BytesIO()
    deck = Presentation()
    deck.slides.add_slide(deck.slide_layouts[1]).placeholders[1].text = WORDS
    deck.save(stream)
    return stream.getvalue()


def changed(archive: bytes, part: str, old: str, new: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        parts = [(entry.filename, source.read(entry)) for entry in source.infolist()]
    assert any(name == part and old.encode() in data for name, data in parts)
    return zipped(*(
        (name, data.replace(old.encode(), new.encode(), 1) if name == part else data)
        for name, data in parts
    ))  # fmt: skip


def _encrypted(archive: bytes) -> bytes:
    from msoffcrypto.format.ooxml import OOXMLFile

    target = io.BytesIO()
    OOXMLFile(io.BytesIO(archive)).encrypt("secret", target)
    return target.getvalue()


def _office(secret: str) -> Iterator[Hostile]:
    kinds = {
        ".docx": (_docx(), "word/document.xml", "<w:document ", {"unsupported"}),
        ".xlsx": (_xlsx(), "xl/worksheets/sheet1.xml", "<worksheet ", {"parsed", "corrupt"}),
        ".pptx": (_pptx(), "ppt/slides/slide1.xml", "<p:sld ", {"parsed", "corrupt"}),
    }
    for kind, (archive, part, root, outcome) in kinds.items():
        for name, declared in _entities(secret).items():
            declaring = changed(archive, part, root, f"<!DOCTYPE x [{declared}]>{root}")
            yield f"{name}{kind}", changed(declaring, part, "The pump", "The &x; pump"), outcome
        yield f"locked{kind}", _encrypted(archive), {"encrypted"}
        yield f"locked parts{kind}", locked(archive), {"encrypted"}
        yield f"cut{kind}", archive[: len(archive) // 2], {"corrupt"}
        yield f"up{kind}", archive[:-22] + zipped(("../up.xml", "x")), {"corrupt", "parsed"}
        old = compound_file({"WordDocument": WORDS.encode("utf-16-le") * 90})
        yield f"old{kind}", old, {"unsupported"}
        with zipfile.ZipFile(io.BytesIO(archive)) as source:
            relations = "word/_rels/document.xml.rels" if kind == ".docx" else "_rels/.rels"
            assert relations in source.namelist()
        rel = f'<Relationship Id="rIdX" TargetMode="External" Target="{ELSEWHERE}" Type="http://'
        rel += 'schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"/>'
        outer = changed(archive, relations, "</Relationships>", f"{rel}</Relationships>")
        yield f"template{kind}", outer, {"parsed"}
    yield from _word_and_sheets()
    yield from _open_documents(secret)


def _word_and_sheets() -> Iterator[Hostile]:
    cell = "<w:tc>{}<w:p><w:r><w:t>Words.</w:t></w:r></w:p></w:tc>"
    wide = cell.format('<w:tcPr><w:gridSpan w:val="999999999"/></w:tcPr>')
    grid = "<w:tbl><w:tblPr/><w:tblGrid><w:gridCol/></w:tblGrid><w:tr>{}</w:tr></w:tbl>"
    yield "wide.docx", _docx(grid.format(wide)), {"parsed", "corrupt"}
    deep = ""
    for _ in range(120):
        deep = grid.format(cell.format(deep))
    yield "deep.docx", _docx(deep), {"parsed", "corrupt"}
    yield "filled.docx", _docx("<w:p>" + "<w:r>" * 200_000), {"corrupt"}
    far = '<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'
    sheet = "xl/worksheets/sheet1.xml"
    yield "far.xlsx", changed(_xlsx(), sheet, "</sheetData>", far), {"parsed", "corrupt"}
    bad = '<row r="0"><c r="A0" t="s"><v>999999</v></c></row></sheetData>'
    yield "index.xlsx", changed(_xlsx(), sheet, "</sheetData>", bad), {"parsed", "corrupt"}
    bomb = zipped(("word/document.xml", SPACES), ("_rels/.rels", "x"))
    yield "declared.docx", claiming(bomb, 2 << 30), {"too_large"}


def _open_documents(secret: str) -> Iterator[Hostile]:
    text, cell = "<text:p>Words &x;</text:p>", "<table:table-cell {}><text:p>x</text:p>"
    for name, declared in _entities(secret).items():
        head = f"<!DOCTYPE x [{declared}]>"
        yield f"{name}.odt", odf("text", text, head=head), {"unsupported"}
    plain = odf("text", f"<text:p>{WORDS}</text:p>")
    yield "locked.odt", odf("text", text, manifest="<m:encryption-data/>"), {"encrypted"}
    yield "locked parts.odt", locked(plain), {"encrypted"}
    yield "cut.odt", plain[:200], {"corrupt"}
    many = cell.format('table:number-columns-repeated="16384"') + "</table:table-cell>"
    rows = f'<table:table-row table:number-rows-repeated="1048576">{many}</table:table-row>'
    yield "many.ods", odf("spreadsheet", f"<table:table>{rows}</table:table>"), {"too_large"}
    yield "deep.odp", odf("presentation", "<draw:g>" * 5_000), {"corrupt"}
    yield "bomb.odt", claiming(odf("text", " " * (1 << 20)), 70 << 20), {"too_large"}
    frame = f"<text:p>{WORDS}<draw:frame><draw:image xlink:href='{ELSEWHERE}'/></draw:frame>"
    linked = odf("text", f"{frame}</text:p>")
    yield "linked.odt", linked, {"parsed", "corrupt"}


def pdf(*objects: bytes, prev: int | None = None) -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalogue."""
    data = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(data)
    data += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    data += b"".join(b"%010d 00000 n \n" % place for place in places)
    before = b"" if prev is None else b"/Prev %d" % (table if prev < 0 else prev)
    data += b"trailer <</Size %d /Root 1 0 R %s>>\n" % (len(objects) + 1, before)
    return data + b"startxref\n%d\n%%%%EOF\n" % table


ROOT, FONT = b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"
TREE = b"<</Type/Pages/Kids[3 0 R]/Count 1>>"


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<</Length %d %s>>\nstream\n%s\nendstream" % (len(data), more, data)


def page(width: int = 600, height: int = 800, more: bytes = b"") -> bytes:
    return (
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 %d %d]/Contents 4 0 R"
        b"/Resources<</Font<</F 5 0 R>>/XObject<</X 6 0 R>>>>%s>>" % (width, height, more)
    )


SAID = stream(b"BT /F 12 Tf 50 700 Td (" + WORDS.encode() + b") Tj ET")
DRAWN = stream(
    b"/X Do", b"/Type/XObject/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</X 6 0 R>>>>"
)


def _pdfs() -> Iterator[Hostile]:
    def one(*, tree: bytes = TREE, root: bytes = ROOT, said: bytes = SAID, shown: bytes = page(),
            prev: int | None = None) -> bytes:  # fmt: skip
        return pdf(root, tree, shown, said, FONT, DRAWN, prev=prev)

    yield "good.pdf", one(), {"parsed"}
    yield "loop.pdf", one(tree=b"<</Type/Pages/Kids[2 0 R 3 0 R]/Count 2>>"), {"parsed", "corrupt"}
    yield "only loop.pdf", one(tree=b"<</Type/Pages/Kids[2 0 R]/Count 1>>"), {"corrupt", "empty"}
    double = [b"<</Type/Pages/Kids[%d 0 R %d 0 R]/Count %d>>" % (n, n, 1 << (27 - n))
              for n in range(7, 27)]  # fmt: skip
    million = pdf(ROOT, b"<</Type/Pages/Kids[7 0 R]/Count 1048576>>", page(), SAID, FONT, DRAWN,
                  *double[:-1], double[-1].replace(b"26 0 R", b"3 0 R"))  # fmt: skip
    yield "million.pdf", million, {"corrupt"}
    flat = b"<</Type/Pages/Kids[%s]/Count 1000000>>" % (b"3 0 R " * 1_000_000)
    yield "flat million.pdf", one(tree=flat), {"corrupt"}
    yield (
        "claims.pdf",
        one(tree=TREE.replace(b"Count 1", b"Count 999999999")),
        {"parsed", "corrupt"},
    )
    yield "negative.pdf", one(tree=TREE.replace(b"Count 1", b"Count -5")), {"parsed", "corrupt"}
    yield "huge page.pdf", one(shown=page(200_000, 200_000)), {"parsed"}
    blank = stream(b"0 0 150000 150000 re f")
    yield "huge drawing.pdf", one(shown=page(200_000, 200_000), said=blank), {"empty", "scan"}
    yield "itself.pdf", one(said=stream(b"/X Do")), {"empty", "corrupt"}
    yield "previous.pdf", one(prev=-1), {"parsed", "corrupt"}
    deep = stream(b"[" * 100_000)
    yield "deep.pdf", one(said=deep), {"empty", "corrupt"}
    yield "deep tree.pdf", one(root=b"<</Type/Catalog/Pages 2 0 R/X" + b"[" * 50_000), {"corrupt"}
    bomb = zlib.compress(zlib.compress(zlib.compress(bytes(90 << 20), 9), 9), 9)
    filters = b"/Filter[/FlateDecode/FlateDecode/FlateDecode]"
    yield "bomb.pdf", one(said=stream(bomb, filters)), {"empty", "corrupt", "too_large"}
    action = (
        b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(app.launchURL\\('%s'\\))>>>>"
    )
    yield "script.pdf", one(root=action % ELSEWHERE.encode()), {"parsed"}
    launch = b"<</Type/Catalog/Pages 2 0 R/OpenAction<</S/Launch/F(/bin/sh)>>>>"
    yield "launch.pdf", one(root=launch), {"parsed"}
    yield "outer.pdf", one(said=stream(b"", b"/F(/etc/passwd)")), {"empty", "corrupt"}
    yield "cut.pdf", one()[:-60], {"corrupt"}
    yield "locked.pdf", _locked_pdf(one()), {"encrypted"}
    yield "head.pdf", b"%PDF-1.7\n" + bytes(range(256)) * 20 + b"%%EOF", {"corrupt"}


def _locked_pdf(data: bytes) -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(data)))
    writer.encrypt("secret", algorithm="AES-256")
    target = io.BytesIO()
    writer.write(target)
    return target.getvalue()


def _png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">2L5B", width, height, 1, 0, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">L", len(body)) + kind + body
        data += struct.pack(">L", zlib.crc32(kind + body))
    return data


def _pictures() -> Iterator[Hostile]:
    from PIL import Image

    row = zlib.compress(bytes(1000))
    yield "huge.png", _png(200_000, 200_000, (b"IDAT", row)), {"too_large"}
    yield "long.png", _png(2_000_000_000, 1, (b"IDAT", row)), {"too_large", "corrupt"}
    yield "nothing.png", _png(0, 0, (b"IDAT", row)), {"corrupt"}
    yield "short.png", _png(900, 900, (b"IDAT", row)), {"corrupt"}
    text = b"zTXt", b"a\0\0" + zlib.compress(bytes(4 << 20))
    yield (
        "text bomb.png",
        _png(9, 9, text, (b"IDAT", zlib.compress(bytes(99)))),
        {"corrupt", "empty"},
    )
    target = io.BytesIO()
    Image.new("RGB", (300, 300), "white").save(target, "JPEG")
    yield "cut.jpg", target.getvalue()[:300], {"corrupt"}
    loop = b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<L", 8)
    yield "loop.tif", loop, {"corrupt"}
    bitmap = b"BM" + struct.pack("<LHHL", 200, 0, 0, 54)
    bitmap += struct.pack("<LllHHL", 40, 200_000, -200_000, 1, 24, 0) + bytes(200)
    yield "huge.bmp", bitmap, {"too_large", "corrupt"}
    yield "bad.webp", b"RIFF\xff\xff\xff\x7fWEBPVP8 " + bytes(range(256)), {"corrupt"}
    yield "film.gif", b"GIF89a" + bytes(200), {"corrupt"}


def _texts() -> Iterator[Hostile]:
    yield "nulls.txt", b"\0" * 5_000 + WORDS.encode(), {"corrupt"}
    yield "some nulls.txt", WORDS.encode() * 20 + b"\0" + WORDS.encode() * 20, {"parsed"}
    yield "controls.txt", bytes(range(32)) * 200, {"corrupt"}
    yield "line.txt", b"word " * 50_000, {"parsed"}
    yield "word.txt", b"w" * 200_000, {"parsed"}
    yield "odd.txt", ("\ufeff" + WORDS * 3).encode("utf-16-le")[:-1], {"parsed"}
    yield "surrogates.txt", b"\xff\xfe" + b"\0\xd8" * 500 + WORDS.encode("utf-16-le"), {"parsed"}
    yield "overlong.txt", WORDS.encode() * 9 + b"\xc0\xaf\xed\xa0\x80", {"parsed", "corrupt"}
    bidi = f"\u202e\u2066{WORDS}\u2069 \x1b]0;title\x07 {WORDS * 9}"
    yield "bidi.txt", bidi.encode(), {"parsed"}
    yield "deep.json", b"[" * 200_000, {"corrupt"}
    yield "deep object.json", b'{"a":' * 200_000, {"corrupt"}
    yield "number.json", b'{"a": 1' + b"0" * 200_000 + b"}", {"corrupt", "parsed"}
    yield "twice.json", b'{"a": 1}{"a": 2}', {"corrupt"}
    yield "nan.json", b'{"a": NaN, "b": "Words."}', {"parsed"}
    lone = json.dumps({"a": "\ud800 words"}).encode()
    yield "lone.json", lone, {"parsed", "corrupt"}
    yield "lines.jsonl", b'{"a": "Words."}\ngarbage\n' + b"[" * 100_000, {"parsed", "corrupt"}
    cell = b"a,b\n1," + b"x" * (17 << 20)
    yield "cell.csv", cell, {"corrupt", "too_large"}
    yield "quote.csv", b'a,b\n"' + b"x,y\n" * 50_000, {"parsed", "corrupt"}
    yield "columns.csv", b"," * 100_000 + b"\nWords.\n", {"parsed"}
    yield "nulls.csv", b"a,b\n" + b"\0" * 3_000, {"corrupt"}
    formula = b'name,sum\n=HYPERLINK("' + ELSEWHERE.encode() + b'"),@SUM(1)\n'
    yield "formula.csv", formula, {"parsed"}


def _old_and_light(secret: str) -> Iterator[Hostile]:
    sheet = {"Workbook": old_stream([["Part", WORDS]])}
    macros = {"_VBA_PROJECT_CUR": {"VBA": {"dir": bytes(90), "ThisWorkbook": bytes(90)}}}
    yield "macros.xls", compound_file(sheet | macros), {"parsed"}
    book = compound_file(sheet)
    yield "cut.xls", book[:1500], {"corrupt"}
    around = bytearray(book)
    around[512:1024] = struct.pack("<L", 0) * 128
    yield "around.xls", bytes(around), {"corrupt", "empty"}
    for n, at in enumerate((0, 20, 60, 110, 170)):
        twisted = sheet["Workbook"][:at] + b"\xff\x7f\xff\xff" + sheet["Workbook"][at + 4 :]
        yield (
            f"twisted {n}.xls",
            compound_file({"Workbook": twisted}),
            {"parsed", "corrupt", "empty"},
        )
    word = {"WordDocument": b"\xec\xa5\xc1\0" + bytes(5000)}
    yield "macros.doc", compound_file(word | {"Macros": macros}), {"program"}
    yield "slides.ppt", compound_file({"PowerPoint Document": bytes(5000)}), {"program"}
    yield "sealed.doc", compound_file({"EncryptedPackage": bytes(5000)}), {"encrypted"}
    rich = r"{\rtf1 " + WORDS
    objects = r"{\object\objemb{\*\objclass Package}{\*\objdata " + "0105" * 50_000 + "}}"
    yield "object.rtf", f"{rich}{objects}}}".encode(), {"parsed"}
    fields = rf'{{\field{{\*\fldinst INCLUDETEXT "{secret}"}}{{\fldrslt x}}}}'
    template = rf"{{\*\template {ELSEWHERE}}}{{\field{{\*\fldinst INCLUDEPICTURE {ELSEWHERE}}}}}"
    yield "fields.rtf", f"{rich}{fields}{template}}}".encode(), {"parsed"}
    yield "deep.rtf", f"{rich}{'{' * 50_000}".encode(), {"parsed"}
    yield "control.rtf", f"{rich}\\{'a' * 200_000}9".encode(), {"parsed"}
    yield "binary.rtf", rich.encode() + b"{\\pict\\bin999999999 " + bytes(900), {"parsed"}
    directives = ("include", "literalinclude", "csv-table", "image", "figure", "raw")
    named = "".join(f"\n\n.. {d}:: {secret}\n   :file: {secret}\n" for d in directives)
    yield "reads.rst", f"{WORDS}{named}".encode(), {"parsed"}
    yield (
        "deep.rst",
        "".join(" " * n + f"- {WORDS}\n\n" for n in range(0, 800, 2)).encode(),
        {
            *("parsed", "corrupt"),
        },
    )
    yield "marks.rst", f"{WORDS} {'`*|_' * 3_000}".encode(), {"parsed"}
    org = f"{WORDS}\n#+INCLUDE: {secret}\n#+BEGIN_SRC sh :results output\ncat {secret}\n#+END_SRC\n"
    yield "runs.org", org.encode(), {"parsed"}
    yield "open.org", f"{WORDS}\n{'#+BEGIN_SRC' * 9}\n{'[[' * 50_000}".encode(), {"parsed"}
    yield "huge.heic", heic_claiming(60_000, 60_000), {"too_large"}
    yield "cut.heic", heic()[:800], {"corrupt"}
    yield "text.heic", WORDS.encode(), {"corrupt"}


def _mails() -> Iterator[Hostile]:
    head = "From: a@b.test\nSubject: x\nMIME-Version: 1.0\n"
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(300))
    yield "deep.eml", f"{head}{deep}\n{WORDS}".encode(), {"parsed", "corrupt", "too_large", "empty"}
    mixed = f"{head}Content-Type: multipart/mixed; boundary=b\n\n"
    parts = "--b\n\nx\n" * 3_000
    yield "parts.eml", f"{mixed}{parts}--b--".encode(), {"parsed"}
    inner = "--b\nContent-Type: message/rfc822\n\nFrom: a@b.test\n"
    inner += "Content-Type: multipart/mixed; boundary=b\n\n"
    yield "mails.eml", f"{mixed}{inner * 40}".encode(), {"parsed", "corrupt", "empty"}
    outer = f'Content-Type: message/external-body; access-type=URL; URL="{ELSEWHERE}"'
    yield "outer.eml", f"{mixed}--b\n\n{WORDS}\n--b\n{outer}\n\n--b--".encode(), {"parsed"}
    attached = 'Content-Disposition: attachment; filename="../../../tmp/up.txt"'
    yield "up.eml", f"{mixed}--b\n{attached}\n\n{WORDS}\n--b--".encode(), {"parsed", "empty"}
    bomb = base64.encodebytes(claiming(zipped(("a.txt", SPACES)), 70 << 20)).decode()
    packed = "Content-Type: application/zip\nContent-Transfer-Encoding: base64"
    packed += "\nContent-Disposition: attachment; filename=a.zip"
    yield (
        "bomb.eml",
        f"{mixed}--b\n\n{WORDS}\n--b\n{packed}\n\n{bomb}\n--b--".encode(),
        {
            *("parsed", "too_large"),
        },
    )
    image = f"{head}Content-Type: text/html\n\n<img src='{ELSEWHERE}'><p>{WORDS}</p>"
    yield "beacon.eml", image.encode(), {"parsed"}
    sealed = f"{head}Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nMIAG"
    yield "sealed.eml", sealed.encode(), {"parsed", "encrypted"}
    charset = f'{head}Content-Type: text/plain; charset="utf-8\\0../x"\n\n{WORDS}'
    yield "charset.eml", charset.encode(), {"parsed"}
    yield "begun.mbox", b"no mailbox\n" + WORDS.encode(), {"corrupt"}
    yield (
        "line.mbox",
        b"From a Thu Jan  1 10:00:00 2026\nFrom: a@b.test\n\n" + b"x" * 3_000_000,
        {"parsed"},
    )
    broken = bytearray(compound_file({"__properties_version1.0": bytes(64)}))
    broken[76:80] = struct.pack("<L", 0x7FFFFFFF)
    yield "broken.msg", bytes(broken), {"corrupt"}
    around = bytearray(compound_file({"__properties_version1.0": bytes(9000)}))
    around[512:1024] = struct.pack("<L", 0) * 128  # each sector leads to the first
    yield "around.msg", bytes(around), {"corrupt", "parsed", "empty"}


def _under_wrong_suffixes() -> Iterator[Hostile]:
    program = b"\x7fELF\2\1\1" + bytes(range(256)) * 40
    for kind in (".txt", ".pdf", ".docx", ".odt", ".png", ".csv", ".eml", ".zip", ".xml", ".md"):
        yield f"program{kind}", program, {"corrupt"}
    yield "text.pdf", WORDS.encode(), {"corrupt"}
    yield "text.docx", WORDS.encode(), {"corrupt"}
    yield "text.png", WORDS.encode(), {"corrupt"}
    yield "word.xlsx", _docx(), {"corrupt"}
    yield "word.odt", _docx(), {"corrupt"}
    yield "picture.docx", _png(9, 9), {"corrupt"}
    yield "page.json", b"<html><body>Words.</body></html>", {"corrupt"}
    yield "program.exe", program, {"unsupported"}
    yield "no suffix", WORDS.encode(), {"unsupported"}
