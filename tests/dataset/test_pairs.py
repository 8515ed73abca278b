from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.project import Project
from stillhouse.dataset.pairs import build_pairs, pair_schema
from stillhouse.errors import UserError
from stillhouse.facts import InstructionPairsFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, write_table

COLUMNS = (
    *("doc_id", "family_id", "source", "kind", "text", "label", "confidentiality"),
    "created_at",
)
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])


def document(n: int, **changes: Any) -> dict[str, Any]:
    return {
        "doc_id": f"d{n}",
        "family_id": f"f{n}",
        "source": "tickets",
        "kind": "records",
        "text": f"text number {n}",
        "label": "billing",
        "confidentiality": "internal",
        "created_at": None,
        **changes,
    }


def project(train_up_to: str = "internal", **task: Any) -> Project:
    return Project.model_validate(
        {
            "name": "small",
            "sources": [
                {"name": "tickets", "path": "t.jsonl", "kind": "records", "fields": {"text": "x"}},
                {"name": "wiki", "path": "wiki", "kind": "documents"},
            ],
            "privacy": {"train_up_to": train_up_to},
            "tasks": [
                {
                    "name": "routing",
                    "kind": "classification",
                    "sources": ["tickets", "wiki"],
                    "min_examples": 2,
                    "passage_words": 20,
                    "max_passages": 2,
                    **task,
                }
            ],
            "teachers": [{"version": "t-1", "model": "m", "license": "MIT"}],
            "students": [{"name": "router", "tasks": ["routing"]}],
        }
    )


class Built:
    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)

    def __call__(
        self, documents: list[dict[str, Any]], settings: Project
    ) -> tuple[list[dict[str, Any]], InstructionPairsFacts]:
        table = pa.Table.from_pylist(documents, schema=SCHEMA)
        write_table(self.layout.table("unique_documents"), table)
        levels = table.select(["doc_id", "source", "confidentiality"])
        levels = levels.rename_columns(["doc_id", "source", "level"])
        write_table(self.layout.table("document_confidentiality"), levels)
        facts = build_pairs(settings, self.layout)
        found = read_table(self.layout.table("instruction_pairs"))
        assert found.schema == pair_schema()
        assert facts.pairs == found.num_rows
        assert not self.layout.staging("instruction_pairs").exists()
        return found.to_pylist(), facts


@pytest.fixture
def build(tmp_path: Path) -> Built:
    return Built(tmp_path)


def test_a_record_is_a_pair_whose_response_is_its_class_token(build: Built) -> None:
    rows, facts = build([document(1), document(2)], project())
    assert {r["input"] for r in rows} == {"text number 1", "text number 2"}
    assert {r["response"] for r in rows} == {"<|routing:billing|>"}
    assert {(r["doc_id"], r["group_id"]) for r in rows} == {("d1", "f1"), ("d2", "f2")}
    assert len({r["pair_id"] for r in rows}) == 2
    assert facts.words == 6
    assert facts.by_answer == {"routing:billing": 2}
    assert facts.by_source == {"tickets": 2}


def test_the_order_of_the_documents_changes_nothing(build: Built) -> None:
    documents = [document(n, text=f"text {n // 2}") for n in range(6)]
    rows, facts = build(documents, project())
    again, same = build(documents[::-1], project())
    assert again == rows
    assert same == facts
    # Of equal pairs the first document's stays.
    assert sorted(r["doc_id"] for r in rows) == ["d0", "d2", "d4"]
    assert [r["pair_id"] for r in rows] == sorted(r["pair_id"] for r in rows)


def test_what_gives_no_pair_is_counted(build: Built) -> None:
    documents = [
        *[document(n) for n in range(3)],
        document(3, confidentiality="restricted"),
        document(4, label=None),
        document(5, label="rare"),
        document(6, source="elsewhere"),
        document(7, label=""),
    ]
    rows, facts = build(documents, project("confidential"))
    assert len(rows) == 3
    assert (facts.too_confidential, facts.unlabelled) == (1, 2)
    assert facts.too_rare == {"routing:rare": 1}


def test_a_task_may_take_some_labels_alone(build: Built) -> None:
    documents = [document(1), document(2), *(document(n, label="it's") for n in (3, 4))]
    rows, facts = build(documents, project(labels=["it's"]))
    assert {r["label"] for r in rows} == {"it's"}
    assert facts.unlabelled == 2


def test_a_long_document_gives_a_few_passages_and_says_what_it_left_out(build: Built) -> None:
    text = "\n\n".join(f"paragraph {n} " + "word " * 18 for n in range(6))
    long = document(1, kind="documents", source="wiki", text=text)
    rows, facts = build([long, document(2)], project())
    assert sum(r["doc_id"] == "d1" for r in rows) == 2
    assert facts.passages_left_out == 4


def test_nothing_to_learn_from_says_what_there_is_and_what_to_change(build: Built) -> None:
    documents = [
        document(1),
        document(2, label=None),
        document(3, label=None),
        document(4, confidentiality="restricted"),
    ]
    with pytest.raises(UserError, match="no document has a label to learn from") as error:
        build(documents, project(min_examples=8))
    said = error.value.message
    assert "2 without one" in said
    assert "routing:billing (1)" in said
    assert "tasks[0].min_examples is 8" in said
    assert "1 more confidential than privacy.train_up_to" in said
    assert "lower `min_examples`" in error.value.remedy
    assert not build.layout.table("instruction_pairs").exists()
