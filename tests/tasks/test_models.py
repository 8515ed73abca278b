from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from stillhouse.lm.following import followed
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.tasks.common import Examples
from stillhouse.tasks.models import Validation
from stillhouse.tasks.results import Scored


class Asked:
    """A kind whose answers score as told, one predict after another."""

    def __init__(self, scores: Iterable[float], *, written: bool = False) -> None:
        self.scores, self.asked = iter(scores), 0
        self.task = SimpleNamespace(name="written" if written else "chosen")
        self.answer_tokens = {} if written else {"a": "<a>"}

    def predict(self, *_: Any, **__: Any) -> list[Any]:
        self.asked += 1
        return []

    def score(self, *_: Any) -> Scored:
        return Scored(
            n=1, score=next(self.scores), right=np.array([True]), figures={}, metrics={}, table={},
            calibration_error=None, detail=None,
        )  # fmt: skip

    @property
    def split(self) -> Examples:
        return Examples(self, [], [], [])  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def model_and_encoder(tiny_base: Path) -> tuple[Any, Encoder]:
    model = load_model(tiny_base, torch.device("cpu"), torch.float32)
    return model, Encoder(load_tokenizer(tiny_base), 128)


def example(encoder: Encoder, text: str, response: str) -> Example:
    row = {"pair_id": text, "instruction": "Say.", "input": text, "response": response}
    return encoder.pairs([row])[0]


def test_the_best_epoch_is_not_scored_again() -> None:
    kind = Asked([0.3, 0.9, 0.5])
    validation = Validation(None, None, [kind.split], {})  # type: ignore[arg-type]
    assert [validation.of_epoch()["score"] for _ in range(3)] == [0.3, 0.9, 0.5]
    assert validation.of_best(1)[0].score == 0.9


def test_one_that_an_earlier_process_scored_is() -> None:
    kind = Asked([0.5, 0.9])
    validation = Validation(None, None, [kind.split], {})  # type: ignore[arg-type]
    validation.of_epoch()
    assert validation.of_best(1)[0].score == 0.9
    assert next(kind.scores, None) is None


def test_answers_are_written_once_and_followed_at_every_epoch(
    model_and_encoder: tuple[Any, Encoder],
) -> None:
    model, encoder = model_and_encoder
    gold = [example(encoder, "one", "abc"), example(encoder, "two", "d")]
    chosen, written = Asked([0.4, 0.6]), Asked([0.7], written=True)
    validation = Validation(model, encoder, [chosen.split, written.split], {"written": gold})
    share, loss = followed(
        model, gold, pad_id=encoder.tokenizer.pad_token_id, vocabulary=len(encoder.tokenizer)
    )
    for score in (0.4, 0.6):
        figures = validation.of_epoch()
        assert figures["nll"] == pytest.approx(loss)
        assert figures["score"] == pytest.approx((score + share) / 2 - 1e-3 * loss)
    assert written.asked == 0
    assert [found.score for found in validation.of_best(0)] == [0.6, 0.7]
    assert (chosen.asked, written.asked) == (2, 1)


def test_an_answer_is_followed_as_one_token_after_another_says(
    model_and_encoder: tuple[Any, Encoder],
) -> None:
    model, encoder = model_and_encoder
    vocabulary, pad_id = len(encoder.tokenizer), encoder.tokenizer.pad_token_id
    examples = [example(encoder, "a" * n, "xyz"[: 1 + n % 3]) for n in range(5)]
    # One that it follows a part of the way: its own likeliest tokens, but for the last.
    ids = list(examples[3].ids[: examples[3].response_start])
    with torch.inference_mode():
        for _ in range(3):
            logits = model(input_ids=torch.tensor([ids])).logits[0, -1, :vocabulary]
            ids.append(int(logits.argmax()))
    examples.append(Example("own", [*ids, (ids[-1] + 1) % 90], examples[3].response_start))
    right, losses = [], []
    for one in examples:
        for place in range(one.response_start, len(one.ids)):
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([one.ids[:place]])).logits[0, -1]
            logits = logits[:vocabulary].float()
            right.append(int(logits.argmax()) == one.ids[place])
            losses.append(float(-torch.log_softmax(logits, -1)[one.ids[place]]))
    assert sum(right) >= 3
    found = followed(model, examples, pad_id=pad_id, vocabulary=vocabulary, batch_size=4)
    assert found == pytest.approx((np.mean(right), np.mean(losses)), abs=1e-5)
