"""What documents and records give to tasks whose answers are written out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.dataset import (
    ExtractionTask,
    QuestionAnsweringTask,
    SummarizationTask,
    Task,
)
from stillhouse.storage.tables import write_table
from stillhouse.tasks.common import Pair, Tally
from stillhouse.tasks.kinds import kind_of
from stillhouse.tasks.question_answering import best_sentence

COLUMNS = ("doc_id", "title", "kind", "text", "columns")


@pytest.fixture
def pairs(tmp_path: Path) -> Any:
    def call(task: Task, *documents: dict[str, Any]) -> tuple[list[Pair], Tally]:
        rows = [
            dict.fromkeys(COLUMNS)
            | {"doc_id": f"d{i}", "kind": "records"}
            | document
            | {"columns": json.dumps(document["columns"]) if "columns" in document else None}
            for i, document in enumerate(documents)
        ]
        path = tmp_path / "documents.parquet"
        schema = pa.schema([(name, pa.string()) for name in COLUMNS])
        write_table(path, pa.Table.from_pylist(rows, schema=schema))
        tally = Tally()
        return list(kind_of(task).pairs(task, path, "true", tally)), tally

    return call


def extraction(**settings: Any) -> ExtractionTask:
    fields = {"product": "string", "quantity": {"type": "integer", "optional": True}}
    return ExtractionTask.model_validate(
        {"name": "order", "kind": "extraction", "sources": ["t"], "fields": fields} | settings
    )


ORDER = {"text": "Send 3 of the Linn pump.", "columns": {"order": {"product": "Linn pump"}}}


def test_a_gold_answer_is_compact_json_in_the_order_of_the_fields(pairs: Any) -> None:
    values = {"quantity": "3", "product": "Linn pump"}
    found, tally = pairs(extraction(answers="order"), {**ORDER, "columns": {"order": values}})
    assert [p.response for p in found] == ['{"product":"Linn pump","quantity":3}']
    assert found[0].input == ORDER["text"]
    assert tally == Tally()


def test_columns_are_joined_and_fields_may_be_columns(pairs: Any) -> None:
    row = {"text": "3 pumps", "columns": {"product": "pumps", "quantity": 3}}
    (found,), _ = pairs(extraction(), row)
    assert found.response == '{"product":"pumps","quantity":3}'
    row = {"text": "3 pumps", "columns": {"a": {"product": "pumps"}, "quantity": 3}}
    (found,), _ = pairs(extraction(answers=["a", "quantity"]), row)
    assert found.response == '{"product":"pumps","quantity":3}'


def test_what_is_none_of_the_schema_is_counted_by_field_and_never_by_value(pairs: Any) -> None:
    bad = {"text": "x", "columns": {"order": {"product": "x", "quantity": "secret"}}}
    found, tally = pairs(extraction(answers="order"), ORDER, bad)
    assert len(found) == 1
    assert sum(tally.unfit.values()) == 1
    assert "quantity" in str(tally.unfit)
    assert "secret" not in str(tally.unfit)


@pytest.mark.parametrize(
    "said", ["Leila", '{"Leila": 1}', '"{\\"Leila\\": 1}"', ["Leila"], [{"product": "Leila"}], 5]
)
def test_an_answer_that_is_no_object_is_counted_by_its_column(pairs: Any, said: Any) -> None:
    found, tally = pairs(
        extraction(answers="order"), ORDER, {"text": "x", "columns": {"order": said}}
    )
    assert len(found) == 1
    assert tally.unfit == {"order: 'order': no JSON object": 1}


def test_a_gold_value_that_is_not_in_the_text_is_learned_and_counted(pairs: Any) -> None:
    found, tally = pairs(extraction(answers="order"), ORDER | {"text": "Send a pump."})
    assert len(found) == 1
    assert tally.not_in_text == 1


@pytest.mark.parametrize(("grounded", "missing"), [(True, 1), (False, 0)])
def test_a_grounded_number_is_one_of_the_text(pairs: Any, grounded: bool, missing: int) -> None:
    task = extraction(answers="order", fields={"n": {"type": "integer", "grounded": grounded}})
    rows = [
        {"text": text, "columns": {"order": {"n": 1500}}}
        for text in ("1,500 of them", "one and a half thousand")
    ]
    found, tally = pairs(task, *rows)
    assert (len(found), tally.not_in_text) == (2, missing)


def test_records_without_an_answer_are_for_the_teacher_where_it_is_asked(pairs: Any) -> None:
    bare = {"text": "Send the Tarn valve."}
    found, tally = pairs(extraction(answers="order"), ORDER, bare)
    assert (len(found), tally.unlabelled) == (1, 1)
    found, tally = pairs(extraction(answers="order", unlabelled="teacher"), ORDER, bare)
    assert [p.origin for p in found] == ["gold", "unlabelled"]
    assert tally.unlabelled == 0


@pytest.mark.parametrize(
    ("optional", "origins"), [(True, ["gold", "unlabelled"]), (False, ["unlabelled", "unlabelled"])]
)
def test_an_empty_object_is_an_answer_where_all_may_be_left_out(
    pairs: Any, optional: bool, origins: list[str]
) -> None:
    task = extraction(
        answers="order", unlabelled="teacher", fields={"item": {"optional": optional}}
    )
    found, _ = pairs(task, {"text": "Thanks!", "columns": {"order": {}}}, {"text": "Send it."})
    assert [p.origin for p in found] == origins
    assert [p.response for p in found if p.origin == "gold"] == ["{}"] * optional


def answering(**settings: Any) -> QuestionAnsweringTask:
    given = {"name": "qa", "kind": "question_answering", "sources": ["t"], "answers": "answer"}
    return QuestionAnsweringTask.model_validate(given | {"question": "question"} | settings)


def test_questions_of_records_and_an_empty_answer(pairs: Any) -> None:
    passage = "Backups run at two. They are kept for a month."
    found, tally = pairs(
        answering(),
        {"text": passage, "columns": {"question": "When?", "answer": "at two"}},
        {"text": passage, "columns": {"question": "By whom?", "answer": ""}},
        {"text": passage, "columns": {"question": "Where to?"}},
        {"text": passage},
    )
    assert [p.response for p in found] == ["at two", "no answer"]
    assert found[0].input == f"Question: When?\n\n{passage}"
    assert (tally.unlabelled, tally.not_in_text) == (2, 0)
    found, _ = pairs(
        answering(unlabelled="teacher", written=5),
        {"text": passage, "columns": {"question": "Where to?"}},
        {"text": passage},
    )
    assert [p.origin for p in found] == ["unlabelled", "passage"]


@pytest.mark.parametrize(
    ("said", "learned"),
    [
        (["at two"], "at two"),
        ([], "no answer"),
        ("No Answer", "no answer"),
        (3, "3"),
        (True, "true"),
    ],
)
def test_an_answer_of_another_kind_is_learned_as_a_text(
    pairs: Any, said: Any, learned: str
) -> None:
    row = {"text": "They run at two.", "columns": {"question": "When?", "answer": said}}
    (found,), tally = pairs(answering(), row)
    assert found.response == learned
    assert not tally.unfit


@pytest.mark.parametrize("column", ["answer", "question", "place"])
@pytest.mark.parametrize("retrieval", [None, {"passages": 2}])
def test_several_values_where_one_text_is_asked_are_counted_by_the_column(
    pairs: Any, column: str, retrieval: Any
) -> None:
    """Written out as Python has them, they would be learned as answers in brackets and quotes."""
    row = {"question": "When?", "answer": "at two", "place": "They run at two."}
    rows = [
        {"text": "x", "columns": row | {column: ["Leila", "Ann"]}},
        {"text": "x", "columns": row},
    ]
    found, tally = pairs(answering(passage="place", retrieval=retrieval), *rows)
    assert [p.response for p in found] == ["at two"]
    assert tally.unfit == {f"qa: {column!r}: no text, but several values": 1}


DOCUMENT = {
    "kind": "documents",
    "title": "Backups",
    "text": "Backups\n\nWhen do backups run?\n\nEvery night at two. Nobody has to be there.\n\n"
    "Keeping them\n\nA copy is kept for thirty days in the vault.\n\n"
    "Kind | Kept\ndatabase | 30 days\nmail | one year",
}


def test_documents_that_hold_questions(pairs: Any) -> None:
    found, _ = pairs(answering(max_passages=9), DOCUMENT)
    asked = {p.input.split("\n")[0]: p.response for p in found}
    assert asked == {
        "Question: When do backups run?": "Every night at two.",
        "Question: Backups: Keeping them?": "A copy is kept for thirty days in the vault.",
        "Question: Backups: database?": "30 days",
        "Question: Backups: mail?": "one year",
    }
    assert all(p.response in p.input for p in found)
    found, _ = pairs(answering(max_passages=9, questions_from=["faq"]), DOCUMENT)
    assert len(found) == 1


def test_retrieval_mixes_in_other_passages_and_never_loses_the_right_one(pairs: Any) -> None:
    rows = [
        {
            "text": f"The {thing} stands in hall {i}.",
            "columns": {"question": f"Where does the {thing} stand?", "answer": f"hall {i}"},
        }
        for i, thing in enumerate(("lathe", "press", "kiln", "crane"))
    ]
    found, tally = pairs(answering(retrieval={"passages": 3}), *rows)
    places = set()
    for pair, row in zip(found, rows, strict=True):
        passages = pair.input.split("\n\n")[1:]
        assert len(passages) == 3
        places.add(passages.index(row["text"]))
    assert len(places) > 1
    assert (tally.searched, tally.retrieved) == (4, 4)


def summarizing(**settings: Any) -> SummarizationTask:
    given = {"name": "digest", "kind": "summarization", "sources": ["t"]}
    return SummarizationTask.model_validate(given | settings)


def test_a_title_or_an_abstract_sums_up_a_body(pairs: Any) -> None:
    (found,), _ = pairs(summarizing(), DOCUMENT)
    assert found.response == "Backups"
    assert not found.input.startswith("Backups")
    text = "A Study\n\nAbstract\n\nWe measured pumps.\n\nIntroduction\n\nPumps are old."
    (found,), _ = pairs(summarizing(), DOCUMENT | {"title": "A Study", "text": text})
    assert found.response == "We measured pumps."
    assert "measured" not in found.input


def test_summaries_of_records(pairs: Any) -> None:
    rows = ({"text": "Long.", "columns": {"short": "S."}}, {"text": "Longer."})
    found, tally = pairs(summarizing(answers="short"), *rows)
    assert [p.response for p in found] == ["S."]
    assert tally.unlabelled == 1
    found, _ = pairs(summarizing(answers="short", written=1), *rows)
    assert [p.origin for p in found] == ["gold", "passage"]


def test_a_summary_that_is_a_list_is_counted(pairs: Any) -> None:
    rows = ({"text": "Long.", "columns": {"short": s}} for s in (["S."], ["S.", "T."]))
    found, tally = pairs(summarizing(answers="short"), *rows)
    assert [p.response for p in found] == ["S."]
    assert tally.unfit == {"digest: 'short': no text, but several values": 1}


@pytest.mark.parametrize(
    ("question", "passage", "expected"),
    [
        ("Where does the press stand?", "The kiln is old. The press stands here.", "The press"),
        ("Why?", "?? !!", "?? !!"),
        ("?!", "It is. A pump.", "It is."),
        ("画面は暗い", "請求書が違う\n画面が暗いまま", "画面が"),
        ("Why?", " \n ", ""),
    ],
)
def test_the_best_sentence_of_any_passage(question: str, passage: str, expected: str) -> None:
    """The baseline of question answering: texts without a word in them are texts as well."""
    found = best_sentence(question, passage)
    assert found.startswith(expected)
    assert bool(found) == bool(expected)
