from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.config.corpus import RecordFields
from stillhouse.config.dataset import Column
from stillhouse.corpus.clean.text import clean_text
from stillhouse.corpus.parse.columns import DEEPEST, leaves, said_in, to_json, with_leaves
from stillhouse.corpus.parse.record_rows import Bad, BadRecord
from stillhouse.corpus.parse.records import Record, read_records, similar_column

ORDER = Column(name="order", role="answer", keys=("product", "quantity", "parts"))
ANSWER = Column(name="answer", role="answer")
QUESTION = Column(name="question", role="question")
FIELDS = RecordFields(text="body")
TRUTH = {"product": "Blue  Widget", "quantity": 12, "parts": ["A-1", "B-2"]}
SAID = {"order": {"product": "Blue Widget", "quantity": 12, "parts": ["A-1", "B-2"]}}


def said(column: Column, value: Any) -> Any:
    return said_in({column.name: value}, [column]).get(column.name)


def jsonl(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, *columns: Column) -> list[Record | BadRecord]:
    return list(read_records(path, FIELDS, columns))


@pytest.mark.parametrize("kind", ["jsonl", "jsonl of strings", "csv", "parquet", "strings"])
def test_an_object_is_the_same_from_every_kind_of_file(tmp_path: Path, kind: str) -> None:
    import csv

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"body": "Twelve, please.", "order": {**TRUTH, "customer": "Leila Hartwick"}},
        {"body": "Nothing yet.", "order": None},
    ]
    strings = [{**row, "order": row["order"] and json.dumps(row["order"])} for row in rows]
    path = tmp_path / f"t.{kind.split()[0]}"
    if kind.startswith("jsonl"):
        jsonl(path, *(rows if kind == "jsonl" else strings))
    elif kind == "csv":
        with path.open("w", newline="") as stream:
            writer = csv.DictWriter(stream, ["body", "order"])
            writer.writeheader()
            writer.writerows(strings)
    else:
        path = tmp_path / "t.parquet"
        pq.write_table(pa.Table.from_pylist(rows if kind == "parquet" else strings), path)
    labelled, unlabelled = read(path, ORDER)
    assert isinstance(labelled, Record) and isinstance(unlabelled, Record)
    assert labelled.columns == SAID
    assert unlabelled.columns == {}


@pytest.mark.parametrize(
    ("cell", "kept"),
    [
        (None, None),
        ("", None),
        ("  \u00ad\n", None),
        ([], None),
        ([None], None),
        (float("nan"), None),
        ("a \u00a0 b\r\n", "a b"),
        (True, True),
        (12.0, 12),
        (12.5, 12.5),
        (1e300, 1e300),
        (Decimal("12345678901234567890"), 12345678901234567890),
        (Decimal("1.5"), 1.5),
        (date(2024, 5, 1), "2024-05-01"),
        (datetime(2024, 5, 1, 12, tzinfo=UTC), "2024-05-01T12:00:00+00:00"),
        (["one", None, "", 3.0], ["one", "", 3]),
        ('{"as": "text"}', '{"as": "text"}'),
    ],
)
def test_a_cell_becomes_json(cell: Any, kept: Any) -> None:
    found = said(ANSWER, cell)
    assert found == kept and type(found) is type(kept)
    json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("column", "cell", "reason"),
    [
        (ANSWER, b"bytes", "bytes"),
        (ORDER, {"product": b"bytes"}, "bytes"),
        (ANSWER, {"an": "object"}, "dict"),
        (ANSWER, ["\ud800"], "Unicode"),
        (ANSWER, float("inf"), "not finite"),
        (ORDER, '{"product": ' + "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1) + "}", "nested"),
    ],
)
def test_a_cell_of_a_wrong_kind_is_told_by_its_column(
    column: Column, cell: Any, reason: str
) -> None:
    with pytest.raises(Bad, match=reason) as caught:
        said(column, cell)
    assert column.name in caught.value.reason


def test_what_is_no_json_stays_text() -> None:
    for text in ("twelve", "{product: 12}", '{"product"', "{" * 100_000):
        assert said(ORDER, text) == text


def test_only_declared_keys_are_kept_at_any_depth() -> None:
    secret = "Leila Hartwick"
    value = {secret: 1, "product": [{secret: 2, "quantity": 3, "parts": None}]}
    assert said(ORDER, value) == {"product": [{"quantity": 3}]}
    assert said(ORDER, {secret: 1}) is None


