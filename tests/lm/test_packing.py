"""Packed texts against padded ones: the same hidden states and gradients in every family."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from stillhouse.lm import batches
from stillhouse.lm.batches import Batch, collate, layered_hidden, response_hidden
from stillhouse.lm.packing import MODEL_TYPES, pack
from stillhouse.lm.prompts import Example
from stillhouse.models.precision import ROWS_OF_16_BITS

SHARED = list(range(20, 29))
EXAMPLES = [
    Example("long", [*SHARED, 5, 6, 7, 8, 9, 10, 11, 12, 3, 4], 17),
    Example("short", [*SHARED, 5, 9, 30, 31], 11),
    Example("same again", [*SHARED, 5, 9, 30, 31], 11),
    Example("of its own", [40, 41, 42, 43, 44], 4),
]


def model_of(kind: str, **more: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    settings = {
        "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
        "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.3, **more,
    }  # fmt: skip
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **settings)).eval()


def batch_of(examples: list[Example]) -> Batch:
    return collate(examples, pad_id=0, device=torch.device("cpu"))


@contextmanager
def padded(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patched:
        patched.setattr(batches, "can_pack", lambda _: False)
        yield


def gradients(model: PreTrainedModel, value: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (value * torch.linspace(-1, 1, value.numel()).view_as(value)).sum().backward()
    found = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    assert found
    return found


@pytest.mark.parametrize("kind", MODEL_TYPES)
@pytest.mark.parametrize("window", [None, 4])
def test_packed_is_padded(kind: str, window: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if window and kind == "llama":
        pytest.skip("has no sliding window")
    more = {"sliding_window": window, "use_sliding_window": window is not None}
    model = model_of(kind, **(more if kind != "llama" else {}))
    if window and hasattr(model.config, "layer_types"):
        model.config.layer_types = ["sliding_attention"] * 3
        model = type(model)(model.config).eval()
    batch = batch_of(EXAMPLES)
    with padded(monkeypatch):
        expected = response_hidden(model, batch)
        by_padding = gradients(model, expected)
    found = response_hidden(model, batch)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    by_packing = gradients(model, found)
    assert by_packing.keys() == by_padding.keys()
    for name, gradient in by_padding.items():
        torch.testing.assert_close(by_packing[name], gradient, atol=1e-4, rtol=1e-3, msg=name)


def test_a_window_hides_what_lies_behind_it() -> None:
    """Else the test above could compare two models that both see everything."""
    one, other = model_of("mistral", sliding_window=4), model_of("mistral", sliding_window=None)
    found, whole = (response_hidden(m, batch_of(EXAMPLES)) for m in (one, other))
    assert (found - whole).abs().max() > 1e-2


def test_embeddings_stand_in_for_tokens() -> None:
    model = model_of("llama")
    with torch.no_grad():
        stand_ins = [model.model.embed_tokens(torch.tensor(e.ids[:-1])) for e in EXAMPLES]
        batch = collate(EXAMPLES, pad_id=0, device=torch.device("cpu"), embeddings=stand_ins)
        torch.testing.assert_close(
            response_hidden(model, batch), response_hidden(model, batch_of(EXAMPLES))
        )
    assert batch.inputs["inputs_embeds"].shape == (4, 18, 32)


def test_a_model_that_nobody_tried_is_padded() -> None:
    model, shapes = model_of("gpt_neox"), []
    assert "gpt_neox" not in MODEL_TYPES
    model.gpt_neox.embed_in.register_forward_pre_hook(
        lambda _, given: shapes.append(given[0].shape)
    )
    found = response_hidden(model, batch_of(EXAMPLES))
    assert shapes == [(4, 18)]
    alone = torch.cat([response_hidden(model, batch_of([e])) for e in EXAMPLES])
    torch.testing.assert_close(found, alone, atol=1e-5, rtol=1e-4)


def test_what_texts_begin_with_is_worked_on_once() -> None:
    model, rows = model_of("llama"), []
    hook = model.model.layers[0].register_forward_hook(lambda _, __, out: rows.append(out.shape[1]))
    response_hidden(model, batch_of(EXAMPLES))
    hook.remove()
    assert rows == [9 + 9 + 2 + 4]  # shared, long, short (5 is the long one's too), of its own


def test_the_last_layer_works_on_the_rows_that_are_read() -> None:
    model, rows = model_of("llama"), {}
    hooks = [
        layer.mlp.down_proj.register_forward_hook(
            lambda _, __, out, n=number: rows.__setitem__(n, out.shape[1])
        )
        for number, layer in enumerate(model.model.layers)
    ]
    response_hidden(model, batch_of(EXAMPLES))
    assert rows == {0: 24, 1: 24, 2: 5}  # 2 + 2 + 0 + 1: the third text is the second
    layered_hidden(model, batch_of(EXAMPLES))
    assert rows[2] == 24
    for hook in hooks:
        hook.remove()
    assert not model.model.layers[-1].mlp._forward_hooks
    assert model.config._attn_implementation == "sdpa"


def test_rows_are_rounded_up_in_16_bits() -> None:
    model = model_of("llama").to(torch.bfloat16)
    seen = []
    for layer in model.model.layers:
        layer.mlp.register_forward_pre_hook(lambda _, given: seen.append(given[0].shape[1]))
    batch = batch_of(EXAMPLES)
    found = response_hidden(model, batch)
    assert set(seen) == {ROWS_OF_16_BITS}
    exact = response_hidden(model.float(), batch)
    torch.testing.assert_close(found.float(), exact, atol=0.1, rtol=0.1)
    assert (found.float() - exact).abs().mean() < 0.02


def test_what_layers_give_is_the_same_packed_or_padded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, batch = model_of("llama"), batch_of(EXAMPLES)
    with padded(monkeypatch):
        expected, states = layered_hidden(model, batch, [0, 2])
    found, packed = layered_hidden(model, batch, [0, 2])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    assert [s.shape for s in packed] == [(24, 32)] * 2
    for ours, theirs in zip(packed, states, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)
    normed = model.model.norm(packed[-1])
    torch.testing.assert_close(normed[batch.packing.grid[batch.rows, batch.columns]], found)


texts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=6), min_size=1, max_size=6)


@settings(max_examples=200)
@given(texts, st.integers(1, 5))
def test_every_token_is_found_again(found: list[list[int]], multiple: int) -> None:
    packing = pack(found)
    flat = torch.tensor([t for text in found for t in text])
    tokens, longest = flat[packing.first], max(map(len, found))
    starts = {tuple(text[: i + 1]) for text in found for i in range(len(text))}
    assert len(tokens) == len(starts)
    examples = [Example(str(n), [*text, 0], len(text)) for n, text in enumerate(found)]
    batch = collate(examples, pad_id=0, device=torch.device("cpu"))
    rows, first, counts = batch.distinct_rows(range(len(found)))
    assert rows.tolist() == list(range(len(tokens)))
    assert first.tolist() == packing.first.tolist()
    assert counts.sum() == len(flat)
    for text, row in zip(found, packing.grid, strict=True):
        here = row[: len(text)]
        assert tokens[here].tolist() == text
        assert packing.positions[here].tolist() == list(range(len(text)))
    assert packing.grid.flatten()[packing.places].tolist() == list(range(len(tokens)))
    assert packing.grid.shape == (len(found), longest)
    rounded = packing.rounded(multiple)
    assert len(rounded.places) % multiple == 0 and len(rounded.places) - len(tokens) < multiple
    assert rounded.first[: len(tokens)].equal(packing.first)
