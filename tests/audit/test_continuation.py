"""Going on with a text is judged as if it had been written."""

from __future__ import annotations

from math import log
from pathlib import Path

import pytest
import torch

from stillhouse.audit.continuation import CONTINUED, Begun, begun, drawn, goes_on, remembered, some
from stillhouse.audit.generations import write_freely
from stillhouse.audit.scores import score_tokens
from stillhouse.lm.generation import generate
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import load_model, load_tokenizer


def test_what_greedy_decoding_writes_is_gone_on_with(tiny_teacher: Path) -> None:
    model = load_model(tiny_teacher, torch.device("cpu"), torch.float32)
    encoder = Encoder(load_tokenizer(tiny_teacher), 96)
    prompts = encoder.texts(["Where is my invoice", "The screen stays"])
    written = generate(
        model, prompts, end_ids=[], max_new_tokens=CONTINUED, vocabulary=len(encoder.tokenizer)
    )
    own = [Begun("a", p, w.ids, "") for p, w in zip(prompts, written, strict=True)]
    other = [Begun("b", t.prompt, [(t.rest[0] + 1) % 99, *t.rest[1:]], "") for t in own]
    assert goes_on(model, encoder, [*own, *other]) == [True, True, False, False]
    # As the model's own words were scored while it wrote them.
    scored = score_tokens(
        model,
        [Example(t.key, t.prompt + t.rest, len(t.prompt)) for t in own],
        pad_id=encoder.tokenizer.pad_token_id,
        vocabulary=len(encoder.tokenizer),
    )
    for said, answer in zip(scored, written, strict=True):
        assert said.log_probs == pytest.approx(answer.log_probs, abs=1e-4)


def test_one_of_a_hundred_draws_counts() -> None:
    assert drawn(log(0.007)) and not drawn(log(0.0068)) and drawn(1e-9) and not drawn(-1000.0)


def test_memory_is_what_nothing_else_explains(tiny_teacher: Path, routing_dataset: Path) -> None:
    texts = [Begun(str(i), [1], [2], said) for i, said in enumerate(("charged twice", "no such"))]
    texts.append(Begun("2", [1], [2], "s"))  # of several documents
    assert remembered(texts, [True] * 3, [False] * 3, routing_dataset) == [True, True, False]
    assert remembered(texts, [True] * 3, [True, False, False], routing_dataset)[0] is False
    encoder = Encoder(load_tokenizer(tiny_teacher), 96)
    row = {"pair_id": "p", "instruction": "Name it.", "input": "x", "response": "long " * 30}
    (found,) = begun(encoder, [row], max_tokens=96)
    assert found.key == "p answer" and len(found.rest) == CONTINUED
    assert some(texts, 2, seed=1) == some(texts, 2, seed=1) and len(some(texts, 9, seed=1)) == 3


def test_free_texts_hold_no_token_that_is_an_answer_of_its_own(tiny_teacher: Path) -> None:
    model = load_model(tiny_teacher, torch.device("cpu"), torch.float32)
    encoder = Encoder(load_tokenizer(tiny_teacher), 96)
    tokens = [t for t in encoder.tokenizer.get_added_vocab() if t.startswith("<|routing:")]
    barred = encoder.tokenizer.convert_tokens_to_ids(tokens)
    with torch.no_grad():  # the likeliest of all, whatever comes before
        model.get_input_embeddings().weight[barred] *= 50
    how = {"count": 8, "tokens": 8, "seed": 1}
    free = write_freely(model, encoder, ["Name it."], barred=[], **how)
    assert any(token in text for text in free for token in tokens)
    texts = write_freely(model, encoder, ["Name it."], barred=barred, **how)
    assert any(texts) and not any(token in text for text in texts for token in tokens)
