from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.corpus import Confidentiality, Dedup
from stillhouse.corpus.unique import unique_documents
from stillhouse.errors import UserError
from stillhouse.facts import UniqueDocumentsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table

Rows = dict[str, dict[str, Any]]

FILES = {"file_id": ["f"], "label": ["folder"], "confidentiality": ["internal"], "position": [3]}


def words(seed: int, count: int) -> str:
    drawn = random.Random(seed)
    return " ".join(f"w{drawn.randrange(10_000)}" for _ in range(count))


Find = Callable[..., UniqueDocumentsFacts]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "var")


@pytest.fixture
def find(layout: Layout) -> Find:
    """Run the step on texts by doc_id; `facts` are columns of parsed documents."""

    def _find(
        texts: dict[str, str | None],
        train_up_to: Confidentiality = "restricted",
        group: str | None = None,
        **facts: list[Any],
    ) -> UniqueDocumentsFacts:
        ids, none = list(texts), pa.nulls(len(texts), pa.string())
        names = pa.nulls(len(texts), pa.list_(pa.string()))
        columns = {"title": none, "language": none, "label": none, "created_at": none}
        columns |= {"columns": none, "asks": names, "reads": names}
        parsed = {
            "doc_id": ids,
            "file_id": ["f"] * len(ids),
            "source": ["tickets"] * len(ids),
            "kind": ["records"] * len(ids),
            "path": ["secret/john_smith.pdf"] * len(ids),
            "record_id": ["john.smith"] * len(ids),
            "position": list(range(len(ids))),
            **columns,
            **facts,
        }
        masked = {"doc_id": ids, "title": parsed.pop("title"), "text": list(texts.values())}
        masked["columns"] = parsed["columns"]
        levels = {"doc_id": ids, "level": parsed.pop("level", ["internal"] * len(ids))}
        write_table(layout.table("document_confidentiality"), pa.table(levels))
        write_table(layout.table("source_files"), pa.table(FILES))
        cleansed = {"doc_id": ids, "language": parsed.pop("language")}
        write_table(layout.table("cleansed_documents"), pa.table(cleansed))
        write_table(layout.table("parsed_documents"), pa.table(parsed))
        write_table(layout.table("masked_documents"), pa.table(masked))
        return unique_documents(Dedup(), layout, train_up_to, group=group)

    return _find


def rows(layout: Layout, asset: str = "unique_documents") -> Rows:
    return {row["doc_id"]: row for row in read_table(layout.table(asset)).to_pylist()}


def families(layout: Layout) -> set[str]:
    return {row["family_id"] for row in rows(layout, "duplicate_clusters").values()}


def test_one_of_each_cluster_is_kept(layout: Layout, find: Find) -> None:
    text = words(1, 60)
    texts = {"a": text, "b": text.upper(), "c": text + " more", "d": words(2, 60)}
    facts = find(
        texts,
        label=["x", "y", "x", None],
        created_at=["2024-01-01", "2025-01-01", "2023-01-01", None],
    )
    assert (facts.documents, facts.unique) == (4, 2)
    assert (facts.exact_duplicates, facts.near_duplicates, facts.label_conflicts) == (1, 1, 1)
    assert facts.by_label == {"folder": 1, "y": 1}
    kept = rows(layout)
    assert list(kept) == ["b", "d"]
    assert (kept["b"]["copies"], kept["b"]["label"]) == (3, "y")
    assert (kept["d"]["copies"], kept["d"]["label"]) == (1, "folder")


def test_nothing_above_the_limit_goes_on_nor_a_copy_of_it(layout: Layout, find: Find) -> None:
    text = words(1, 60)
    texts: dict[str, str | None] = {"a": text, "b": text + " more", "c": words(2, 60), "d": "last"}
    levels = ["public", "restricted", "internal", "confidential"]
    facts = find(texts, train_up_to="confidential", level=levels)
    assert (facts.documents, facts.unique, facts.withheld) == (4, 3, 1)
    assert {n: row["confidentiality"] for n, row in rows(layout).items()} == {
        "c": "internal",
        "d": "confidential",
    }
    assert set(rows(layout, "duplicate_clusters")) == {*"abcd"}
    assert find(texts, train_up_to="public", level=levels).withheld == 3
    find(texts, level=levels)
    # All of a cluster say the same: it is as confidential as any of them.
    assert {row["confidentiality"] for row in rows(layout).values()} == {*levels} - {"public"}