@pytest.mark.parametrize("gap", ["\t", "\n", "\x01"])
def test_json_with_controls_in_its_strings_keeps_no_other_key(gap: str) -> None:
    """Cleaned as a text it would become JSON with all its keys, which errors then name."""
    cell = f'{{"product": "Blue{gap}Widget", "Leila Hartwick": 2}}'
    found = said(ORDER, cell)
    assert found.keys() == {"product"}


@pytest.mark.parametrize("empty", [{}, {"product": None}, "{}", '{"product": null}'])
def test_an_object_without_a_value_says_that_there_is_none(empty: Any) -> None:
    assert said(ORDER, empty) == {}
    assert said(ORDER, {"Product": "pump"}) is None


def test_null_in_a_cell_says_nothing() -> None:
    assert said(ORDER, " null ") is None
    assert said(ANSWER, "null") == "null"


def test_an_empty_answer_counts_where_something_was_asked() -> None:
    def both(question: Any, answer: Any) -> dict[str, Any]:
        return said_in({"question": question, "answer": answer}, [ANSWER, QUESTION])

    assert both("Who?", "") == {"question": "Who?", "answer": ""}
    assert both("Who?", []) == {"question": "Who?", "answer": []}
    assert both("Who?", None) == {"question": "Who?"}
    assert both("", "") == both(None, " ") == {}


def test_a_bad_cell_costs_its_record_alone_and_says_nothing_of_it(tmp_path: Path) -> None:
    secret = "Zebulon"
    rows = [{"body": f"text {n}", "answer": a} for n, a in enumerate(["x", {secret: secret}, "y"])]
    found = read(jsonl(tmp_path / "t.jsonl", *rows), ANSWER)
    assert [type(r) for r in found] == [Record, BadRecord, Record]
    assert isinstance(found[1], BadRecord)
    assert "answer" in found[1].reason and secret not in found[1].reason


def test_records_are_told_apart_by_what_their_columns_say(tmp_path: Path) -> None:
    rows = [{"body": "a passage", "question": q} for q in ("who?", "when?", "who?", None)]
    path = jsonl(tmp_path / "1.jsonl", *rows)
    ids = [r.record_id for r in read(path, QUESTION) if isinstance(r, Record)]
    assert len(set(ids)) == 4 and ids[2] == f"{ids[0]}-2"
    # Whatever stands around it; and what says nothing there has the id of its text.
    turned = jsonl(tmp_path / "2.jsonl", *rows[1:], rows[0])
    again = [r.record_id for r in read(turned, QUESTION) if isinstance(r, Record)]
    assert again == [ids[1], ids[0], ids[3], ids[2]]
    (plain, *_) = (r.record_id for r in read(path) if isinstance(r, Record))
    assert plain == ids[3]


def test_a_similar_column_is_named_and_no_other(tmp_path: Path) -> None:
    path = jsonl(tmp_path / "t.jsonl", {"body": "a", "Order": 1, "Zebulon": 2})
    assert similar_column(path, "order") == "; did you mean 'Order'?"
    assert similar_column(path, "ordre") == "; did you mean 'Order'?"
    assert similar_column(path, "Order") == ""
    assert similar_column(path, "answers") == ""
    assert similar_column(tmp_path / "gone.jsonl", "order") == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON)
def test_leaves_come_out_and_go_back(value: Any) -> None:
    assert with_leaves(value, leaves(value)) == value
    count = len(list(leaves(value)))
    numbered = with_leaves(value, iter(range(count)))
    assert list(leaves(numbered)) == list(range(count))
    again = json.loads(to_json({"a": value}) or "")["a"]
    # The order of leaves is that of what is read back.
    assert list(leaves(json.loads(to_json({"a": again}) or "")["a"])) == list(leaves(again))


WORDS = st.text("abC\u00e4\u0301é1", min_size=1, max_size=4)
GAPS = st.sampled_from(
    [" ", "  ", "\t", "\u00a0", " \n ", "\r\n", "\n\n\n\n", "\u00ad ", "\u200b "]
)


@given(st.lists(st.tuples(WORDS, GAPS), min_size=1, max_size=12), st.data())
def test_what_stood_in_the_text_stands_there_when_both_are_cleaned(
    pieces: list[tuple[str, str]], data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, len(pieces) - 1))
    last = data.draw(st.integers(first, len(pieces) - 1))
    text = "".join(word + gap for word, gap in pieces)
    value = "".join(word + gap for word, gap in pieces[first : last + 1])
    assert said(ANSWER, value) in clean_text(text)
    assert said(ANSWER, value)
