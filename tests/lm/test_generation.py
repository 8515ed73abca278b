"""Generation against transformers' own, and against the model's probabilities one by one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from stillhouse.lm import decoder, generation
from stillhouse.lm.decoder import Decoder, rows_at_once
from stillhouse.lm.generation import Generated, generate, generate_each
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.quantize.gptq import quantize_gptq

VOCABULARY = 97
END = 96
SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.4,
    "pad_token_id": 0,
    "eos_token_id": END,
}
FAMILIES: dict[str, Any] = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SHAPE)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SHAPE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=16)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**SHAPE, sliding_window=6)),
    "qwen2, some layers sliding": lambda: Qwen2ForCausalLM(
        Qwen2Config(**SHAPE, use_sliding_window=True, sliding_window=6, max_window_layers=1)
    ),
}
PROMPTS = [[5, 6, *range(7 + n, 7 + 3 * n + 1)] for n in range(9)]


def made(family: str, seed: int = 0) -> PreTrainedModel:
    torch.manual_seed(seed)
    model: PreTrainedModel = FAMILIES[family]().eval()
    return model


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return made("llama")


def by_transformers(
    model: PreTrainedModel, prompts: Sequence[Sequence[int]], most: int, end: int | None = END
) -> list[list[int]]:
    """Greedy answers to one padded batch, up to the end token."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    with torch.inference_mode():
        found = model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=most,
            eos_token_id=end, pad_token_id=0,
        )[:, width:].tolist()  # fmt: skip
    return [row[: row.index(end)] if end in row else row for row in found]


def log_probs(model: PreTrainedModel, prompt: list[int], answer: list[int]) -> list[float]:
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1]
    table = logits.float().log_softmax(-1)
    return [float(table[i, token]) for i, token in enumerate(answer)]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_greedy_answers_are_those_of_transformers(family: str, batch_size: int) -> None:
    model = made(family)
    found = generate(
        model, PROMPTS, end_ids={END}, max_new_tokens=24, vocabulary=VOCABULARY,
        batch_size=batch_size,
    )  # fmt: skip
    assert [g.ids for g in found] == by_transformers(model, PROMPTS, 24)


def test_the_real_model_answers_as_with_transformers(smollm2_folder: Path) -> None:
    model = load_model(smollm2_folder, torch.device("cpu"), torch.float32)
    tokenizer = load_tokenizer(smollm2_folder)
    texts = [
        "The capital of France is",
        "Water boils at a temperature of",
        "Write a list of three colours:\n\n1. red\n2.",
        "She opened the letter, read it twice and then",
        "2, 4, 8, 16,",
    ]
    prompts = tokenizer(texts)["input_ids"]
    found = generate(
        model, prompts, end_ids={tokenizer.eos_token_id}, max_new_tokens=8,
        vocabulary=len(tokenizer), batch_size=3,
    )  # fmt: skip
    assert [g.ids for g in found] == by_transformers(model, prompts, 8, tokenizer.eos_token_id)
    assert "Paris" in tokenizer.decode(found[0].ids)


def test_a_quantized_model_answers_as_with_transformers(
    write_tiny_model: Callable[..., Path], tmp_path: Path
) -> None:
    folder = write_tiny_model(
        tmp_path / "checkpoint", hidden_size=192, intermediate_size=320, initializer_range=0.12
    )
    (tmp_path / "four").mkdir()
    quantize_gptq(folder, tmp_path / "four", [list(range(n, n + 20)) for n in range(20)])
    model = load_model(tmp_path / "four", torch.device("cpu"), torch.float32)
    found = generate(model, PROMPTS, end_ids=(), max_new_tokens=12, vocabulary=259)
    assert [g.ids for g in found] == by_transformers(model, PROMPTS, 12, None)
    assert len({tuple(g.ids) for g in found}) > 1