def test_names_of_files_and_records_stay_behind(layout: Layout, find: Find) -> None:
    find({"a": words(1, 60)})
    for asset in ("unique_documents", "duplicate_clusters"):
        table = read_table(layout.table(asset))
        assert not {"path", "record_id"} & set(table.column_names)
        assert "john" not in str(table.to_pylist())


def test_texts_that_differ_in_a_pseudonym_are_duplicates(layout: Layout, find: Find) -> None:
    facts = find(
        {
            "a": "Please reset the password of Person-kuvora",
            "b": "Please reset the password of Person-bimelo",
            "c": "Please reset the password of Account-bimelo",
        }
    )
    assert facts.unique == 2
    kept = rows(layout)
    assert kept["a"]["text"] == "Please reset the password of Person-kuvora"
    contents = {r["doc_id"]: r["content"] for r in rows(layout, "duplicate_clusters").values()}
    assert contents["a"] == contents["b"] != contents["c"]


@pytest.mark.parametrize("gap", ["\n\n", "\n"])
def test_a_shared_paragraph_makes_no_near_duplicates(layout: Layout, find: Find, gap: str) -> None:
    notice = f"Dear Person-{'{}'}, {words(0, 100)}"
    names = ["kuvora", "bimelo", "dudada"]
    texts = {f"d{i}": notice.format(names[i % 3]) + gap + words(i + 1, 8) for i in range(40)}
    texts["copy"] = texts["d7"].replace("kuvora", "bimelo") + " more"
    facts = find(texts)
    assert facts.unique == 40
    assert len(families(layout)) == 40
    assert facts.near_duplicates == 1
    assert all(words(0, 100) in row["text"] for row in rows(layout).values())


def test_copies_and_versions_are_no_boilerplate(layout: Layout, find: Find) -> None:
    """Thirty copies of a text share all of it, thirty versions of a handbook nearly all."""
    letter = words(1, 30) + "\n\n" + words(2, 30)
    handbook = [words(100 + i, 40) for i in range(12)]
    texts = {f"letter{i}": letter for i in range(30)}
    for i in range(30):
        version = [*handbook[:6], words(200 + i, 10), *handbook[6:]]
        texts[f"handbook{i}"] = "\n\n".join(version)
    facts = find(texts)
    assert facts.unique == 2
    assert len(families(layout)) == 2


PASSAGE = words(7, 60)


def asking(*questions: str | None, answers: Any = None, **more: Any) -> dict[str, list[Any]]:
    """Columns of parsed documents that ask these questions, with these answers."""
    said = [
        {"q": q, "a": a, **{name: values[n] for name, values in more.items()}}
        for n, (q, a) in enumerate(zip(questions, answers or [None] * len(questions), strict=True))
    ]
    kept = [{k: v for k, v in row.items() if v is not None} for row in said]
    return {
        "columns": [json.dumps(row, sort_keys=True) if row else None for row in kept],
        "asks": [["q"] if "q" in row else [] for row in kept],
        "reads": [["pass/age"] if "pass/age" in row else [] for row in kept],
    }


def test_questions_on_one_passage_are_all_kept_in_one_family(layout: Layout, find: Find) -> None:
    texts = {"a": PASSAGE, "b": PASSAGE, "c": PASSAGE, "d": words(8, 60)}
    columns = asking("Who?", "When?", "Where?", "Who?")
    facts = find(texts, **columns)
    assert (facts.unique, facts.exact_duplicates, facts.near_duplicates) == (4, 0, 0)
    kept = rows(layout)
    assert {kept[n]["family_id"] for n in "abc"} == {"a"} and kept["d"]["family_id"] == "d"
    assert [kept[n]["columns"] for n in "abcd"] == columns["columns"]
    contents = {r["doc_id"]: r["content"] for r in rows(layout, "duplicate_clusters").values()}
    assert contents["a"] == contents["b"] == contents["c"] != contents["d"]


