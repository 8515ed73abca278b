from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.lm.batches import collate, plan_batches
from stillhouse.lm.prompts import Example

lengths = st.lists(st.integers(1, 200), min_size=1, max_size=60)


@given(lengths, st.integers(1, 16), st.none() | st.integers(0, 5))
def test_every_example_is_in_one_batch(found: list[int], size: int, seed: int | None) -> None:
    batches = plan_batches(found, size, seed=seed)
    assert sorted(i for b in batches for i in b) == list(range(len(found)))
    assert all(1 <= len(b) <= size for b in batches)
    assert batches == plan_batches(found, size, seed=seed)


@given(lengths, st.integers(2, 16))
def test_padding_stays_small(found: list[int], size: int) -> None:
    batches = plan_batches(found, size, seed=1)
    padded = sum(len(b) * max(found[i] for i in b) for b in batches)
    worst = sum(found) * 1.25 + size * max(found)
    assert padded <= worst


def test_positions_point_at_what_predicts_the_response() -> None:
    examples = [Example("a", [5, 6, 7, 8], 2), Example("b", [5, 9], 1)]
    batch = collate(examples, pad_id=0, device=torch.device("cpu"))
    assert batch.inputs["input_ids"].tolist() == [[5, 6, 7], [5, 0, 0]]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert list(zip(batch.rows.tolist(), batch.columns.tolist(), strict=True)) == [
        (0, 1),
        (0, 2),
        (1, 0),
    ]
    assert batch.gold.tolist() == [7, 8, 9]


def test_a_padding_token_that_ends_the_text_is_still_learned() -> None:
    """pad == eos: the mask comes from lengths, never from comparing token ids."""
    batch = collate([Example("a", [5, 6, 0, 0], 2)], pad_id=0, device=torch.device("cpu"))
    assert batch.gold.tolist() == [0, 0]
    assert batch.inputs["attention_mask"].tolist() == [[1, 1, 1]]
