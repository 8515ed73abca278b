"""Personal data planted wherever it may hide, the whole graph run, every byte searched.

What stands in columns of answers, questions and passages is followed through the corpus alone, in
a project of its own. The teacher is a tiny random model: what is tested is where texts go, not what
is learned.
"""

from __future__ import annotations

import io
import json
import os
import re
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.forked import stillhouse

# Each secret stands in one kind of place; what is searched for is what gives it away.
NAMES = ["Leila Hartwick", "Oskar Brandmeyer", "Priya Natarajan", "JOHN WETHERBY"]
IBAN, PHONE = "DE89 3704 0044 0532 0130 00", "+49 30 901820 77"
MAIL, ID = "leila.hartwick@contoso.example", "EMP-77431-leila"
FILE_NAME = "oskar_brandmeyer_warning"
TRACES = [
    *("Hartwick", "Brandmeyer", "Natarajan", "WETHERBY", "oskar_brandmeyer", "leila.hartwick"),
    *("0532 0130", "0044 0532", "901820 77", "EMP-77431", "370400440532013000", "4930901820"),
]
# As a number of its own only: within a longer one, six digits in a row are in some probability or
# digest of every few hundred runs.
NUMBERS = re.compile(rb"(?<![\w.])(?:901820|90182077|44107751)(?!\w)")

# Marked as more confidential than what is trained on, and a copy that nobody marked.
PLAN = "The quorbled valve of the next printer is a plan that nobody outside the board has seen."
PLAN_TRACE = "quorbled"

# Where originals are meant to lie.
EXEMPT = ("vault", "keys", "tables/source_files", "tables/parsed_documents")
EXEMPT += ("tables/cleansed_documents",)

TOPICS = {
    "billing": ["invoice", "refund", "payment", "charge", "credit note", "reminder"],
    "hardware": ["screen", "keyboard", "printer", "battery", "laptop", "cable"],
}