def test_the_same_question_on_the_same_passage_is_a_copy(layout: Layout, find: Find) -> None:
    """Also on an edited one; but whom a question is about makes another question."""
    edited = PASSAGE + " more"
    texts = {
        "a": PASSAGE,
        "b": PASSAGE.upper(),
        "c": edited,
        "d": edited,
        "e": PASSAGE,
        "f": PASSAGE,
    }
    of = "Where is Person-"
    facts = find(texts, **asking("Who?", "who", "Who?", f"{of}kuvora?", f"{of}bimelo?", None))
    assert set(rows(layout)) == {"a", "d", "e", "f"}
    assert (facts.exact_duplicates, facts.near_duplicates) == (1, 1)
    assert len(families(layout)) == 1


def test_many_questions_on_two_versions_of_a_passage(layout: Layout, find: Find) -> None:
    """More than a bucket compares pair by pair: each question is still kept once."""
    texts = {f"{v}{n:03}": PASSAGE + v for v in ("", " more") for n in range(150)}
    facts = find(texts, **asking(*(f"Question {n % 150}?" for n in range(300))))
    assert (facts.unique, facts.near_duplicates) == (150, 150)
    assert len(families(layout)) == 1
    again = find(texts, **asking(*(f"Question {n % 150}?" for n in range(300))))
    assert again.digest == facts.digest


def test_a_passage_in_a_column_is_what_records_are_compared_by(layout: Layout, find: Find) -> None:
    """Where the text is the question, the passage still keeps its records together, and the same
    question on other passages is another document."""
    questions = ["Who?", "When?", "Who?", "When?", "Who?"]
    texts = dict(zip("abcde", questions, strict=True))
    passages = [PASSAGE, PASSAGE + " more", words(8, 60), None, None]
    facts = find(texts, **asking(*questions, **{"pass/age": passages}))
    clusters = rows(layout, "duplicate_clusters")
    assert facts.unique == 5
    assert clusters["a"]["family_id"] == clusters["b"]["family_id"]
    assert len(families(layout)) == 4


def test_texts_beside_one_passage_are_all_kept(layout: Layout, find: Find) -> None:
    passages = {"pass/age": [PASSAGE] * 3}
    find(
        {"a": "one ticket", "b": "another", "c": "One ticket!"},
        **asking(None, None, None, **passages),
    )
    assert set(rows(layout)) == {"a", "b"}


def test_what_is_answered_or_labelled_is_kept(layout: Layout, find: Find) -> None:
    text, dated = words(1, 60), ["2024-01-01", "2025-01-01", "2023-01-01"]
    texts: dict[str, str | None] = {"a": text, "b": text, "c": text + " more"}
    find(texts, created_at=dated)
    assert set(rows(layout)) == {"b"}
    find(texts, created_at=dated, **asking(None, None, None, answers=[None, None, "gold"]))
    assert json.loads(rows(layout)["c"]["columns"]) == {"a": "gold"}
    # A question that nobody has answered is no answer.
    find(texts, created_at=dated, **asking("Who?", "Who?", "Who?", answers=["gold", None, None]))
    assert set(rows(layout)) == {"a"}


@pytest.mark.parametrize(
    ("answers", "conflicts"),
    [
        (["same", "same"], 0),
        (["one", "other"], 1),
        (["one", None], 0),
        (["of Person-kuvora", "of Person-bimelo"], 0),
    ],
)
def test_copies_with_other_answers_are_conflicts(
    find: Find, answers: list[str | None], conflicts: int
) -> None:
    text = words(1, 60)
    facts = find({"a": text, "b": text.upper()}, **asking("Who?", "WHO", answers=answers))
    assert (facts.unique, facts.label_conflicts) == (1, conflicts)


