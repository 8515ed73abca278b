"""What a teacher is asked that nobody adapts, on the tiny tokenizer."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ClassificationTask
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.errors import UserError
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_tokenizer
from stillhouse.tasks import prompting
from stillhouse.tasks.classification import Classification
from stillhouse.tasks.common import rows_of
from stillhouse.tasks.prompting import Prompter

TURNS = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

Rows = list[dict[str, Any]]
Make = Callable[..., Prompter]


@pytest.fixture
def make(
    tiny_teacher: Path,
    routing: ClassificationTask,
    routing_pairs: Rows,
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> Make:
    """A prompter of `routing`, whose held-out texts are new ones; by settings."""
    rows = [
        r if r["split"] == "train" else r | {"input": f"New: {r['input']}"} for r in routing_pairs
    ]
    dataset = write_dataset(tmp_path / "d.parquet", rows)

    def call(
        *,
        classes: dict[str, str] | None = None,
        context: int | None = None,
        vocabulary: int | None = None,
        **settings: Any,
    ) -> Prompter:
        tokenizer = load_tokenizer(tiny_teacher)
        tokenizer.chat_template = TURNS
        task = routing.model_copy(update={"classes": classes or {}})
        return Prompter(
            Encoder(tokenizer, 64),
            TeacherPrompt.model_validate({"max_tokens": 4096, **settings}),
            Classification(task, dataset),
            dataset,
            context,
            vocabulary,
        )

    return call


def rows_in(prompter: Prompter, split: str) -> Rows:
    return [r for rows in rows_of(prompter.dataset, "routing", split) for r in rows]


def test_a_prompt_says_what_to_do_what_the_classes_are_shots_and_the_text(make: Make) -> None:
    prompter = make(classes={"billing": " Invoices\nand payments "}, shots=2, choose="nearest")
    (row, *_) = rows_in(prompter, "test")
    asked = prompter.prompts([row])
    (example,) = asked.examples
    decode = prompter.encoder.tokenizer.decode
    assert decode(example.ids[: example.response_start]) == (
        "<|im_start|>system\nName the department.\n\n"
        "Answer with the name of one of these categories, and nothing else:\n"
        "- billing: Invoices and payments\n- hardware<|im_end|>\n"
        "<|im_start|>user\nWhere is my invoice for May?<|im_end|>\n"
        "<|im_start|>assistant\nbilling<|im_end|>\n"
        # The nearest stands last.
        "<|im_start|>user\nI was charged twice.<|im_end|>\n"
        "<|im_start|>assistant\nbilling<|im_end|>\n"
        "<|im_start|>user\nNew: I was charged twice.<|im_end|>\n<|im_start|>assistant\n"
    )
    assert example.key == row["pair_id"]
    assert example.response_ids == [0]
    assert asked.priors is None
    assert asked.vocabulary == len(prompter.encoder.tokenizer)
    assert make(vocabulary=99).prompts([row]).vocabulary == 99


def test_pairs_have_the_responses_of_the_students_short_prompts(make: Make) -> None:
    prompter = make(choose="nearest")
    rows = rows_in(prompter, "train")
    short, rich = prompter.encoder.pairs(rows), prompter.pairs(rows)
    assert [e.response_ids for e in rich] == [e.response_ids for e in short]
    assert [e.key for e in rich] == [r["pair_id"] for r in rows]
    asked = prompter.prompts(rows).examples
    assert [e.ids[: e.response_start] for e in rich] == [e.ids[: e.response_start] for e in asked]


def test_a_training_pairs_own_answer_is_not_in_its_prompt(make: Make) -> None:
    prompter = make(shots=99)
    rows = rows_in(prompter, "train")
    for row, example in zip(rows, prompter.prompts(rows).examples, strict=True):
        whole = prompter.encoder.tokenizer.decode(example.ids[:-1])
        assert whole.count(row["input"]) == 1
        assert all(whole.count(other["input"]) == 1 for other in rows)


@pytest.mark.parametrize("choose", ["balanced", "nearest"])
def test_priors_are_the_same_prompts_without_their_texts(make: Make, choose: str) -> None:
    prompter = make(calibrate=True, choose=choose, shots=2)
    rows = rows_in(prompter, "test")
    asked = prompter.prompts(rows)
    assert asked.priors is not None
    decode = prompter.encoder.tokenizer.decode
    for row, example, prior in zip(rows, asked.examples, asked.priors, strict=True):
        whole, empty = (decode(e.ids[: e.response_start]) for e in (example, prior))
        assert row["input"] in whole
        assert whole.replace(row["input"], "") == empty
    assert (len({tuple(p.ids) for p in asked.priors}) == 1) == (choose == "balanced")


def test_a_long_text_loses_its_end_and_a_long_shot_too(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prompting, "SHOT_TOKENS", 4)
    monkeypatch.setattr(prompting, "TEXT_TOKENS", 8)
    bare = make(shots=0)
    (example,) = bare.prompts(rows_in(bare, "test")[:1]).examples
    limit = example.response_start + 100
    prompter = make(shots=2, max_tokens=limit)
    row = rows_in(prompter, "test")[0] | {"input": "Where is it? " * 50 + "END"}
    shots = prompter.shots.of([row])[0]
    shots[0]["input"] += " And then some more words of it." * 9
    (example,) = prompter.prompts([row]).examples
    answer = prompter.kind.longest_answer(prompter.encoder)
    assert limit - 4 <= example.response_start + answer <= limit
    whole = prompter.encoder.tokenizer.decode(example.ids[:-1])
    assert "END" not in whole
    assert "user\nWhere is it?" in whole
    assert whole.count("assistant\n") == 3
    assert [shot["input"] in whole for shot in shots] == [False, True]
    assert shots[0]["input"][:10] in whole
    assert (prompter.tally.prompts, prompter.tally.cut, prompter.tally.fewer) == (1, 1, 0)
    prompter.warn()
    assert "1 of 1 texts lost their end" in caplog.text
    assert "Where" not in caplog.text


def test_fewer_shots_are_shown_where_they_leave_no_room(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    base = make(shots=0)
    rows = rows_in(base, "test")
    (bare,) = base.prompts(rows[:1]).examples
    limit = bare.response_start + 70
    prompter = make(shots=5, choose="nearest", max_tokens=limit)
    asked = prompter.prompts(rows).examples
    used = [prompter.encoder.tokenizer.decode(e.ids).count("assistant\n") - 1 for e in asked]
    assert 0 < max(used) < 5
    assert all(e.response_start <= limit for e in asked)
    assert prompter.tally.shots == sum(used)
    assert prompter.tally.fewer == len(rows) == prompter.tally.prompts
    assert prompter.tally.tokens == sum(e.response_start for e in asked)
    # The farthest go first.
    (nearest,) = prompter.shots.of(rows[:1])
    whole = prompter.encoder.tokenizer.decode(asked[0].ids)
    shown = [s["input"] in whole for s in nearest]
    assert shown == sorted(shown, reverse=True)
    assert shown[0]
    with caplog.at_level(logging.WARNING):
        prompter.warn()
    assert f"{len(rows)} of {len(rows)} prompts had no room for 5 shots" in caplog.text


def test_beside_an_answer_that_takes_all_the_room_stands_no_text(make: Make) -> None:
    prompter = make(max_tokens=256)
    (row, *_) = rows_in(prompter, "train")
    long = row | {"input": "a long text " * 400, "response": "an answer " * 200}
    (example,) = prompter.pairs([long])
    assert example.response_start < 256


def test_a_prompt_without_room_for_a_text_is_told(make: Make) -> None:
    with pytest.raises(UserError, match=r"prompt\.max_tokens is 64: .* task routing") as error:
        make(max_tokens=64, classes={"billing": "invoices, payments, refunds " * 9})
    assert "raise `teachers[].prompt.max_tokens`" in error.value.remedy
    with pytest.raises(UserError, match="the teacher takes 80 tokens at most") as error:
        make(context=80)
    assert "longer texts" in error.value.remedy


def test_the_fingerprint_is_that_of_all_that_is_asked_beside_the_text(make: Make) -> None:
    base = make().fingerprint
    assert make().fingerprint == base
    changed: list[dict[str, Any]] = [
        {"classes": {"billing": "invoices"}},
        {"shots": 2},
        {"choose": "random"},
        {"calibrate": True},
        {"form": "plain"},
        {"max_tokens": 2000},
        {"context": 2000},
    ]
    assert len({base, *(make(**change).fingerprint for change in changed)}) == 8
