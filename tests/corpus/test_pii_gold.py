from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillhouse.corpus.pii_gold import Gold, GoldText, gold_digest, kind_of, read_gold
from stillhouse.errors import UserError

TEXT = "Ann Lee, ann@acme.example"
WANTED = (("PERSON", 0, 7), ("EMAIL_ADDRESS", 9, 25))


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "gold.jsonl"
    made = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(made) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "line",
    [
        {
            "text": TEXT,
            "spans": [
                {"start": 0, "end": 7, "kind": "PERSON"},
                {"start": 9, "end": 25, "kind": "EMAIL_ADDRESS"},
            ],
        },
        {  # Presidio's evaluation
            "full_text": TEXT,
            "spans": [
                {"entity_type": "PERSON", "entity_value": "Ann Lee"}
                | {"start_position": 0, "end_position": 7},
                {"entity_type": "EMAIL_ADDRESS", "entity_value": "ann@acme.example"}
                | {"start_position": 9, "end_position": 25},
            ],
            "tokens": [],
        },
        {"text": TEXT, "label": [[0, 7, "NAME"], [9, 25, "E-Mail"]]},  # doccano
        {  # ai4privacy
            "source_text": TEXT,
            "privacy_mask": [
                {"value": "Ann Lee", "start": 0, "end": 7, "label": "GIVENNAME"},
                {"value": "ann@acme.example", "start": 9, "end": 25, "label": "EMAIL"},
            ],
        },
        {  # by hand
            "marked": True,
            "text": TEXT,
            "spans": [
                {"kind": "PERSON", "value": "Ann Lee"},
                {"kind": "EMAIL_ADDRESS", "value": "ann@acme.example"},
            ],
        },
    ],
    ids=["ours", "presidio", "doccano", "ai4privacy", "values"],
)
def test_common_forms_say_the_same(tmp_path: Path, line: dict[str, Any]) -> None:
    assert read_gold(write(tmp_path, line, "")) == Gold((GoldText(TEXT, WANTED),), 0)


def test_offsets_are_characters_and_a_value_stands_wherever_it_does(tmp_path: Path) -> None:
    text = "😀 Zoë, Zoëlle and Zoë"
    line = {"text": text, "spans": [{"kind": "PERSON", "value": "Zoë"}]}
    (found,) = read_gold(write(tmp_path, line)).texts
    assert [text[a:b] for _, a, b in found.spans] == ["Zoë", "Zoë"]
    assert [span[1] for span in found.spans] == [2, 18]


def test_what_nobody_has_read_does_not_count(tmp_path: Path) -> None:
    """It was marked by the recognizers that are to be measured."""
    span = {"kind": "PERSON", "value": "Ann Lee"}
    unread = {"marked": False, "text": TEXT, "spans": [span]}
    found = read_gold(write(tmp_path, unread, {"text": TEXT, "spans": [span]}))
    assert (len(found.texts), found.unmarked) == (1, 1)
    with pytest.raises(UserError, match="nothing is marked in any text \\(1 not read yet"):
        read_gold(write(tmp_path, unread))


SPAN = {"start": 0, "end": 7, "kind": "PERSON"}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"text": "Ann Lee"', "this is no JSON object"),
        ("[" * 5000 + "]" * 5000, "this is no JSON object"),
        ([TEXT], "this is no JSON object"),
        ({"spans": []}, "text: a text is required"),
        ({"full_text": 5, "spans": []}, "full_text: a text is required"),
        ('{"text": "\\ud800 Ann Lee", "spans": []}', "lone surrogate"),
        ({"text": TEXT}, "spans: a list is required"),
        ({"text": TEXT, "entities": "PERSON"}, "entities: a list is required"),
        ({"text": TEXT, "spans": [SPAN, "PERSON"]}, r"spans\[1\]: this is no span"),
        ({"text": TEXT, "spans": [{"start": 0, "end": 7}]}, r"spans\[0\].kind: a kind is requ"),
        ({"text": TEXT, "spans": [{**SPAN, "kind": " - "}]}, r"spans\[0\].kind: a kind is requ"),
        ({"text": TEXT, "spans": [{**SPAN, "start": "0"}]}, r"\[0\].start: a whole number"),
        ({"text": TEXT, "spans": [{**SPAN, "start": True}]}, r"\[0\].start: a whole number"),
        ({"text": TEXT, "spans": [{"start": 3, "kind": "X"}]}, r"\[0\].end: a whole number"),
        ({"text": TEXT, "spans": [{**SPAN, "end": 26}]}, r"\[0\].end: 26 is outside"),
        ({"text": TEXT, "spans": [{**SPAN, "start": -1}]}, r"\[0\].start: -1 is outside"),
        ({"text": TEXT, "spans": [{**SPAN, "start": 7}]}, r"\[0\].end: 7 is not after 7"),
        ({"text": TEXT, "spans": [{**SPAN, "start": 7, "end": 9}]}, "no letter or digit is there"),
        ({"text": TEXT, "spans": [{**SPAN, "value": "Ann Le"}]}, "stands something else"),
        ({"text": TEXT, "spans": [{"kind": "X", "value": "Bob"}]}, "value: it is not in the text"),
        ({"text": TEXT, "spans": [{"kind": "X", "value": ", "}]}, "it has no letter or digit"),
    ],
)
def test_a_wrong_line_is_told_with_its_number_and_field(
    tmp_path: Path, line: Any, says: str
) -> None:
    path = write(tmp_path, {"text": TEXT, "spans": [SPAN]}, line)
    with pytest.raises(UserError, match=says) as caught:
        read_gold(path)
    assert f"{path}:2: " in caught.value.message
    assert caught.value.remedy
    assert "Lee" not in str(caught.value) and "acme" not in str(caught.value)


def test_many_wrong_lines_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="and 4 more lines") as caught:
        read_gold(write(tmp_path, *["[]"] * 12))
    assert caught.value.message.count("no JSON object") == 8


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can't be read"):
        read_gold(tmp_path / "none.jsonl")
    assert gold_digest(tmp_path / "none.jsonl") is None
    (tmp_path / "latin.jsonl").write_bytes('{"text": "Zoë"}'.encode("latin-1"))
    with pytest.raises(UserError, match="byte 12 is no UTF-8"):
        read_gold(tmp_path / "latin.jsonl")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("first_name", "PERSON"),
        ("Street Address", "ADDRESS"),
        ("GPE", "LOCATION"),
        ("DE_PASSPORT", "PASSPORT"),
        ("IT_FISCAL_CODE", "TAX_NUMBER"),
        ("UK_NINO", "NATIONAL_ID"),
        ("PHONE_NUMBER", "PHONE_NUMBER"),
        ("employee id", "EMPLOYEE_ID"),
    ],
)
def test_kinds_have_one_name(theirs: str, ours: str) -> None:
    assert kind_of(theirs) == ours
    assert kind_of(ours) == ours