def test_the_digest_is_of_content(layout: Layout, find: Find) -> None:
    texts: dict[str, str | None] = {"a": words(1, 60), "b": None, "c": words(3, 60)}
    first = find(texts)
    shifted = find(texts, position=[7, 8, 9])
    assert shifted.digest == first.digest
    assert list(rows(layout)) == ["a", "b", "c"]
    dated = find(texts, created_at=["2025-01-01", None, None])
    assert dated.digest != first.digest
    answered = find(texts, **asking(None, None, None, answers=["yes", None, None]))
    assert answered.digest != first.digest
    # A copy that is dropped is known to the splits: it counts.
    copied = find({**texts, "d": words(3, 60).upper()})
    assert copied.digest != first.digest


def test_no_documents(layout: Layout, find: Find) -> None:
    none = pa.array([], pa.string())
    columns = dict.fromkeys(("doc_id", "file_id", "source", "kind", "language", "label"), none)
    find({"a": "something to begin with"})
    columns |= dict.fromkeys(("asks", "reads"), pa.array([], pa.list_(pa.string())))
    parsed = pa.table({**columns, "created_at": none, "position": pa.array([], pa.int64())})
    write_table(layout.table("parsed_documents"), parsed)
    facts = unique_documents(Dedup(), layout)
    assert (facts.documents, facts.unique, facts.by_label) == (0, 0, {})
    assert not rows(layout)


@pytest.mark.parametrize("limit", ["a lot", "1KB"])
def test_a_wrong_memory_limit_is_named(layout: Layout, find: Find, limit: str) -> None:
    find({"a": words(1, 60)})
    with pytest.raises(UserError, match=f"dedup.memory_limit: '{limit}'"):
        unique_documents(Dedup(memory_limit=limit), layout)


def test_what_splits_keep_together_by_is_no_answer(layout: Layout, find: Find) -> None:
    """Two customers sent the same text: that is no conflict, and prefers neither."""
    text = words(1, 60)
    said = [json.dumps({"cu'st": who}) for who in ("Person-kuvora", "C-17")]
    facts = find({"a": text, "b": text}, group="cu'st", columns=said)
    assert (facts.unique, facts.label_conflicts) == (1, 0)
    assert find({"a": text, "b": text}, columns=said).label_conflicts == 1


def test_a_later_run_gives_what_a_first_one_would(layout: Layout, find: Find) -> None:
    """Whatever changed: texts, what a source repeats, labels, levels, answers, what is left."""
    notice = words(0, 100) + "\n\n"
    texts: dict[str, str | None] = {f"d{i:02}": notice + words(i, 8) for i in range(1, 25)}
    texts |= {"copy": words(3, 60), "near": words(3, 60) + " more"}
    fewer = dict(list(texts.items())[8:])
    edited = fewer | {"d20": words(20, 9), "near": "something else"}
    asked = asking(*["Who?", "When?"] * 9, answers=["gold", None] * 9)
    levels = {"level": ["public", "restricted"] * 13, "train_up_to": "internal"}
    states: list[tuple[dict[str, str | None], dict[str, Any]]] = [
        (texts, {}),
        (texts, {"label": ["x", "y"] * 13, **levels}),
        (fewer, {}),
        (edited, {}),
        (edited, {**asked, "group": "a"}),
    ]
    found = []
    for said, more in states:
        facts = find(said, **more)
        results = [facts, rows(layout), rows(layout, "duplicate_clusters")]
        shutil.rmtree(layout.root.parent / "kept", ignore_errors=True)
        layout.cache("").rename(layout.root.parent / "kept")
        facts = find(said, **more)
        assert results == [facts, rows(layout), rows(layout, "duplicate_clusters")]
        shutil.rmtree(layout.cache(""))
        (layout.root.parent / "kept").rename(layout.cache(""))
        found.append(facts)
    assert found[0].unique == 25 and found[2].near_duplicates > 10


def test_nothing_is_kept_of_what_has_left(layout: Layout, find: Find) -> None:
    find({"a": words(1, 60), "b": words(2, 60), "c": words(2, 60) + " more"})
    find({"b": words(2, 60)})
    memory = layout.cache("near_duplicates") / "corpus"
    kept = {file.name.split("-")[0]: read_table(file).num_rows for file in memory.iterdir()}
    assert kept == dict.fromkeys(("told", "documents", "signatures", "clusters"), 1)
