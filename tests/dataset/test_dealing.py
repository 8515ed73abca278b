"""Dealing by time, by group and against texts that are held out; near-duplicates never straddle."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from stillhouse.config.base import ConfigError
from stillhouse.config.project import load_project
from stillhouse.dataset.dealing.checks import straddling
from stillhouse.dataset.pairs import pair_schema
from stillhouse.dataset.splits import split_pairs
from stillhouse.errors import UserError
from stillhouse.facts import DatasetSplitsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table
from tests.made import MINIMAL

# Without names, masking needs no model.
PRIVACY = {"entities": ["EMAIL_ADDRESS"], "recognizer": "none"}

Doc = dict[str, Any]


class Dealing:
    """Documents of one pair each, and where it goes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.layout = Layout(folder / "var")

    def deal(self, docs: Sequence[Doc], **splits: Any) -> DatasetSplitsFacts:
        values = yaml.safe_load(MINIMAL)
        values |= {"splits": {"validation": 0.2, "test": 0.3} | splits, "privacy": PRIVACY}
        (self.folder / "stillhouse.yaml").write_text(yaml.safe_dump(values))
        pairs = []
        clusters = []
        for n, doc in enumerate(docs):
            doc.setdefault("doc_id", f"d{n}")
            doc.setdefault("family", doc["doc_id"])
            names = {"doc_id": doc["doc_id"], "family_id": doc["family"], "content": doc["text"]}
            clusters.append(names)
            if doc.get("dropped"):
                continue
            answer = None if doc.get("unlabelled") else "billing"
            pairs.append(
                {
                    **dict.fromkeys(pair_schema().names),
                    "pair_id": f"pair {n}",
                    "task": "routing",
                    "doc_id": doc["doc_id"],
                    "group_id": doc["family"],
                    "input": doc["text"],
                    "response": answer,
                    "label": answer,
                    "created_at": doc.get("at"),
                }
            )
        table = pa.Table.from_pylist(pairs, schema=pair_schema())
        write_table(self.layout.table("instruction_pairs"), table)
        said = [
            {
                "doc_id": doc["doc_id"],
                "text": doc.get("whole", doc["text"]),
                "columns": json.dumps({"who/id": doc["who"]}) if "who" in doc else None,
            }
            for doc in docs
        ]
        schema = pa.schema([(name, pa.string()) for name in ("doc_id", "text", "columns")])
        masked = pa.Table.from_pylist(said, schema=schema)
        write_table(self.layout.table("masked_documents"), masked)
        write_table(self.layout.table("duplicate_clusters"), pa.Table.from_pylist(clusters))
        facts = split_pairs(load_project(self.folder), self.layout)
        assert not any(straddling(self.layout.table("dataset_splits")).values())
        return facts

    def splits(self) -> dict[str, str]:
        rows = read_table(self.layout.table("dataset_splits")).to_pylist()
        return {row["input"]: row["split"] for row in rows}


@pytest.fixture
def dealing(tmp_path: Path) -> Dealing:
    return Dealing(tmp_path)


def day(n: int) -> str:
    return f"2025-{1 + n // 28:02d}-{1 + n % 28:02d}T09:00:00+00:00"


def dated(count: int, start: int = 0) -> list[Doc]:
    return [{"text": f"text {n}", "at": day(n)} for n in range(start, start + count)]


def in_order(dealing: Dealing, count: int) -> str:
    """t, v or - of each text, by its number."""
    found = dealing.splits()
    letters = {"train": "-", "validation": "v", "test": "t"}
    return "".join(letters[found[f"text {n}"]] for n in range(count))


# --- by time ---


def test_the_newest_are_tested_on_and_those_before_them_validated(dealing: Dealing) -> None:
    facts = dealing.deal(dated(40)[::-1], by="time")
    assert in_order(dealing, 40) == "-" * 20 + "v" * 8 + "t" * 12
    assert (facts.train, facts.validation, facts.test, facts.without_time) == (20, 8, 12, 0)


def test_dates_cut_in_place_of_shares(dealing: Dealing) -> None:
    dates = {"test_from": day(35)[:10], "validation_from": day(25)[:10]}
    dealing.deal(dated(40), by="time", **dates)
    assert in_order(dealing, 40) == "-" * 25 + "v" * 10 + "t" * 5
    # Without the second, validation has its share (0.2 of 0.7) of what is left.
    dealing.deal(dated(42), by="time", test_from=day(35)[:10])
    assert in_order(dealing, 42) == "-" * 25 + "v" * 10 + "t" * 7