def tickets() -> Iterator[str]:
    for label, words in TOPICS.items():
        for number in range(24):
            word, other = words[number % 6], words[(number * 5 + number // 6) % 6]
            text = f"Case {number * 7 % 50}: the {word} and also the {other} gave trouble, {label}."
            row = {"id": f"t-{label}-{number}", "body": text, "queue": label}
            yield json.dumps(row)
    yield json.dumps(
        {
            "id": ID,
            "body": f"Dear team,\n{NAMES[0]} here. Pay to {IBAN}, call {PHONE} or write to {MAIL}."
            "\nThe invoice is wrong.\n\nRegards,\nLeila Hartwick",
            "queue": "billing",
        }
    )
    yield json.dumps({"id": "plan", "body": PLAN, "queue": "hardware"})
    yield f'{{"id": "x", "body": "{NAMES[1]} {IBAN}", broken'
    yield json.dumps({"id": ID, "body": f"{NAMES[2]} again, the printer", "queue": "hardware"})
    yield json.dumps({"id": {"who": NAMES[0]}, "body": {"of": MAIL}, "queue": "billing"})
    yield json.dumps({"id": "when", "body": "late", "queue": "billing", "at": f"on {NAMES[1]} day"})


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Path:
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "tickets.jsonl").write_text("\n".join(tickets()) + "\n")
    for label in TOPICS:
        (folder / "docs" / label).mkdir(parents=True)
    (folder / "docs" / "billing" / f"{FILE_NAME}.md").write_text(
        f"# Warning for {NAMES[1]}\n\nMr {NAMES[1]} did not pay the invoice. His phone is {PHONE}."
    )
    (folder / "docs" / "hardware" / f"{NAMES[2]}.html").write_text(
        f"<title>{NAMES[3]}</title><h1>{NAMES[3]}</h1><p>The printer of {NAMES[2]} is broken, "
        f"tell {NAMES[3]}. Mail {MAIL}.</p>"
    )
    (folder / "docs" / "hardware" / "plan.md").write_text(f"Streng vertraulich\n\n{PLAN}")
    (folder / "docs" / "billing" / f"{NAMES[0]} {IBAN}.pdf").write_bytes(b"%PDF-1.4 " + b"x" * 99)
    (folder / "docs" / "billing" / f"{FILE_NAME}.xyz").write_text("of no known kind")
    table = pa.table({"id": ["p1"], "body": [f"{NAMES[0]} wants a refund"], "queue": ["billing"]})
    (folder / "more").mkdir()
    pq.write_table(table, folder / "more" / f"{FILE_NAME}.parquet")
    (folder / "stillhouse.yaml").write_text(
        f"""
name: leaks
sources:
  - {{name: docs, path: docs, kind: documents, label_from: folder}}
  - name: tickets
    path: tickets.jsonl
    kind: records
    fields: {{id: id, text: body, label: queue, created: at}}
  - {{name: more, path: more, kind: records, fields: {{id: id, text: body, label: queue}}}}
tasks: [{{name: routing, kind: classification, sources: [docs, tickets, more], min_examples: 2}}]
splits: {{validation: 0.2, test: 0.25}}
teachers:
  - version: tiny-1
    model: {tiny_base}
    license: MIT
    adapt: {{layers: 2, epochs: 12, patience: 12, rank: 8, learning_rate: 0.02, max_tokens: 96}}
edge_cases: {{per_kind: 1}}
students:
  - name: router
    tasks: [routing]
    init: {{layers: 1}}
    distillation: {{epochs: 1, max_tokens: 96}}
    quantization: {{calibration_texts: 8}}
leak_audit:
  {{canaries: {{1: 2}}, candidates: 50, texts: 10, generations: 10, tokens: 8, answers: 1}}
latency: {{concurrency: []}}
"""
    )
    # A random teacher is no better than chance; the graph up to there and by hand below it.
    return run(folder)


def run(folder: Path, *options: str) -> Path:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("DAGSTER_HOME", None)
    done = stillhouse("run", "--project", folder, *options, env=environment)
    (folder / "output.txt").write_text(done.stdout + done.stderr)
    return folder


ACCOUNT = 4410_7751
ANSWERED_TRACES = [*TRACES, "Leila", "Okonkwo", "4410-7751"]


def orders() -> Iterator[str]:
    """Answers whose values only their texts give away, only they do, or which are keys."""
    order = {"customer": NAMES[0], "account": ACCOUNT, "parts": [MAIL, {"customer": "Hartwick"}]}
    text = f"{NAMES[0]} here, customer no. 4410-7751, {MAIL}: where are my two pumps?"
    yield json.dumps({"body": text, "order": {**order, "quantity": 2, NAMES[1]: {NAMES[2]: 1}}})
    yield json.dumps({"body": text, "order": json.dumps({**order, IBAN: PHONE})})
    yield json.dumps({"body": "Three pumps for somebody.", "order": {"customer": NAMES[2]}})
    yield json.dumps({"body": "It rains.", "order": {"account": IBAN, "parts": [PHONE, MAIL]}})
    yield json.dumps({"body": "It rains a lot.", "order": f'{{"customer": "{NAMES[1]}", broken'})
    yield json.dumps({"body": "And snows.", "order": {NAMES[1]: "a key that nobody declared"}})


def questions() -> Iterator[str]:
    manual = f"Mr {NAMES[1]} and Chidi Okonkwo answer for the pump. Their account is IBAN {IBAN}."
    for question, answer in [
        (f"What does {NAMES[1]} answer for?", "the pump"),
        ("Who answers for it with Brandmeyer?", "Okonkwo"),
        ("Who else?", ["Chidi Okonkwo", "OSKAR BRANDMEYER"]),
        ("What is the account?", IBAN.replace(" ", "")),
        (f"Is {PHONE} the number?", ""),
        ({"of": NAMES[0]}, MAIL),
        (NAMES[0], {"of": MAIL}),
    ]:
        yield json.dumps({"title": "Pumps", "manual": manual, "ask": question, "reply": answer})


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("answered")
    (folder / "orders.jsonl").write_text("\n".join(orders()) + "\n")
    (folder / "faq.jsonl").write_text("\n".join(questions()) + "\n")
    (folder / "stillhouse.yaml").write_text(
        """
name: answered
sources:
  - {name: orders, path: orders.jsonl, kind: records, fields: {text: body}}
  - {name: faq, path: faq.jsonl, kind: records, fields: {text: title}}
tasks:
  - name: order
    kind: extraction
    sources: [orders]
    answers: order
    fields:
      customer: string
      account: integer
      quantity: {type: integer, optional: true}
      parts: {type: string, list: true, optional: true}
  - {name: help, kind: question_answering, sources: [faq], answers: reply, question: ask,
     passage: manual}
teachers: [{version: none-1, model: nowhere, license: MIT}]
students: [{name: clerk, tasks: [order, help]}]
"""
    )
    return run(folder, "--until", "unique_documents")


def readable(file: Path) -> Iterator[bytes]:
    """The file's bytes, and for compressed formats what they hold."""
    data = file.read_bytes()
    yield data
    if file.suffix == ".parquet":
        table = pq.read_table(io.BytesIO(data))
        yield json.dumps(table.to_pylist(), default=str, ensure_ascii=False).encode()
    for stream in re.findall(rb"x\x9c.{20,}", data, re.S)[:1]:
        try:
            yield zlib.decompress(stream)
        except zlib.error:
            continue


def traces(content: bytes, of: list[str]) -> list[str]:
    """Which of the traces a file's content holds, in whatever case, and which numbers."""
    lower = content.lower()
    held = [trace for trace in of if trace.casefold().encode() in lower]
    return held + [number.decode() for number in NUMBERS.findall(content)]


def searched(data: Path) -> Iterator[Path]:
    for file in data.rglob("*"):
        name = file.relative_to(data).as_posix()
        if file.is_file() and not name.startswith(EXEMPT):
            yield file


def test_the_run_came_to_its_end(project: Path) -> None:
    output = (project / "output.txt").read_text()
    assert (project / "var" / "tables" / "dataset_splits" / "data.parquet").exists(), output
    assert list((project / "var").rglob("report.html")), output


def test_no_byte_of_the_data_directory_gives_anyone_away(project: Path) -> None:
    data = project / "var"
    found = [
        (file.relative_to(data).as_posix(), trace)
        for file in searched(data)
        for content in readable(file)
        for trace in traces(content, TRACES)
    ]
    assert not found
    assert len(list(searched(data))) > 40


def test_what_is_too_confidential_ends_with_the_corpus(project: Path) -> None:
    data = project / "var"
    holding = {
        file.relative_to(data).as_posix()
        for file in data.rglob("*")
        if file.is_file()
        for content in readable(file)
        if PLAN_TRACE.encode() in content
    }
    kept_there = ("parsed", "cleansed", "masked")
    assert holding == {f"tables/{name}_documents/data.parquet" for name in kept_there}
    kept = pq.read_table(data / "tables" / "unique_documents" / "data.parquet")
    facts = json.loads((data / "tables" / "unique_documents" / "provenance.json").read_text())
    assert facts["facts"]["withheld"] == 1 and kept.num_rows > 40


def test_caches_and_vocabulary_are_of_pairs_that_may_be_learned_from(project: Path) -> None:
    """Hidden states are kept by the tokens of their prompt: those of the pairs, and no others."""
    from safetensors import safe_open

    from stillhouse.lm.hidden_cache import _key
    from stillhouse.lm.prompts import Encoder
    from stillhouse.models.loading import load_tokenizer
    from stillhouse.soft_labels.store import keys_below

    data = project / "var"
    pairs = pq.read_table(data / "tables" / "dataset_splits" / "data.parquet").to_pylist()
    known = {pair["pair_id"] for pair in pairs}
    encoder = Encoder(load_tokenizer(data / "teachers" / "tiny-1" / "adapted"), 96)
    of_pairs = {_key(example) for example in encoder.pairs(pairs)}
    plan = {_key(example) for example in encoder.pairs([{**pairs[0], "input": PLAN}])}
    cached = set()
    for shard in (data / "cache" / "trunk").rglob("*.safetensors"):
        with safe_open(shard, framework="np") as file:
            cached |= set(file.keys())
    assert len(cached) > 20 and cached <= of_pairs and not cached & plan
    labelled = set(keys_below(data / "teachers" / "tiny-1" / "soft_labels"))
    assert len(labelled) > 20 and labelled <= known
    checkpoint = data / "students" / "router" / "tiny-1" / "current" / "checkpoint"
    learned = pq.read_table(checkpoint / "learned_from.parquet").to_pylist()
    assert {row["pair_id"] for row in learned} <= known
    # The vocabulary: what tokens the pairs have is kept, and what they alone would need is not.
    vocabulary = load_tokenizer(checkpoint).get_vocab()
    whole = load_tokenizer(data / "teachers" / "tiny-1" / "adapted").get_vocab()
    assert len(vocabulary) < len(whole)


def test_answers_and_questions_give_no_one_away(answered: Path) -> None:
    output = (answered / "output.txt").read_text()
    data = answered / "var"
    found = [
        (file.relative_to(data).as_posix(), trace)
        for file in searched(data)
        for content in readable(file)
        for trace in traces(content, ANSWERED_TRACES)
    ]
    assert not found
    assert not traces(output.encode(), ANSWERED_TRACES)
    parsed = json.dumps(
        pq.read_table(data / "tables" / "parsed_documents" / "data.parquet").to_pylist(),
        default=str,
    )
    assert str(ACCOUNT) in parsed and "Okonkwo" in parsed
    assert "a key that nobody declared" not in parsed


def test_answers_are_pieces_of_their_masked_texts(answered: Path) -> None:
    rows = pq.read_table(answered / "var" / "tables" / "unique_documents" / "data.parquet")
    said = [(row["text"], json.loads(row["columns"] or "{}")) for row in rows.to_pylist()]
    text, order = next((t, c["order"]) for t, c in said if "quantity" in c.get("order", {}))
    mail, part = order["parts"][0], order["parts"][1]["customer"]
    whose = f"customer no. {order['account']}"
    assert text == f"{order['customer']} here, {whose}, {mail}: where are my two pumps?"
    assert order["customer"].endswith(part) and part.startswith("Person-")
    asked = {c["ask"]: c for _, c in said if "ask" in c}
    assert len(asked) == 5
    for question, grounded in [("What is the account?", False), ("Who else?", True)]:
        replies = asked[question]["reply"]
        reply = replies[0] if grounded else replies
        assert reply in asked[question]["manual"]
    assert len({row["family_id"] for row in rows.to_pylist() if row["source"] == "faq"}) == 1


def test_a_number_is_found_however_it_is_written_and_not_within_another() -> None:
    said = [PHONE, PHONE.replace(" ", ""), "030-901820-77", '{"phone": 90182077}', "(901820)"]
    said += [IBAN, IBAN.replace(" ", ""), IBAN.replace(" ", "").lower(), MAIL.upper()]
    assert all(traces(text.encode(), TRACES) for text in said)
    chance = [
        "0.090182045",
        "1.901820e-05",
        "17901820.5",
        "sha256:3f901820be",
        "0.0440053244107751",
    ]
    assert not any(traces(text.encode(), TRACES) for text in chance)


def test_neither_names_nor_values_reach_the_terminal(project: Path) -> None:
    output = (project / "output.txt").read_text()
    assert not traces(output.encode(), TRACES)


def test_the_originals_are_where_they_are_meant_to_be(project: Path) -> None:
    """Else the search above proves nothing."""
    raw = project / "var" / "tables"
    parsed = json.dumps(
        pq.read_table(raw / "parsed_documents" / "data.parquet").to_pylist(), default=str
    )
    assert "Hartwick" in parsed and "0532 0130" in parsed
    files = json.dumps(
        pq.read_table(raw / "source_files" / "data.parquet").to_pylist(), default=str
    )
    assert "oskar_brandmeyer" in files


def test_only_the_owner_may_read_it(project: Path) -> None:
    data = project / "var"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    open_to_others = [
        file.relative_to(data).as_posix()
        for file in data.rglob("*")
        if file.lstat().st_mode & 0o077
    ]
    assert not open_to_others


def test_bad_rows_are_accounted_for_without_their_values(project: Path) -> None:
    rows = pq.read_table(project / "var" / "tables" / "quarantine").to_pylist()
    categories = {row["category"] for row in rows}
    assert {"corrupt", "unsupported"} <= categories
    assert all(row["reason"] and row["remedy"] for row in rows)
    assert len(rows) >= 5