def test_the_probabilities_are_the_model_s_own_the_end_token_s_last(model: PreTrainedModel) -> None:
    prompts = [[n, n + 1, n + 2] for n in range(60)]
    found = generate(model, prompts, end_ids={END, 3}, max_new_tokens=12, vocabulary=VOCABULARY)
    assert {g.ended for g in found} == {True, False}
    for prompt, answer in zip(prompts, found, strict=True):
        assert not {END, 3} & set(answer.ids)
        if not answer.ended:
            assert len(answer.ids) == 12
        ends = [[*answer.ids, end] for end in (END, 3)] if answer.ended else [answer.ids]
        expected = [log_probs(model, prompt, ids) for ids in ends]
        assert any(np.allclose(answer.log_probs, e, atol=1e-4) for e in expected)


def test_each_answer_has_its_own_limit(model: PreTrainedModel) -> None:
    limits = [0, 5, 1, 9, 2, 0, 7, 3, 4]
    found = generate(
        model, PROMPTS, end_ids=(), max_new_tokens=limits, vocabulary=VOCABULARY, batch_size=4
    )
    assert [len(g.ids) for g in found] == limits
    assert [g.ids for g in found] == [
        row[:n] for row, n in zip(by_transformers(model, PROMPTS, 9, None), limits, strict=True)
    ]
    assert found[0] == Generated([], [], False)


prompt_lists = st.lists(
    st.lists(st.integers(1, 95), min_size=1, max_size=12), min_size=1, max_size=7
)


@settings(max_examples=25)
@given(prompt_lists, st.integers(1, 5), st.integers(1, 8), st.data())
def test_rows_know_nothing_of_each_other(
    prompts: list[list[int]], batch_size: int, most: int, data: st.DataObject
) -> None:
    model = made("llama")
    limits = data.draw(st.lists(st.integers(1, most), min_size=len(prompts), max_size=len(prompts)))
    found = generate(
        model, prompts, end_ids={END, 1, 2}, max_new_tokens=limits, vocabulary=VOCABULARY,
        batch_size=batch_size,
    )  # fmt: skip
    for prompt, limit, answer in zip(prompts, limits, found, strict=True):
        (alone,) = generate(
            model, [prompt], end_ids={END, 1, 2}, max_new_tokens=limit, vocabulary=VOCABULARY
        )
        assert (answer.ids, answer.ended) == (alone.ids, alone.ended)
        assert answer.log_probs == pytest.approx(alone.log_probs, abs=1e-4)


def test_a_padded_embedding_s_rows_are_never_written(model: PreTrainedModel) -> None:
    prompts = [[n, n + 1] for n in range(40)]
    whole = generate(model, prompts, end_ids=(), max_new_tokens=8, vocabulary=VOCABULARY)
    assert max(t for g in whole for t in g.ids) >= 50
    found = generate(model, prompts, end_ids=(), max_new_tokens=8, vocabulary=50)
    assert max(t for g in found for t in g.ids) < 50
    with torch.inference_mode():
        logits = model(torch.tensor([prompts[3]])).logits[0, -1, :50]
    assert found[3].ids[0] == int(logits.argmax())
    assert found[3].log_probs[0] == pytest.approx(float(logits.log_softmax(-1).max()), abs=1e-4)


