"""Scoring against the plain formula, on a small random model of the teacher's architecture."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
)

from stillhouse.lm import scoring
from stillhouse.lm.prompts import Example
from stillhouse.lm.scoring import _score_sequences, sequence_probabilities, token_probabilities
from stillhouse.teacher.trunk import Trunk, upper_part


@pytest.fixture(scope="module")
def model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=97,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        pad_token_id=0,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval()


EXAMPLES = [Example(f"e{n}", [*range(3 + n, 12 + 2 * n), 90], 9 + n) for n in range(5)]


def test_probabilities_are_the_softmax_over_the_tokens_asked_for(model: LlamaForCausalLM) -> None:
    found = token_probabilities(model, EXAMPLES, [90, 91, 92], pad_id=0, batch_size=2)
    for example, row in zip(EXAMPLES, found, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([example.ids[:-1]])).logits[0, -1, [90, 91, 92]]
        np.testing.assert_allclose(row, torch.softmax(logits, -1).numpy(), atol=1e-5)


def test_sequences_are_scored_as_whole_sequences_apart_from_each_other(
    model: LlamaForCausalLM,
) -> None:
    prompts = [[3, 4, 5, 6], [7, 8], [9, 10, 11, 12, 13, 14]]
    names = [[20, 21, 22], [20, 23], [24]]  # two share their first token
    with torch.no_grad():
        found = _score_sequences(model, prompts, names, 97)
        for row, prompt in enumerate(prompts):
            for column, name in enumerate(names):
                log_probs = model(torch.tensor([prompt + name])).logits[0].log_softmax(-1)
                expected = sum(log_probs[len(prompt) - 1 + i, t] for i, t in enumerate(name))
                assert float(found[row, column]) == pytest.approx(float(expected), abs=1e-4)


SHARED = list(range(30, 60))
AFTER_SHARED = [
    Example(f"s{n}", [*SHARED, *range(3 + n, 5 + 2 * n), 90], len(SHARED) + 2 + n) for n in range(6)
]
NAMES = [[20, 21, 22], [20, 21], [24]]  # one is how another begins


def test_what_all_prompts_begin_with_is_read_once_and_changes_nothing(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [e.ids[: e.response_start] for e in AFTER_SHARED]
    read: list[tuple[int, ...]] = []
    run = model.model.forward
    monkeypatch.setattr(
        model.model,
        "forward",
        lambda **given: (read.append(given["input_ids"].shape), run(**given))[1],
    )
    score = partial(
        scoring._sequence_scores,
        model,
        sequences=NAMES,
        vocabulary=97,
        batch_size=2,
        description="",
    )
    found = score(prompts)
    assert read[0] == (1, len(SHARED))
    assert max(length for _, length in read[1:]) < len(SHARED)
    read.clear()
    np.testing.assert_allclose(found, score(prompts, share=False), atol=1e-4)
    assert min(length for _, length in read) > len(SHARED)
    for row, prompt in zip(found, prompts, strict=True):
        np.testing.assert_allclose(row, _one_by_one(model, prompt, NAMES), atol=1e-4)


def _one_by_one(model: LlamaForCausalLM, prompt: list[int], names: list[list[int]]) -> list[float]:
    found = []
    for name in names:
        with torch.no_grad():
            log_probs = model(torch.tensor([prompt + name])).logits[0].log_softmax(-1)
        found.append(sum(float(log_probs[len(prompt) - 1 + i, t]) for i, t in enumerate(name)))
    return found


@pytest.mark.parametrize(
    "prompts",
    [[[5, 6, 7]], [[5, 6, 7], [5, 6, 7]], [[5, 6], [5, 6, 7]], [[5, 6, 7], [5, 8]], [[5], [6]]],
)
def test_prompts_that_begin_alike_keep_a_token_of_their_own(
    model: LlamaForCausalLM, prompts: list[list[int]]
) -> None:
    examples = [Example(f"p{n}", [*ids, 0], len(ids)) for n, ids in enumerate(prompts)]
    found = sequence_probabilities(model, examples, NAMES, vocabulary=97)
    for row, prompt in zip(found, prompts, strict=True):
        expected = torch.tensor(_one_by_one(model, prompt, NAMES)).softmax(0)
        np.testing.assert_allclose(row, expected.numpy(), atol=1e-5)


def test_with_their_ends_a_longer_answer_can_win_over_its_own_beginning(
    model: LlamaForCausalLM,
) -> None:
    short, long, prompt = [20], [20, 21], [[3, 4, 5]]
    score = partial(
        scoring._sequence_scores, model, prompt, vocabulary=97, batch_size=1, description=""
    )
    (never,) = score(sequences=[short, long])
    assert never[0] > never[1]
    ends = range(97)
    (found,) = score(sequences=[[*name, end] for name in (short, long) for end in ends])
    wins = found[97:] > found[:97]
    assert 0 < wins.sum() < 97


SHAPE: dict[str, Any] = {
    "vocab_size": 97, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
    "initializer_range": 0.4, "sliding_window": 5,
}  # fmt: skip
ALTERNATING = ["sliding_attention", "full_attention"] * 2


@pytest.mark.parametrize(
    "config",
    [
        MistralConfig(**SHAPE),  # in all layers
        Qwen2Config(**SHAPE, use_sliding_window=True, layer_types=ALTERNATING),
        Qwen2Config(**SHAPE, use_sliding_window=False),
        Gemma3TextConfig(**SHAPE, layer_types=ALTERNATING),
    ],
    ids=["mistral", "qwen2", "qwen2-without", "gemma3"],
)
@pytest.mark.parametrize("share", [True, False])
def test_layers_that_see_a_window_see_no_more(config: PreTrainedConfig, share: bool) -> None:
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config).eval()
    prompts = [e.ids[: e.response_start] for e in AFTER_SHARED]
    found = scoring._sequence_scores(
        model, prompts, sequences=NAMES, vocabulary=97, batch_size=3, description="", share=share
    )
    for row, prompt in zip(found, prompts, strict=True):
        np.testing.assert_allclose(row, _one_by_one(model, prompt, NAMES), atol=1e-3)


def test_few_positions_of_the_vocabulary_at_a_time_give_the_same(
    model: LlamaForCausalLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sequence_probabilities(model, AFTER_SHARED, NAMES, vocabulary=97)
    monkeypatch.setattr(scoring, "LOGITS_HELD", 97)
    found = sequence_probabilities(model, AFTER_SHARED, NAMES, vocabulary=97)
    np.testing.assert_allclose(found, whole, atol=1e-6)


def test_what_is_said_of_no_text_is_divided_out(model: LlamaForCausalLM) -> None:
    """p(answer | text) / p(answer | nothing), normalised: Zhao et al., 2021."""
    empty = [
        Example(e.key, [*SHARED, 7 + n % 2, 0], len(SHARED) + 1) for n, e in enumerate(EXAMPLES)
    ]
    plain = sequence_probabilities(model, EXAMPLES, NAMES, vocabulary=97)
    prior = sequence_probabilities(model, empty, NAMES, vocabulary=97)
    found = sequence_probabilities(model, EXAMPLES, NAMES, vocabulary=97, priors=empty)
    expected = plain / prior
    np.testing.assert_allclose(found, expected / expected.sum(1, keepdims=True), rtol=1e-4)
    # Of a prompt that is as empty itself, nothing is left to know.
    even = sequence_probabilities(model, empty, NAMES, vocabulary=97, priors=empty)
    np.testing.assert_allclose(even, np.full_like(even, 1 / 3), atol=1e-6)


def test_the_upper_part_on_cached_states_is_the_whole_model(
    model: LlamaForCausalLM, tmp_path: object
) -> None:
    trunk = Trunk(model, 3, tmp_path / "trunk", pad_id=0)  # type: ignore[operator]
    trunk.prepare(EXAMPLES)
    assert len(model.model.layers) == 4  # the model is whole again
    whole = token_probabilities(model, EXAMPLES, [90, 91], pad_id=0)
    upper = token_probabilities(
        upper_part(model, 3), EXAMPLES, [90, 91], pad_id=0, embeddings=trunk
    )
    np.testing.assert_allclose(upper, whole, atol=1e-5)


def test_the_upper_part_is_its_own_where_others_hook_into_the_model(
    model: LlamaForCausalLM, tmp_path: object
) -> None:
    """As accelerate does to spread a model over devices."""
    from accelerate.hooks import ModelHook, add_hook_to_module, remove_hook_from_module

    whole = token_probabilities(model, EXAMPLES, [90, 91], pad_id=0)
    trunk = Trunk(model, 3, tmp_path / "trunk", pad_id=0)  # type: ignore[operator]
    trunk.prepare(EXAMPLES)
    add_hook_to_module(model.model, ModelHook())
    try:
        upper = upper_part(model, 3)
        found = token_probabilities(upper, EXAMPLES, [90, 91], pad_id=0, embeddings=trunk)
    finally:
        remove_hook_from_module(model.model)
    np.testing.assert_allclose(found, whole, atol=1e-5)
    assert {p.device.type for p in upper.parameters()} == {"cpu"}


def test_cached_states_are_not_computed_again(
    model: LlamaForCausalLM, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "trunk"  # type: ignore[operator]
    Trunk(model, 2, folder, pad_id=0).prepare(EXAMPLES[:3])
    computed: list[str] = []
    original = Trunk._compute
    monkeypatch.setattr(
        Trunk,
        "_compute",
        lambda self, examples: computed.extend(e.key for e in examples) or original(self, examples),
    )
    Trunk(model, 2, folder, pad_id=0).prepare(EXAMPLES)
    assert sorted(computed) == ["e3", "e4"]


def test_cached_states_of_texts_that_are_gone_leave_the_disk(
    model: LlamaForCausalLM, tmp_path: Path
) -> None:
    Trunk(model, 2, tmp_path, pad_id=0).prepare(EXAMPLES)
    again = Trunk(model, 2, tmp_path, pad_id=0)
    again.prepare(EXAMPLES[:2])
    stored = {name for file in tmp_path.glob("*.safetensors") for name in load_file(file)}
    assert len(stored) == 2
    assert [tensor.shape[0] for tensor in again(EXAMPLES[:2])] == [9, 10]
    again.prepare(EXAMPLES[3:])
    assert len(list(tmp_path.iterdir())) == 1