def test_a_family_is_as_new_as_its_newest_and_never_straddles(dealing: Dealing) -> None:
    docs = dated(40)
    docs[0]["family"] = docs[39]["family"] = "one"
    dealing.deal(docs, by="time")
    found = dealing.splits()
    assert found["text 0"] == found["text 39"] == "test"


def test_what_has_no_time_is_learned_from_and_told(
    dealing: Dealing, caplog: pytest.LogCaptureFixture
) -> None:
    undated = [{"text": f"undated {n}"} for n in range(10)] + [{"text": "odd", "at": "soon"}]
    facts = dealing.deal([*dated(40), *undated], by="time")
    assert facts.without_time == 11
    assert {dealing.splits()[doc["text"]] for doc in undated} == {"train"}
    assert facts.test == 12
    assert "11 families of documents have no time" in caplog.text
    with pytest.raises(UserError, match=r"splits\.by: time: no document .* has a time"):
        dealing.deal(undated, by="time")


def test_what_was_dealt_by_time_stays_where_it_is(dealing: Dealing) -> None:
    dealing.deal(dated(40), by="time")
    before = in_order(dealing, 40)
    facts = dealing.deal(dated(60), by="time")
    assert in_order(dealing, 60)[:40] == before
    assert in_order(dealing, 60)[42:] == "t" * 18
    assert facts.moved == 0
    # Another cut deals everything anew.
    dealing.deal(dated(60), by="time", test_from=day(50)[:10])
    assert in_order(dealing, 60).count("t") == 10


def test_no_older_text_fills_an_empty_test_split(dealing: Dealing) -> None:
    with pytest.raises(UserError, match="would have nothing in its test split"):
        dealing.deal(dated(40), by="time", test_from="2030-01-01")


def test_texts_without_an_answer_take_no_place_in_the_test_split(dealing: Dealing) -> None:
    new = [{"text": f"new {n}", "at": day(100), "unlabelled": True} for n in range(30)]
    facts = dealing.deal([*dated(40), *new], by="time")
    assert (facts.test, facts.unlabelled, facts.without_time) == (12, 30, 0)


# --- by group ---


def test_a_group_never_straddles_nor_does_what_two_groups_share(dealing: Dealing) -> None:
    docs = [{"text": f"text {n}", "who": f"customer {n % 30}"} for n in range(120)]
    # Two customers sent the same; a document names nobody.
    docs[3]["family"] = docs[34]["family"] = "same"
    # A third one's was left out as a duplicate of another's: it is learned from in its stead.
    docs.append({"text": "a copy", "who": "customer 5", "family": "d6", "dropped": True})
    docs.append({"text": "text 120"})
    facts = dealing.deal(docs, by="group", group="who/id")
    found = dealing.splits()
    of = {f"customer {c}": {found[f"text {n}"] for n in range(c, 120, 30)} for c in range(30)}
    assert all(len(splits) == 1 for splits in of.values())
    assert of["customer 3"] == of["customer 4"] and of["customer 5"] == of["customer 6"]
    assert set.union(*of.values()) == {"train", "validation", "test"}
    assert facts.without_group == 1
    rows = read_table(dealing.layout.table("dataset_splits")).to_pylist()
    assert len({row["group_id"] for row in rows}) == 29
    # A customer's next ticket goes where the others are.
    tested = next(name for name, splits in of.items() if splits == {"test"})
    more = [{"text": f"more {n}", "who": tested} for n in range(5)]
    facts = dealing.deal([*docs, *more], by="group", group="who/id")
    assert facts.moved == 0
    assert {dealing.splits()[doc["text"]] for doc in more} == {"test"}


def test_groups_stay_together_by_time_too(dealing: Dealing) -> None:
    docs = dated(40)
    for n, doc in enumerate(docs):
        doc["who"] = n % 20  # a number is a value too
    dealing.deal(docs, by="time", group="who/id")
    assert in_order(dealing, 20) == in_order(dealing, 40)[20:] == "-" * 10 + "v" * 4 + "t" * 6


def test_a_column_that_says_nothing_is_told(dealing: Dealing) -> None:
    with pytest.raises(UserError, match=r"splits\.group: no record .* in a column 'thread'"):
        dealing.deal(dated(40), by="group", group="thread")


