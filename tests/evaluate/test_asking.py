from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import QuestionAnsweringTask, Task
from stillhouse.errors import UserError
from stillhouse.evaluate.asking import Model, ask, inputs_of


@pytest.mark.parametrize(
    "asked", [{"text": 5}, {"text": ["a"]}, {"other": "a"}, {"text": " "}, "", {"text": None}]
)
def test_what_is_no_text_is_told_by_its_number(
    asked: Any, tiny_teacher: Path, routing: Task, routing_dataset: Path
) -> None:
    models = [Model("student", tiny_teacher, 64)]
    with pytest.raises(UserError, match="input 2: it has no text for task routing"):
        list(ask(models, routing_dataset, [routing], ["Where is my bill?", asked]))


@pytest.mark.parametrize("asked", ["a \ud83d", {"text": "\udcff b"}])
def test_half_a_character_is_told_by_its_number(
    asked: Any, tiny_teacher: Path, routing: Task, routing_dataset: Path
) -> None:
    with pytest.raises(UserError, match="input 1: its text is not valid Unicode"):
        list(ask([Model("student", tiny_teacher, 64)], routing_dataset, [routing], [asked]))


@pytest.mark.parametrize("asked", [{"question": 3, "passage": "b"}, {"question": "a?"}, "a text"])
def test_a_question_wants_a_passage(
    asked: Any, tiny_teacher: Path, routing_dataset: Path, routing: Task
) -> None:
    task = QuestionAnsweringTask(name="qa", kind="question_answering", sources=["tickets"])
    with pytest.raises(UserError, match="input 1: it has no text for task qa"):
        list(ask([Model("student", tiny_teacher, 64)], routing_dataset, [task], [asked]))


def test_other_fields_come_back_with_the_answer(
    tiny_teacher: Path, routing: Task, routing_dataset: Path
) -> None:
    asked = [{"text": "Where is my bill?", "number": 7, "of": {"a": 1}}]
    (found,) = ask([Model("student", tiny_teacher, 64)], routing_dataset, [routing], asked)
    assert found["number"] == 7
    assert found["of"] == {"a": 1}
    assert found["answer"] in ("billing", "hardware")
    assert 0.5 <= found["confidence"] <= 1


def test_what_was_asked_under_a_name_of_the_answers_is_given_back_apart(
    tiny_teacher: Path, routing: Task, routing_dataset: Path
) -> None:
    asked = [{"text": "Where is my bill?", "answer": "gold", "teacher": 7, "given": "a", "n": 1}]
    models = [Model(name, tiny_teacher, 64) for name in ("student", "teacher")]
    (found,) = ask(models, routing_dataset, [routing], asked)
    assert found["given"] == {"answer": "gold", "teacher": 7, "given": "a"}
    assert found["n"] == 1
    assert found["answer"] in ("billing", "hardware")
    assert found["teacher"]["answer"] == found["answer"]


def test_lines_that_are_no_objects_are_told() -> None:
    assert list(inputs_of("two lines\nof a text")) == ["two lines\nof a text"]
    with pytest.raises(UserError, match="line 2: no JSON object"):
        list(inputs_of('{"text": "a"}\n["b"]\n'))


def test_only_a_line_feed_ends_a_line() -> None:
    """JSON allows other line ends within its strings, and answers are written so."""
    text = "a\u2028b\x85c"
    lines = f'{{"text": "{text}"}}\r\n{{"text": "d"}}\n'
    assert list(inputs_of(lines)) == [{"text": text}, {"text": "d"}]