def test_as_many_answers_at_once_as_memory_holds(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rows_at_once(model, 100) == decoder.MOST_ROWS["cpu"]
    assert rows_at_once(model, 10**9) == 1
    a_token = 2 * 3 * 2 * 8 * 4  # keys and values, layers, heads, width, bytes
    monkeypatch.setattr(decoder, "CPU_BYTES", 5 * 70 * a_token + 1)
    assert [rows_at_once(model, n) for n in (70, 71)] == [5, 4]
    held = []
    whole = Decoder.__init__
    monkeypatch.setattr(
        Decoder, "__init__", lambda s, *a, **k: (whole(s, *a, **k), held.append(s.kept.nbytes))[0]
    )
    generate(model, [[5] * 30] * 9, end_ids=(), max_new_tokens=40, vocabulary=VOCABULARY)
    assert held == [5 * 70 * a_token]


def test_long_prompts_are_read_a_few_at_a_time(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    how: dict[str, Any] = {"end_ids": {END}, "max_new_tokens": 5, "vocabulary": VOCABULARY}
    at_once = generate(model, PROMPTS, **how)
    read = []
    admit = Decoder.admit
    monkeypatch.setattr(generation, "READ_TOKENS", 40)
    monkeypatch.setattr(
        Decoder, "admit", lambda s, p: (read.append([len(x) for x in p]), admit(s, p))[1]
    )
    few = generate(model, PROMPTS, **how)
    assert [g.ids for g in few] == [g.ids for g in at_once]
    assert sorted(n for part in read for n in part) == sorted(map(len, PROMPTS))
    assert len(read) > 2
    assert all(max(part) * len(part) <= 40 for part in read)


def test_a_long_prompt_does_not_fill_short_ones_up(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [[5, 6, *range(7, 7 + n)] for n in (40, 3, 4, 35, 5, 3)]
    how: dict[str, Any] = {"end_ids": [END], "max_new_tokens": 6, "vocabulary": VOCABULARY}
    alone = [generate(model, [prompt], **how)[0].ids for prompt in prompts]
    read = []
    admit = Decoder.admit
    monkeypatch.setattr(
        Decoder, "admit", lambda s, p: (read.append([len(x) for x in p]), admit(s, p))[1]
    )
    assert [found.ids for found in generate(model, prompts, **how)] == alone
    assert read == [[42, 37], [7, 6, 5, 5]]


def test_a_drawn_answer_depends_on_seed_and_prompt_not_on_the_batch(model: PreTrainedModel) -> None:
    def drawn(seed: int, batch_size: int) -> list[Generated]:
        return generate(
            model, PROMPTS, end_ids={END}, max_new_tokens=10, vocabulary=VOCABULARY,
            batch_size=batch_size, temperature=1.5, seed=seed,
        )  # fmt: skip

    first = [g.ids for g in drawn(1, 16)]
    assert first == [g.ids for g in drawn(1, 2)]
    assert first != [g.ids for g in drawn(2, 16)]
    twice = generate(
        model, [PROMPTS[0]] * 20, end_ids={END}, max_new_tokens=10, vocabulary=VOCABULARY,
        temperature=1.5,
    )  # fmt: skip
    assert len({tuple(g.ids) for g in twice}) > 10


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_tokens_are_drawn_by_their_probabilities(
    model: PreTrainedModel, temperature: float
) -> None:
    draws = 4_000
    found = generate(
        model, [[5, 6]] * draws, end_ids=(), max_new_tokens=1, vocabulary=VOCABULARY,
        batch_size=1_000, temperature=temperature,
    )  # fmt: skip
    with torch.inference_mode():
        logits = model(torch.tensor([[5, 6]])).logits[0, -1]
    expected = torch.softmax(logits / temperature, -1).numpy()
    counts = Counter(g.ids[0] for g in found)
    shares = np.array([counts[t] / draws for t in range(VOCABULARY)])
    # Four standard errors; the likeliest token alone would be off by far.
    assert (np.abs(shares - expected) < 4 * np.sqrt(expected / draws) + 1 / draws).all()
    own = torch.log_softmax(logits, -1)
    assert all(g.log_probs[0] == pytest.approx(float(own[g.ids[0]]), abs=1e-4) for g in found)


class EvenFirst:
    """A grammar of its own: so many tokens, even and odd ones in turn, then the end."""

    def __init__(self, tokens: int, stuck: bool = False) -> None:
        self.tokens, self.stuck, self.seen = tokens, stuck, 0

    def allowed(self) -> np.ndarray:
        found = np.zeros(VOCABULARY, dtype=bool)
        if self.seen < self.tokens:
            found[self.seen % 2 : END : 2] = True
        elif not self.stuck:
            found[END] = True
        return found

    def advance(self, token: int) -> None:
        assert self.allowed()[token]
        self.seen += 1

    def takes(self, token: int | None) -> bool:
        taken = bool(self.allowed()[END if token is None else token])
        if taken and token is not None:
            self.advance(token)
        return taken

    def accepts(self, ids: Sequence[int]) -> bool:
        return self.valid(ids) == len(ids) == self.tokens

    def valid(self, ids: Sequence[int]) -> int:
        fitting = [i < self.tokens and token % 2 == i % 2 for i, token in enumerate(ids)]
        return [*fitting, False].index(False)


def test_a_grammar_bars_tokens_and_leaves_probabilities_as_they_are(model: PreTrainedModel) -> None:
    found = generate(
        model, PROMPTS, end_ids={END}, max_new_tokens=24, vocabulary=VOCABULARY, batch_size=4,
        constraints=lambda i: EvenFirst(i) if i != 3 else None,
    )  # fmt: skip
    assert found[3].ids == by_transformers(model, PROMPTS, 24)[3]
    for i, answer in enumerate(found):
        if i != 3:
            assert answer.ended
            assert EvenFirst(i).accepts(answer.ids)
            expected = log_probs(model, PROMPTS[i], [*answer.ids, END])
            assert answer.log_probs == pytest.approx(expected, abs=1e-4)
    # The likeliest of those that are allowed.
    with torch.inference_mode():
        logits = model(torch.tensor([PROMPTS[5]])).logits[0, -1]
    assert found[5].ids[0] == 2 * int(logits[:END:2].argmax())


def test_an_answer_stops_where_its_grammar_leaves_no_token(model: PreTrainedModel) -> None:
    found = generate(
        model, PROMPTS, end_ids={END}, max_new_tokens=24, vocabulary=VOCABULARY, batch_size=4,
        constraints=lambda i: EvenFirst(4, stuck=i % 2 == 0),
    )  # fmt: skip
    assert [g.ended for g in found] == [i % 2 == 1 for i in range(len(PROMPTS))]
    assert all(len(g.ids) == 4 for g in found)
    assert all(len(g.log_probs) == 4 + g.ended for g in found)


@pytest.mark.parametrize("batch_size", [8, 200])
def test_each_way_writes_what_it_writes_alone(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """Whether there is room for a second answer beside the first, or it has to wait."""
    prompts = [[n, n + 1, n + 2] for n in range(40)]
    how: dict[str, Any] = {
        "end_ids": {END}, "max_new_tokens": 6, "vocabulary": VOCABULARY, "batch_size": batch_size,
    }  # fmt: skip
    free = generate(model, prompts, **how)
    # Some free answers are accepted as they are, some broken in the middle, some too long.
    accepted = {i for i, g in enumerate(free) if g.ended}
    broken = {i for i in range(40) if i % 3 == 0} | (set(range(40)) - accepted)

    def looser(i: int) -> Any:
        if i not in broken:
            return None if i % 2 else _Fixed(free[i].ids)
        return EvenFirst(4 + i % 4)

    def stricter(i: int) -> Any:
        return EvenFirst(1 + i % 3, stuck=i % 5 == 0)

    alone = [free, *(generate(model, prompts, **how, constraints=c) for c in (looser, stricter))]
    read: list[int] = []
    admit = Decoder.admit

    def counted(self: Decoder, given: Sequence[Sequence[int]]) -> torch.Tensor:
        read.extend(len(p) for p in given)
        return admit(self, given)

    monkeypatch.setattr(Decoder, "admit", counted)
    each = generate_each(model, prompts, [looser, stricter], **how)
    for found, wanted in zip(each, alone, strict=True):
        assert [(g.ids, g.ended) for g in found] == [(g.ids, g.ended) for g in wanted]
        for one, other in zip(found, wanted, strict=True):
            assert one.log_probs == pytest.approx(other.log_probs, abs=1e-4)
    assert all(each[1][i] == each[0][i] for i in set(range(40)) - broken)
    if batch_size > 3 * len(prompts):
        assert read == [3] * len(prompts)  # no prompt twice
    else:
        assert len(read) > len(prompts) and max(read) > 3
    # Those whose grammar wants more tokens than there may be are cut off.
    assert {len(g.ids) for g in each[1] if not g.ended} == {6}


class _Fixed(EvenFirst):
    """One answer and no other."""

    def __init__(self, ids: list[int]) -> None:
        super().__init__(len(ids))
        self.ids = ids

    def allowed(self) -> np.ndarray:
        found = np.zeros(VOCABULARY, dtype=bool)
        found[[*self.ids, END][self.seen]] = True
        return found

    def accepts(self, ids: Sequence[int]) -> bool:
        return list(ids) == self.ids


def test_the_model_attends_as_before_afterwards(model: PreTrainedModel) -> None:
    before = model.config._attn_implementation
    generate(model, PROMPTS, end_ids={END}, max_new_tokens=2, vocabulary=VOCABULARY)
    assert model.config._attn_implementation == before

    def fails(i: int) -> Any:
        raise RuntimeError("no such grammar")

    with pytest.raises(RuntimeError, match="no such grammar"):
        generate(
            model, PROMPTS, end_ids={END}, max_new_tokens=2, vocabulary=VOCABULARY,
            constraints=fails,
        )  # fmt: skip
    assert model.config._attn_implementation == before


def test_nothing_to_write_and_nothing_to_go_on_from(model: PreTrainedModel) -> None:
    assert generate(model, [], end_ids={END}, max_new_tokens=2, vocabulary=VOCABULARY) == []
    with pytest.raises(ValueError, match="without tokens"):
        generate(model, [[1], []], end_ids={END}, max_new_tokens=2, vocabulary=VOCABULARY)


def test_bfloat16_writes_what_transformers_writes(model: PreTrainedModel) -> None:
    half = made("llama").to(torch.bfloat16)
    found = generate(half, PROMPTS, end_ids={END}, max_new_tokens=16, vocabulary=VOCABULARY)
    expected = by_transformers(half, PROMPTS, 16)
    same = sum(a.ids == b for a, b in zip(found, expected, strict=True))
    assert same >= len(PROMPTS) - 2  # rounding may tip an answer whose tokens are as likely


@pytest.mark.parametrize("window", [None, 5])
def test_most_rows_are_not_weighed_against_the_columns_of_a_long_one(
    window: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, columns = 12, 40
    torch.manual_seed(0)
    query = torch.randn(rows, 4, 1, 8)
    key, value = torch.randn(2, rows, 2, columns, 8)
    ends = torch.tensor([9, 40, *range(3, 13)])
    seen = torch.zeros(rows, 1, 1, columns)
    seen.masked_fill_((torch.arange(columns) >= ends[:, None])[:, None, None], -torch.inf)
    attend = torch.nn.functional.scaled_dot_product_attention
    sizes: list[tuple[int, int]] = []

    def noted(query: torch.Tensor, key: torch.Tensor, *rest: Any, **how: Any) -> torch.Tensor:
        sizes.append((len(key), key.shape[2]))
        return attend(query, key, *rest, **how)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", noted)
    found, _ = decoder._attend(None, query, key, value, seen, sliding_window=window)
    assert sizes == [(rows, 12), (1, columns)]
    for row, end in enumerate(ends.tolist()):
        first = max(0, end - window) if window else 0
        own = [x[row : row + 1, :, first:end].repeat_interleave(2, 1) for x in (key, value)]
        alone = attend(query[row : row + 1], *own)
        assert torch.allclose(found[row], alone[0].transpose(0, 1), atol=1e-5)
