from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_tokenizer
from stillhouse.tasks.common import Examples
from stillhouse.tasks.lengths import tell_what_is_cut


def told(
    tiny_base: Path, caplog: pytest.LogCaptureFixture, max_tokens: int, **task: Any
) -> list[str]:
    """Of one text of 4 characters and one of 200, both with the same answer."""
    encoder = Encoder(load_tokenizer(tiny_base), max_tokens)
    rows = [
        {"pair_id": str(n), "instruction": "Say.", "input": "w" * n, "response": "answered"}
        for n in (4, 200)
    ]
    kind: Any = SimpleNamespace(task=SimpleNamespace(name="order", **task))
    with caplog.at_level(logging.WARNING, "stillhouse"):
        tell_what_is_cut(Examples(kind, encoder.pairs(rows), [], []), max_tokens, "x.max_tokens")
    return [record.getMessage() for record in caplog.records]


def test_texts_that_lose_their_end_are_counted_by_the_field(
    tiny_base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (said,) = told(tiny_base, caplog, 64)
    assert said.startswith("Task order: 1 of 2 texts are longer than `x.max_tokens` allows (64 ")


@pytest.mark.parametrize("too_few", [0, 1])
def test_answers_that_no_model_may_write_whole_are_counted(
    tiny_base: Path, caplog: pytest.LogCaptureFixture, too_few: int
) -> None:
    (answer,) = Encoder(load_tokenizer(tiny_base), 64).responses(["answered"])
    most = len(answer) - 1 - too_few  # without its end
    said = told(tiny_base, caplog, 512, max_answer_tokens=most)
    assert [s.split(" of ")[0] for s in said] == ["Task order: 2"] * too_few


def test_what_fits_is_not_spoken_of(tiny_base: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert told(tiny_base, caplog, 512) == []
