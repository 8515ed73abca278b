"""The helpdesk's office folder: it holds what its page promises, and is read as it should be."""

from __future__ import annotations

import io
import json
import mailbox
import re
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from PIL import Image
from pypdf import PdfReader

from stillhouse.config.project import Project, load_project
from stillhouse.corpus.document_confidentiality import find_confidentiality
from stillhouse.corpus.parse.rows import document_schema, read_file
from stillhouse.corpus.sources import source_schema
from stillhouse.offline import go_offline
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"
OFFICE = HELPDESK / "office"
# Reading PDFs and pictures is slow to import; tests of their readers do that.
SLOW = {".pdf", ".png"}

Row = dict[str, Any]


@pytest.fixture(scope="module")
def planted() -> dict[str, list[str]]:
    return json.loads((HELPDESK / "planted.json").read_text("utf-8"))["office"]


@pytest.fixture(scope="module")
def project() -> Project:
    return load_project(HELPDESK)


@pytest.fixture(scope="module")
def documents(project: Project, tmp_path_factory: pytest.TempPathFactory) -> list[Row]:
    """Those of its mails, archive, Word files and register, each with its level."""
    go_offline()
    folder = tmp_path_factory.mktemp("office")
    layout, files, parsed = Layout(folder), [], []
    for path in sorted(p for p in OFFICE.rglob("*") if p.is_file() and p.suffix not in SLOW):
        name = path.relative_to(HELPDESK).as_posix()
        files.append({"file_id": name, "source": "office", "path": name})
        job = {"input_id": name, "kind": "documents", "file": str(path), "ocr": {}, "passwords": []}
        job |= {**files[-1], "nlp_model": project.privacy.nlp_model, "part": str(folder / "part")}
        found = read_file(job)
        assert isinstance(found, list)
        parsed += found
    assert {row["status"] for row in parsed} == {"parsed"}
    listed = [{**file, "confidentiality": "internal"} for file in files]
    schemas = {"source_files": source_schema(), "parsed_documents": document_schema()}
    for table, rows in (("source_files", listed), ("parsed_documents", parsed)):
        write_table(layout.table(table), pa.Table.from_pylist(rows, schema=schemas[table]))
    find_confidentiality(project, layout)
    levels = read_table(layout.table("document_confidentiality")).to_pylist()
    level_of = {row["doc_id"]: row for row in levels}
    return [row | {"level": level_of[row["doc_id"]]} for row in parsed]


def test_it_is_a_folder_of_many_kinds(planted: dict[str, list[str]]) -> None:
    kinds = {path.suffix for path in OFFICE.rglob("*") if path.is_file()}
    assert kinds == {".mbox", ".zip", ".docx", ".pdf", ".png", ".csv"}
    mails = list(mailbox.mbox(OFFICE / "service-desk.mbox", create=False))
    assert len(mails) == 10
    assert sum(mail.is_multipart() for mail in mails) == 1
    with zipfile.ZipFile(OFFICE / "deliveries.zip") as archive:
        assert {Path(name).suffix for name in archive.namelist()} == {".csv", ".html", ".docx"}
    assert Image.open(OFFICE / "claim-letter.png").size == (874, 1240)
    assert len(planted["people"]) > 30
    assert len(planted["addresses"]) > 20
    assert sum(p.stat().st_size for p in OFFICE.rglob("*") if p.is_file()) < 300_000


def test_the_pdf_opens_with_the_password_that_the_project_file_points_to(project: Project) -> None:
    data = (OFFICE / "price-talks.pdf").read_bytes()
    assert not PdfReader(io.BytesIO(data)).decrypt("")
    (place,) = project.passwords
    assert place.file is not None
    reader = PdfReader(io.BytesIO(data))
    assert reader.decrypt((HELPDESK / place.file).read_text())
    assert "Freight rates" in reader.pages[0].extract_text()


def test_what_is_marked_or_lies_in_a_restricted_folder_is_held_back(
    documents: list[Row], planted: dict[str, list[str]]
) -> None:
    held = {
        f"{row['path']}: {row['title'].rpartition(': ')[2]}" if row["position"] else row["path"]
        for row in documents
        if row["level"]["level"] == "restricted"
    }
    assert held == set(planted["held_back"])
    reasons = {row["level"]["reason"] for row in documents}
    assert reasons == {"folder", "marking", "property", "rule", "source", "lowered"}


def test_addresses_stand_in_mails_tables_and_pages(
    documents: list[Row], planted: dict[str, list[str]]
) -> None:
    """Each that was put there is there to be masked, but for those of the PDF and the letter."""
    text = " ".join(re.sub(r"\s+", " ", row["text"]) for row in documents)
    found = [a for a in planted["addresses"] if re.sub(r"\s+", " ", a) in text]
    assert len(found) == len(planted["addresses"]) - 1
    copies = [row["text"] for row in documents if row["text"].startswith("contact | address")]
    assert len(copies) == 2  # in the zip, and attached to a mail
    assert len(set(copies)) == 1
