"""What is forgotten, or gone from its source, is found in no byte of the data directory."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.project import Project, load_project
from stillhouse.corpus import parsed
from stillhouse.corpus.cleansed import cleanse_documents
from stillhouse.corpus.document_confidentiality import find_confidentiality
from stillhouse.corpus.masked import forget_originals, masked_schema
from stillhouse.corpus.parse import rows
from stillhouse.corpus.parsed import parse_sources
from stillhouse.corpus.pii.vault import Vault, VaultEntry, load_key, load_or_create_key
from stillhouse.corpus.pii_marking import write_texts_to_mark
from stillhouse.corpus.reidentification_risk import measure_risk
from stillhouse.corpus.sources import scan_sources
from stillhouse.corpus.unique import unique_documents
from stillhouse.dataset.lineage import LEARNED_FROM, write_lineage
from stillhouse.dataset.pairs import build_pairs
from stillhouse.dataset.review.sample import draw_review_sample
from stillhouse.dataset.splits import split_pairs
from stillhouse.erasure.forget import find, forget
from stillhouse.erasure.sweep import sweep
from stillhouse.errors import UserError
from stillhouse.evaluate.graded import PAGE as OUTPUTS_PAGE
from stillhouse.monitor.traffic import traffic_schema
from stillhouse.report.assemble import PAGE
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.soft_labels.store import ShardHeader, open_store
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import alive
from stillhouse.storage.provenance import Provenance, Recipe
from stillhouse.storage.snapshots import current_snapshot, prune_snapshots, write_snapshot
from stillhouse.storage.tables import keep_rows, read_table, row_count, write_table

PROJECT = """\
name: small
sources:
  - {name: tickets, path: tickets, kind: records, fields: {id: id, text: body, label: queue}}
tasks:
  - {name: routing, kind: classification, sources: [tickets], min_examples: 2}
splits: {validation: 0.2, test: 0.2}
teachers:
  - {version: old-1, model: nowhere, license: MIT}
  - {version: new-1, model: nowhere, license: MIT}
students:
  - {name: router, tasks: [routing]}