# --- against texts that are held out ---


def sentence(n: int) -> str:
    return " ".join(f"w{(n * 31 + k * k) % 997}" for k in range(30))


def test_what_is_held_out_is_never_learned_from(dealing: Dealing) -> None:
    docs: list[Doc] = [{"text": f"{sentence(n)} ann@acme.example"} for n in range(60)]
    plain = dealing.deal(docs)
    before = dealing.splits()
    trained = [n for n in range(60) if before[docs[n]["text"]] == "train"]
    near, whole, linked = trained[:3]
    tested = next(n for n in range(60) if before[docs[n]["text"]] == "test")
    docs[whole]["whole"] = f"A long page. {sentence(500)} {sentence(501)}"
    docs[linked]["family"] = docs[whole]["family"]
    held = [
        f"Well: {sentence(near)} bob@other.example",  # another address, other words around it
        f"A long page, {sentence(500)} {sentence(501)}",  # the document, not the pair
        f"{sentence(tested)} cy@acme.example",
        sentence(900),
    ]
    halves = [text.split(" ", 4) for text in held]
    lines = [json.dumps({"ask": " ".join(h[:4]), "page": h[4]}) + "\n" for h in halves]
    (dealing.folder / "eval.jsonl").write_text("".join(lines))
    facts = dealing.deal(docs, held_out={"path": "eval.jsonl", "text": ["ask", "page"]})
    after = dealing.splits()
    assert before.keys() - after.keys() == {docs[n]["text"] for n in (near, whole, linked)}
    assert (facts.held_out_texts, facts.held_out_pairs) == (4, 3)
    assert after[docs[tested]["text"]] == "test"
    assert {t: before[t] for t in after} == after
    assert facts.train == plain.train - 3
    # What is kept of the file is masked.
    kept = list(dealing.layout.cache("held_out").glob("*.parquet"))
    assert len(kept) == 1
    assert "@" not in "".join(pq.read_table(kept[0])["text"].to_pylist())


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("eval.jsonl", None, "eval.jsonl: No such file"),
        ("eval.txt", "text", "eval.txt: is no file of records"),
        ("eval.jsonl", '{"body": "secret"}\n', "eval.jsonl: fields.text: the file has no column"),
        ("eval.jsonl", '{"text": "a"}\nsecret\n', "eval.jsonl:2: "),
        ("eval.jsonl", "", "eval.jsonl: the file holds no record"),
    ],
)
def test_a_file_that_cannot_be_read_stops_the_run(
    dealing: Dealing, name: str, content: str | None, said: str
) -> None:
    if content is not None:
        (dealing.folder / name).write_text(content)
    with pytest.raises(UserError) as caught:
        dealing.deal(dated(40), held_out=name)
    assert caught.value.message.startswith("splits.held_out:")
    assert said in caught.value.message
    assert "secret" not in str(caught.value)


# --- settings ---


@pytest.mark.parametrize(
    ("splits", "said"),
    [
        ({"by": "group"}, "splits.by: group needs `group`"),
        ({"test_from": "2025-01-01"}, "splits.test_from: a date cuts only"),
        (
            {"by": "time", "validation_from": "2025-01-01"},
            "splits.validation_from: give `test",
        ),
        (
            {"by": "time", "test_from": "2025-01-01", "validation_from": "2025-01-01"},
            "splits.validation_from: give a date before",
        ),
        ({"by": "time", "test_from": "soon"}, "splits.test_from: "),
        ({"by": "size"}, "splits.by: 'size' is not one of"),
    ],
)
def test_settings_that_do_not_fit_are_told(
    tmp_path: Path, splits: dict[str, Any], said: str
) -> None:
    values = yaml.safe_load(MINIMAL) | {"splits": splits}
    (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError) as caught:
        load_project(tmp_path)
    assert said in caught.value.message


def test_records_are_read_for_their_group(tmp_path: Path) -> None:
    values = yaml.safe_load(MINIMAL) | {"splits": {"group": "customer"}}
    (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    (column,) = load_project(tmp_path).reading("tickets")
    assert (column.name, column.role, column.keys) == ("customer", "group", ())
    values["sources"] = [{"name": "tickets", "path": "wiki", "kind": "documents"}]
    (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"splits\.group: no source is one of records"):
        load_project(tmp_path)
