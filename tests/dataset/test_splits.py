from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillhouse.config.corpus import Dedup
from stillhouse.config.project import Project, load_project
from stillhouse.corpus.unique import unique_documents
from stillhouse.dataset.dealing.checks import straddling, unlearnable
from stillhouse.dataset.pairs import pair_schema
from stillhouse.dataset.splits import split_pairs
from stillhouse.errors import UserError
from stillhouse.facts import DatasetSplitsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table
from tests.made import MINIMAL

PROJECT = f"{MINIMAL}splits: {{validation: 0.2, test: 0.3, seed: 7}}\n"


class Doc(NamedTuple):
    """A document: what it says, its family, its passages (itself when there are none)."""

    text: str
    family: str
    passages: Sequence[str] = ()
    label: str | None = "billing"
    kept: bool = True
    task: str = "routing"


class Workshop:
    """Runs the step on documents; file names, and so doc_ids, differ from run to run."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder / "var")
        self.dataset = self.layout.table("dataset_splits")
        self.file = folder / "stillhouse.yaml"
        self.file.write_text(PROJECT)
        self.runs = 0

    @property
    def project(self) -> Project:
        return load_project(self.file)

    def split(self, docs: Sequence[Doc]) -> DatasetSplitsFacts:
        self.runs += 1
        pairs, clusters = [], []
        for number, doc in enumerate(docs):
            doc_id, family = f"{self.runs}-{number}", f"{self.runs}-{doc.family}"
            clusters.append({"doc_id": doc_id, "family_id": family, "text": doc.text})
            for place, text in enumerate((doc.passages or [doc.text]) if doc.kept else []):
                pairs.append(
                    {
                        **dict.fromkeys(pair_schema().names),
                        "pair_id": f"{doc.task}/{doc.text}/{place}/{text}/{doc.label or ''}",
                        "task": doc.task,
                        "doc_id": doc_id,
                        "group_id": family,
                        "input": text,
                        "response": doc.label,
                        "label": doc.label,
                    }
                )
        keys = pa.Table.from_pylist(clusters).rename_columns({"text": "content"})
        write_table(self.layout.table("duplicate_clusters"), keys)
        table = pa.Table.from_pylist(pairs, schema=pair_schema())
        write_table(self.layout.table("instruction_pairs"), table)
        return split_pairs(self.project, self.layout)

    def splits(self) -> dict[str, str]:
        """The split of each text."""
        rows = read_table(self.dataset).to_pylist()
        return {row["input"]: row["split"] for row in rows}


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def singles(count: int, start: int = 0) -> list[Doc]:
    return [Doc(f"text {i}", f"f{i}") for i in range(start, start + count)]


def in_split(workshop: Workshop, split: str) -> list[str]:
    return [text for text, where in workshop.splits().items() if where == split]


def test_shares_are_about_as_asked(workshop: Workshop) -> None:
    facts = workshop.split(singles(5000))
    assert abs(facts.test / 5000 - 0.3) < 0.02
    assert abs(facts.validation / 5000 - 0.2) < 0.02
    assert facts.train + facts.validation + facts.test == 5000
    assert Counter(workshop.splits().values()) == {
        "train": facts.train,
        "validation": facts.validation,
        "test": facts.test,
    }


def test_names_and_order_of_files_decide_nothing(workshop: Workshop) -> None:
    docs = singles(60)
    first, before = workshop.split(docs), workshop.splits()
    workshop.layout.split_memory.unlink()
    again = workshop.split(docs[::-1])
    assert workshop.splits() == before
    assert again == first


def test_a_newer_near_duplicate_moves_nothing(workshop: Workshop) -> None:
    """It is preferred to the old documents, which give no pair any more."""
    workshop.split(singles(100))
    before = workshop.splits()
    newer = [Doc(f"a newer text {i}", f"f{i}") for i in range(100)]
    facts = workshop.split([*(doc._replace(kept=False) for doc in singles(100)), *newer])
    assert facts.moved == 0
    after = workshop.splits()
    assert [after[f"a newer text {i}"] for i in range(100)] == [
        before[f"text {i}"] for i in range(100)
    ]


def test_from_documents_to_splits(workshop: Workshop) -> None:
    """Every document gets a newer, edited copy, which is kept in its stead; files are renamed, and
    who is named in them has other pseudonyms."""
    texts = [
        f"Ticket of Person-kuvora: {' '.join(f'w{(17 * i + j * j) % 997}' for j in range(30))}"
        for i in range(40)
    ]
    _split_documents(workshop, [(text, "2025-01-01") for text in texts])
    before = {text: split for text, split in workshop.splits().items() if text in texts}
    assert len(before) == 40
    renamed = [text.replace("kuvora", "bimelo") for text in texts]
    newer = [f"{text} again" for text in renamed]
    documents = [(text, "2026-01-01") for text in newer] + [
        (text, "2025-01-01") for text in renamed
    ]
    facts = _split_documents(workshop, documents)
    after = workshop.splits()
    assert facts.moved == 0
    assert [after[text] for text in newer] == [before[text] for text in texts]


def _split_documents(
    workshop: Workshop, documents: Sequence[tuple[str, str]]
) -> DatasetSplitsFacts:
    """Unique documents of these texts and dates, a pair each, and their splits."""
    workshop.runs += 1
    layout, count = workshop.layout, len(documents)
    ids = [f"{workshop.runs}-{number}" for number in range(count)]
    masked = {"doc_id": ids, "text": [text for text, _ in documents], "title": [""] * count}
    parsed = {
        "doc_id": ids,
        "file_id": ["f"] * count,
        "position": list(range(count)),
        **{name: [name] * count for name in ("source", "kind", "label")},
        "created_at": [date for _, date in documents],
    }
    masked["columns"] = pa.nulls(len(documents), pa.string())
    parsed |= dict.fromkeys(("asks", "reads"), pa.nulls(len(documents), pa.list_(pa.string())))
    file = {"file_id": ["f"], "label": [""], "confidentiality": ["internal"], "position": [0]}
    levels = {"doc_id": ids, "level": ["internal"] * count}
    write_table(layout.table("document_confidentiality"), pa.table(levels))
    tables = {"masked_documents": masked, "parsed_documents": parsed, "source_files": file}
    tables["cleansed_documents"] = {"doc_id": ids, "language": ["en"] * count}
    for name, columns in tables.items():
        write_table(layout.table(name), pa.table(columns))
    unique_documents(Dedup(), layout)
    unique = read_table(layout.table("unique_documents")).to_pylist()
    pairs = [
        {
            **dict.fromkeys(pair_schema().names),
            **{name: row[name] for name in ("doc_id", "label")},
            "pair_id": row["doc_id"],
            "task": "routing",
            "group_id": row["family_id"],
            "input": row["text"],
            "response": row["label"],
        }
        for row in unique
    ]
    write_table(
        layout.table("instruction_pairs"), pa.Table.from_pylist(pairs, schema=pair_schema())
    )
    return split_pairs(workshop.project, layout)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=60))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_was_trained_on_is_never_tested_on(
    tmp_path_factory: pytest.TempPathFactory, joins: list[int]
) -> None:
    """New documents that join old families at random: none goes from train to elsewhere, and
    families that stay apart stay where they were."""
    workshop = Workshop(tmp_path_factory.mktemp("w"))
    workshop.split(singles(60))
    before = workshop.splits()
    root = {i: i for i in range(60)}
    for new, old in enumerate(joins):  # each new document links two old families
        a, b = root[old % 60], root[new % 60]
        root = {i: a if r == b else r for i, r in root.items()}
    docs = [Doc(f"text {i}", f"f{root[i]}") for i in range(60)]
    facts = workshop.split([*docs, *singles(40, start=100)])
    after = workshop.splits()
    sizes = Counter(root.values())
    sides: dict[int, set[str]] = {
        r: {before[f"text {i}"] for i in root if root[i] == r} for r in sizes
    }
    for i in root:
        assert before[f"text {i}"] != "train" or after[f"text {i}"] == "train"
        if len(sides[root[i]]) == 1:
            assert after[f"text {i}"] == before[f"text {i}"]
    assert facts.moved == sum(len(found) > 1 for found in sides.values())
    assert straddling(workshop.dataset) == {"families": 0, "texts": 0}


def test_a_family_that_grew_together_is_moved_once(workshop: Workshop) -> None:
    workshop.split(singles(40))
    pick = {split: in_split(workshop, split) for split in ("train", "validation", "test")}
    joined = {pick["train"][0]: "x", pick["test"][0]: "x"} | {
        pick["validation"][0]: "y",
        pick["test"][1]: "y",
    }
    docs = [doc._replace(family=joined.get(doc.text, doc.family)) for doc in singles(40)]
    first = workshop.split(docs)
    found = workshop.splits()
    assert first.moved == 2
    assert found[pick["test"][0]] == "train"
    assert found[pick["test"][1]] == "validation"
    again = workshop.split(docs)
    assert again.moved == 0
    assert again.digest == first.digest
    # Apart again, neither goes back to where it would be tested on.
    workshop.split(singles(40))
    assert workshop.splits() == found


def test_an_edited_document_keeps_its_side(workshop: Workshop) -> None:
    """Its old form is gone, but most of its passages were trained on."""
    docs = [Doc(f"doc {i}", f"f{i}", [f"passage {i} {j}" for j in range(4)]) for i in range(40)]
    workshop.split(docs)
    before = workshop.splits()
    edited = [
        Doc(f"doc {i}, edited", f"f{i}", [*doc.passages[:3], f"new {i}"])
        for i, doc in enumerate(docs)
    ]
    workshop.split(edited)
    after = workshop.splits()
    assert all(after[f"new {i}"] == before[f"passage {i} 0"] for i in range(40))


def test_another_seed_or_share_deals_anew(workshop: Workshop) -> None:
    workshop.split(singles(60))
    before = workshop.splits()
    workshop.file.write_text(PROJECT.replace("seed: 7", "seed: 8"))
    facts = workshop.split(singles(60))
    assert facts.moved == 0
    assert workshop.splits() != before
    workshop.file.write_text(PROJECT)
    workshop.split(singles(60))
    assert workshop.splits() == before


def test_digests_by_split(workshop: Workshop) -> None:
    first = workshop.split(singles(60))
    before = set(in_split(workshop, "test"))
    new = next(doc for doc in singles(100, start=60) if _lands_in(workshop, doc, "test"))
    second = workshop.split([*singles(60), new])
    assert set(in_split(workshop, "test")) == {*before, new.text}
    assert second.digests["train"] == first.digests["train"]
    assert second.digests["test"] != first.digests["test"]
    assert second.digest != first.digest


def _lands_in(workshop: Workshop, doc: Doc, split: str) -> bool:
    workshop.split([*singles(60), doc])
    return workshop.splits()[doc.text] == split


# --- texts in several families ---


def test_a_shared_passage_ties_nothing_together(workshop: Workshop) -> None:
    docs = [
        Doc(f"doc {i}", f"f{i}", ["The same  notice.", f"own {i}"], label=f"class {i % 2}")
        for i in range(60)
    ]
    facts = workshop.split(docs)
    rows = read_table(workshop.dataset).to_pylist()
    notices = Counter(row["split"] for row in rows if "notice" in row["input"])
    own = Counter(row["split"] for row in rows if "own" in row["input"])
    assert set(notices) == {"train"}
    assert notices["train"] == own["train"]
    assert min(own["validation"], own["test"]) >= 5
    assert facts.test == own["test"]
    assert straddling(workshop.dataset) == {"families": 0, "texts": 0}
    assert workshop.split(docs).digest == facts.digest


def test_a_text_that_was_trained_on_does_not_become_a_test(workshop: Workshop) -> None:
    docs = [Doc(f"doc {i}", f"f{i}", [f"p {i}", f"q {i}"]) for i in range(40)]
    workshop.split(docs)
    tested = next(doc for doc in docs if workshop.splits()[doc.passages[0]] == "test")
    trained = next(doc for doc in docs if workshop.splits()[doc.passages[0]] == "train")
    grown = tested._replace(passages=[*tested.passages, trained.passages[0]])
    without = [doc for doc in docs if doc not in (tested, trained)]
    for others in ([*without, trained], without):  # with the trained document, and once it is gone
        workshop.split([*others, grown])
        after = workshop.splits()
        assert after[tested.passages[0]] == "test"
        assert after.get(trained.passages[0]) != "test"


# --- few pairs ---


@pytest.mark.parametrize("count", [5, 8, 11])
def test_a_small_task_has_three_splits_and_can_learn_its_answers(
    workshop: Workshop, count: int
) -> None:
    docs = [doc._replace(label=f"class {i % 2}") for i, doc in enumerate(singles(count))]
    facts = workshop.split(docs)
    assert min(facts.train, facts.validation, facts.test) >= 1
    assert facts.unlearnable == []
    before = workshop.splits()
    workshop.split([*docs, *singles(30, start=50)])
    after = workshop.splits()
    assert {text: after[text] for text in before} == before


def test_the_last_training_pair_of_an_answer_is_not_moved(workshop: Workshop) -> None:
    """Six documents that the hash sends to train; two must go to the other splits."""
    workshop.split(singles(60))
    docs = [doc for doc in singles(60) if workshop.splits()[doc.text] == "train"][:6]
    workshop.layout.split_memory.unlink()
    workshop.split(docs)
    moved = {text for text, split in workshop.splits().items() if split != "train"}
    assert len(moved) == 2
    workshop.layout.split_memory.unlink()
    facts = workshop.split([d._replace(label=d.text) if d.text in moved else d for d in docs])
    assert facts.unlearnable == []
    assert {workshop.splits()[text] for text in moved} == {"train"}
    assert (facts.train, facts.validation, facts.test) == (4, 1, 1)


def test_an_empty_split_is_told_with_a_remedy(workshop: Workshop) -> None:
    docs = [Doc(f"secret {i}", "one family") for i in range(20)] + [Doc("secret too", "another")]
    with pytest.raises(UserError) as caught:
        workshop.split(docs)
    said = str(caught.value)
    assert f"{workshop.file}: tasks[0]: task routing would have nothing in its" in said
    assert "21 pairs, from 2 documents" in said
    assert "Remedy" in said
    assert "secret" not in said
    assert not workshop.dataset.exists()
    assert not workshop.layout.split_memory.exists()


def test_remembered_documents_do_not_fill_an_empty_split(workshop: Workshop) -> None:
    """A second task over documents that were all trained on."""
    workshop.split(singles(60))
    task = "  - {name: urgency, kind: classification, sources: [tickets]}\nteachers:"
    workshop.file.write_text(PROJECT.replace("teachers:", task))
    trained = [doc for doc in singles(60) if workshop.splits()[doc.text] == "train"]
    urgent = [doc._replace(task="urgency") for doc in trained]
    with pytest.raises(UserError, match=r"task urgency .* validation and test split"):
        workshop.split([*singles(60), *urgent])
    with pytest.raises(UserError, match=r"task urgency .* it has 0 pairs"):
        workshop.split(singles(60))


def test_a_broken_memory_is_named(workshop: Workshop) -> None:
    workshop.split(singles(60))
    workshop.layout.split_memory.write_text("no parquet")
    with pytest.raises(UserError, match=r"memory\.parquet.*\n.*delete it"):
        workshop.split(singles(60))


def test_the_memory_holds_no_text_and_nothing_of_the_past(workshop: Workshop) -> None:
    workshop.split(singles(60))
    memory = read_table(workshop.layout.split_memory)
    assert memory.num_rows == 120  # documents, and the texts of pairs
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in memory["key"].to_pylist()[:60])
    assert memory.drop_columns("key").to_pylist()[0].keys() == {"settings", "document", "side"}
    workshop.split(singles(59))
    assert read_table(workshop.layout.split_memory).num_rows == 118


# --- what is checked afterwards ---


def write_dataset(path: Path, rows: list[dict[str, Any]]) -> Path:
    write_table(path, pa.Table.from_pylist(rows))
    return path


def test_straddling_finds_torn_families_and_equal_texts(tmp_path: Path) -> None:
    texts = ["one", "two", "Ask  Person-kuvora.", "ask person-bimelo", "ask Person-bimelo"]
    splits = ["train", "test", "train", "validation", "test"]
    rows = [
        {"group_id": group, "input": text, "split": split}
        for group, text, split in zip("aabcd", texts, splits, strict=True)
    ]
    dataset = write_dataset(tmp_path / "d.parquet", rows)
    assert straddling(dataset) == {"families": 1, "texts": 1}


def test_answers_without_a_training_pair_are_named(tmp_path: Path) -> None:
    def row(task: str, answer: str, split: str, label: str | None) -> dict[str, Any]:
        return {"task": task, "response": answer, "label": label, "split": split}

    rows = [
        row("routing", "<1>", "test", "billing"),
        row("routing", "<1>", "validation", "billing"),
        row("routing", "<2>", "train", "hardware"),
        row("routing", "<2>", "test", "hardware"),
        row("urgency", "<1>", "test", "billing"),
        row("summary", "It rained.", "test", None),
        row("summary", "It snowed.", "train", None),
    ]
    dataset = write_dataset(tmp_path / "d.parquet", rows)
    assert unlearnable(dataset) == ["routing:billing", "urgency:billing"]


def test_a_pair_without_an_answer_is_only_ever_learned_from(workshop: Workshop) -> None:
    """Alone it goes to train; where its family is held out, and where its text has a gold answer,
    it is left out; and it costs no gold pair its place."""
    gold = singles(400)
    before = workshop.split(gold)
    held = in_split(workshop, "test")[:5]
    alone = [Doc(f"new {i}", f"n{i}", label=None) for i in range(100)]
    family = {doc.text: doc.family for doc in gold}
    beside = [Doc(f"beside {text}", family[text], label=None) for text in held]
    same = [Doc(text, f"copy of {text}", label=None) for text in held]
    facts = workshop.split([*gold, *alone, *beside, *same])
    where = workshop.splits()
    assert {where[doc.text] for doc in alone} == {"train"}
    assert not any(doc.text in where for doc in beside)
    assert (facts.train, facts.validation, facts.test) == (
        *(before.train, before.validation, before.test),
    )
    assert facts.unlabelled == 100
    rows = read_table(workshop.dataset).to_pylist()
    assert {row["split"] for row in rows if row["response"] is None} == {"train"}
    assert straddling(workshop.dataset) == {"families": 0, "texts": 0}


def test_new_texts_without_an_answer_leave_what_was_made_of_gold_pairs(workshop: Workshop) -> None:
    before = workshop.split(singles(50))
    after = workshop.split([*singles(50), Doc("new", "n", label=None)])
    gold = ("train", "validation", "test")
    assert {s: after.digests[s] for s in gold} == {s: before.digests[s] for s in gold}
    assert after.digests["unlabelled"] != before.digests["unlabelled"]


def test_what_the_teacher_answered_is_not_tested_on_once_it_has_a_gold_answer(
    workshop: Workshop,
) -> None:
    texts = [f"new {i}" for i in range(60)]
    workshop.split([*singles(50), *(Doc(t, t, label=None) for t in texts)])
    workshop.split([*singles(50), *(Doc(t, t) for t in texts)])
    assert {workshop.splits()[t] for t in texts} == {"train"}