"""
NAME, PSEUDONYM = "Zoltan Marksmith", "Person-kuvora"
# What only the forgotten ticket says: in it, in the columns of its table, masked and normalised.
MARKS = ["quetzal feathers", "Quetzal", "TCK-forgotten", NAME, "Marksmith"]
MARKED = {
    "id": "TCK-forgotten",
    "body": f"{NAME} lost a box of quetzal feathers and wants a refund.",
    "queue": "billing",
}
HEADER = ShardHeader("t", "k", LabelEncoding("label_distribution", 2, label_ids=(5, 6)))


def tickets() -> list[dict[str, str]]:
    said = [
        {"id": f"TCK-{n}", "body": f"Ticket {n} about " + f"thing {n * n} " * 9, "queue": queue}
        for n, queue in enumerate(["billing", "hardware"] * 15)
    ]
    return [*said[:7], MARKED, *said[7:]]


class Corpus:
    """A project whose every place holds something of its documents; models alone are missing."""

    def __init__(self, root: Path) -> None:
        self.root, self.layout = root, Layout(root / "var")
        self.log = root / "tickets" / "log.jsonl"

    @property
    def project(self) -> Project:
        return load_project(self.root / "stillhouse.yaml")

    def write(self, records: list[dict[str, str]]) -> None:
        self.log.parent.mkdir(exist_ok=True)
        self.log.write_text("".join(json.dumps(record) + "\n" for record in records))

    def read(self) -> None:
        scan_sources(self.project, self.layout)
        parse_sources(self.project, self.layout)
        cleanse_documents(self.project.cleansing, self.layout)

    def ingest(self) -> None:
        """As the graph does it, with another recognizer: what it masks is known beforehand."""
        project, layout = self.project, self.layout
        self.read()
        find_confidentiality(project, layout)
        self.mask()
        unique_documents(project.dedup, layout, project.privacy.train_up_to)
        measure_risk(project.privacy, layout)
        build_pairs(project, layout)
        draw_review_sample(project, layout)
        found = split_pairs(project, layout)
        write_snapshot(layout, asdict(found), lambda path: write_lineage(layout, path))
        Provenance.now(Recipe({}, {}, {}), found).write(layout.table("dataset_splits").parent)
        prune_snapshots(layout, lambda _: True)
        sweep(layout)

    def mask(self) -> None:
        vault = Vault(self.layout.vault, load_or_create_key(self.layout.key("vault")))
        made = []
        for row in read_table(self.layout.table("cleansed_documents")).to_pylist():
            entity = {"part": "text", "kind": "PERSON", "start": 0, "end": len(NAME)}
            named = [{**entity, "pseudonym": PSEUDONYM}] if NAME in row["text"] else []
            text = row["text"].replace(NAME, PSEUDONYM)
            ids = {n: row[n] for n in ("doc_id", "content_id")}
            made.append({**ids, "text": text, "version": "1", "entities": named})
            vault.add(VaultEntry(PSEUDONYM, "PERSON", NAME) for _ in named)
        table = pa.Table.from_pylist(made, schema=masked_schema())
        write_table(self.layout.table("masked_documents"), table)
        forget_originals(self.layout)

    def keep(self) -> None:
        """What two teachers and their students leave of every pair."""
        pairs = read_table(self.layout.table("dataset_splits")).to_pylist()
        for version in ("old-1", "new-1"):
            answers = [{n: row[n] for n in ("pair_id", "doc_id", "input")} for row in pairs]
            folder = self.layout.teacher_answers(version)
            for file in (folder / "answers.parquet", folder / "asked" / "routing.parquet"):
                write_table(file, pa.Table.from_pylist(answers))
            store = open_store(self.layout.soft_labels(version), HEADER)
            store.write({row["pair_id"]: labels() for row in pairs})
            given = [{"pair_id": row["pair_id"], "prediction": row["input"]} for row in pairs]
            predicted = pa.Table.from_pylist(given)
            write_table(self.layout.teacher_predictions(version) / "teacher.parquet", predicted)
            of_student = self.layout.student_predictions("router", version)
            write_table(of_student / "student.parquet", predicted)
            current = self.layout.student("router", version)
            ids = [{n: row[n] for n in ("pair_id", "doc_id")} for row in pairs]
            learned = ids if version == "new-1" else ids[:0]
            schema = pa.schema([("pair_id", pa.string()), ("doc_id", pa.string())])
            table = pa.Table.from_pylist(learned, schema=schema)
            write_table(current / "checkpoint" / LEARNED_FROM, table)
            for page in (PAGE, OUTPUTS_PAGE):
                (current / page).write_text("\n".join(row["input"] for row in pairs))
        write_texts_to_mark(self.layout, 100)
        for left in (self.layout.staging("parse"), self.layout.cache("trunk") / "states"):
            left.mkdir(parents=True, exist_ok=True)
            (left / "left.bin").write_text(MARKED["body"])

    def ask(self) -> None:
        """Requests of production, of which two say what is to be forgotten."""
        said = [
            (MARKED["body"].replace(NAME, PSEUDONYM), [PSEUDONYM]),
            ("My quetzal feathers?", [PSEUDONYM]),
            ("A parcel is late.", []),
        ]
        made = [
            {"request": f"r{n}", "task": "routing", "input": text, "pseudonyms": names}
            for n, (text, names) in enumerate(said)
        ]
        table = pa.Table.from_pylist(made, schema=traffic_schema())
        write_table(self.layout.table("production_traffic"), table)
        report = self.layout.drift_report("router", "new-1") / "words.parquet"
        write_table(report, pa.table({"word": ["quetzal feathers"]}))

    def holding(self, *exempt: str) -> set[str]:
        """Files of the data directory in which one of `MARKS` stands, however it is packed."""
        found = set()
        for file in sorted(f for f in self.layout.root.rglob("*") if f.is_file()):
            name = file.relative_to(self.layout.root).as_posix()
            said = [mark for mark in MARKS for text in self.said(file) if mark in text]
            if said and not name.startswith(exempt):
                found.add(name)
        return found

    def said(self, file: Path) -> Iterator[str]:
        data = file.read_bytes()
        yield data.decode("latin-1")
        if file.suffix == ".parquet":
            yield json.dumps(pq.read_table(io.BytesIO(data)).to_pylist(), default=str)
        if file.suffix == ".vault":
            vault = Vault(file.parent, load_key(self.layout.key("vault")))
            yield str([entry.value for entry in vault])

    def forgotten(self) -> dict[str, Any]:
        """The row of the ticket that was to be forgotten."""
        (row,) = (
            r
            for r in read_table(self.layout.table("parsed_documents")).to_pylist()
            if r["record_id"] == MARKED["id"]
        )
        return row


def labels() -> LabelRecords:
    return LabelRecords(HEADER.encoding, {"log_probs": np.zeros((1, 2), np.float32)})


def read_here(jobs: Any, _: str, **__: Any) -> Any:
    for job in jobs:
        yield job, rows.read_file(job)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("made")
    (root / "stillhouse.yaml").write_text(PROJECT)
    corpus = Corpus(root)
    corpus.write(tickets())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parsed, "read_files", read_here)
        corpus.ingest()
    corpus.keep()
    return root


@pytest.fixture
def corpus(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setattr(parsed, "read_files", read_here)
    shutil.copytree(made, tmp_path / "p")
    return Corpus(tmp_path / "p")


def everything(corpus: Corpus, asked: str, *, person: bool = False) -> list[str]:
    return list(forget(corpus.layout, find(corpus.layout, asked, person=person), asked))


def test_it_stood_in_all_these_places(corpus: Corpus) -> None:
    """Else that it is gone proves nothing."""
    found = corpus.holding()
    assert {name.split("/")[0] for name in found} == {
        *("tables", "snapshots", "teachers", "students", "vault", "review", "staging", "cache"),
    }
    assert len({name for name in found if name.startswith("tables/")}) >= 5


def test_what_is_forgotten_stands_nowhere_and_does_not_come_back(corpus: Corpus) -> None:
    row = corpus.forgotten()
    everything(corpus, PSEUDONYM, person=True)
    assert corpus.holding() == set()
    kept = b"".join(f.read_bytes() for f in corpus.layout.forgotten.parent.iterdir())
    log = corpus.layout.erasures.read_text()
    for said in (row["doc_id"], row["record_id"], PSEUDONYM, row["file_id"]):
        assert said not in log and said.encode() not in kept
    assert json.loads(log)["documents"] == 1
    (told,) = read_table(corpus.layout.quarantine("parsed_documents")).to_pylist()
    assert (told["category"], told["line"]) == ("forgotten", 8)

    # Its file holds it still: as it is, grown, renamed, and in another one of the source.
    more = {"id": "more", "body": "Something else.", "queue": "billing"}
    corpus.write([*tickets(), more])
    corpus.read()
    assert corpus.holding() == set()
    corpus.log.rename(corpus.log.with_name("renamed.jsonl"))
    corpus.write([MARKED])
    corpus.read()
    corpus.mask()
    assert corpus.holding() == set()
    assert row_count(corpus.layout.table("masked_documents")) == len(tickets())


def test_requests_that_name_it_or_repeat_it_are_forgotten_too(corpus: Corpus) -> None:
    corpus.ask()
    layout, row = corpus.layout, corpus.forgotten()
    assert {
        "tables/production_traffic/data.parquet",
        "students/router/new-1/drift/words.parquet",
    } <= (corpus.holding())
    # The ticket itself may have been asked; who is named in it is asked for by name.
    assert find(layout, row["doc_id"]).requests == {"r0"}
    everything(corpus, PSEUDONYM, person=True)
    assert corpus.holding() == set()
    (kept,) = read_table(layout.table("production_traffic")).to_pylist()
    assert kept["input"] == "A parcel is late."
    assert read_table(layout.forgotten_requests).column("request").to_pylist() == ["r0", "r1"]
    assert json.loads(layout.erasures.read_text())["requests"] == 2


def test_the_students_that_learned_from_it_are_named(corpus: Corpus) -> None:
    runner = CliRunner()
    row = corpus.forgotten()
    project = ["-p", str(corpus.root)]
    tried = runner.invoke(app, ["forget", "--person", PSEUDONYM, "--dry-run", *project])
    assert tried.exit_code == 0, tried.output
    assert "1 document would be forgotten" in tried.output
    assert "tickets/log.jsonl, line 8" in tried.output and "router [new-1]: 1 pairs" in tried.output
    assert "old-1" not in tried.output
    assert corpus.holding() and not corpus.layout.erasures.exists()
    done = runner.invoke(app, ["forget", row["doc_id"], *project])
    assert done.exit_code == 0, done.output
    assert "router [new-1]: 1 pairs" in done.output
    assert json.loads(corpus.layout.erasures.read_text())["learned"] == ["router [new-1]"]
    assert not corpus.holding()
    # Its id is what the student keeps: asked for again, it says the same of who learned from it.
    again = runner.invoke(app, ["forget", row["doc_id"], "--dry-run", *project])
    assert "0 documents would be forgotten" in again.output
    assert "router [new-1]: 1 pairs" in again.output
    unknown = runner.invoke(app, ["forget", "nobody", *project])
    assert isinstance(unknown.exception, UserError)


def test_releases_that_learned_from_it_are_named_with_their_channel(corpus: Corpus) -> None:
    """Also one whose student was distilled again since."""
    layout, row = corpus.layout, corpus.forgotten()
    learned = layout.student("router", "new-1") / "checkpoint" / LEARNED_FROM
    layout.release("router", "new-1-abc").mkdir(parents=True)
    shutil.move(learned, layout.release_learned_from("router", "new-1-abc"))
    link = layout.channel("router", "production")
    link.parent.mkdir(parents=True)
    link.symlink_to("../../releases/router/new-1-abc")
    done = CliRunner().invoke(app, ["forget", row["doc_id"], "-p", str(corpus.root)])
    assert done.exit_code == 0, done.output
    assert "router, release new-1-abc (production): 1 pairs" in done.output
    assert "stillhouse releases remove" in done.output
    (said,) = json.loads(layout.erasures.read_text())["learned"]
    assert said == "router, release new-1-abc (production)"


@pytest.mark.parametrize("steps", [2, 3])
def test_what_was_interrupted_is_taken_up(corpus: Corpus, steps: int) -> None:
    asked = corpus.forgotten()["doc_id"]
    going = forget(corpus.layout, find(corpus.layout, asked), asked)
    for _ in range(steps):
        next(going)
    going.close()
    assert corpus.holding()
    if steps % 2:
        everything(corpus, asked)
        assert corpus.holding() == set()
    else:  # the next run takes it out of what its first tables are made of
        corpus.read()
        corpus.mask()
        assert not [name for name in corpus.holding() if "parsed" in name or "masked" in name]
        assert "vault" not in {name.split("/")[0] for name in corpus.holding()}


def test_the_whole_file_may_be_forgotten(corpus: Corpus) -> None:
    everything(corpus, "tickets/log.jsonl")
    assert corpus.holding() == set()
    with pytest.raises(UserError, match="every source file went to quarantine"):
        corpus.read()


def test_nothing_is_touched_while_a_run_is_under_way(corpus: Corpus) -> None:
    before = corpus.holding()
    with alive(corpus.layout.run("r")), pytest.raises(UserError, match="under way"):
        everything(corpus, PSEUDONYM, person=True)
    assert corpus.holding() == before and not corpus.layout.erasures.exists()


def test_without_its_key_the_list_stops_the_run(corpus: Corpus) -> None:
    everything(corpus, PSEUDONYM, person=True)
    corpus.layout.key("forgotten").unlink()
    corpus.write([*tickets(), {"id": "more", "body": "Something else.", "queue": "billing"}])
    with pytest.raises(UserError, match="there is no such key"):
        corpus.read()


def test_what_left_its_source_is_gone_everywhere_after_the_next_run(corpus: Corpus) -> None:
    """Also what a teacher version keeps that nobody runs any more."""
    corpus.write([ticket for ticket in tickets() if ticket != MARKED])
    corpus.ingest()
    assert corpus.holding("cache/trunk") == set()
    kept = open_store(corpus.layout.soft_labels("old-1"), HEADER)
    assert len(kept) == len(tickets()) - 1


def test_labels_that_cannot_be_read_stop_no_run_but_what_is_to_be_forgotten(
    corpus: Corpus,
) -> None:
    broken = corpus.layout.soft_labels("old-1") / "0000" / "0.labels.safetensors"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no shard")
    assert sweep(corpus.layout) == 0
    with pytest.raises(UserError, match="not a readable shard"):
        everything(corpus, PSEUDONYM, person=True)
    broken.unlink()
    everything(corpus, "tickets: tickets/log.jsonl")
    assert corpus.holding() == set()


def test_what_an_unfinished_run_works_on_stays_until_it_ends(corpus: Corpus) -> None:
    pinned = current_snapshot(corpus.layout, "other-run")
    corpus.write([ticket for ticket in tickets() if ticket != MARKED])
    corpus.read()
    pairs = corpus.layout.table("dataset_splits")
    keep_rows(pairs, f"input NOT LIKE '%{MARKS[0]}%'")
    assert sweep(corpus.layout) == 0
    assert pinned is not None
    pinned.path.unlink()
    assert sweep(corpus.layout) > 0
    assert len(open_store(corpus.layout.soft_labels("new-1"), HEADER)) == len(tickets()) - 1
