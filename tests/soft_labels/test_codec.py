"""Soft labels survive encoding: exactly (top-k, classes) or on average (sampled)."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from stillhouse.errors import UserError
from stillhouse.soft_labels.codec import (
    LabelRecords,
    SparseTargets,
    decode,
    encode_label_distribution,
    encode_sampled,
    encode_top_k,
)

TEMPERATURES = (1.0, 2.0, 4.0)


def teacher_logits(rows=6, vocab=50, scale=3.0, seed=0):
    return scale * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed))


def dense(targets: SparseTargets, vocab: int) -> torch.Tensor:
    result = torch.zeros(len(targets.ids), vocab)
    return result.scatter_add_(1, targets.ids.clamp_min(0), targets.probs)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 50),
    st.sampled_from(TEMPERATURES),
    st.sampled_from([0.0, 1.0, 10.0, 100.0]),
    st.integers(0, 99),
)
def test_top_k_holds_the_teachers_probabilities_at_every_temperature(k, temperature, scale, seed):
    logits = teacher_logits(scale=scale, seed=seed)
    targets = decode(encode_top_k(logits, k, TEMPERATURES), temperature)
    exact = (logits.double() / temperature).softmax(1)
    kept = exact.gather(1, targets.ids)
    torch.testing.assert_close(targets.probs.double(), kept, rtol=1e-4, atol=1e-7)
    rest = exact.scatter(1, targets.ids, 0.0).sum(1)
    torch.testing.assert_close(targets.tail.double(), rest, rtol=1e-4, atol=1e-30)
    assert torch.equal(kept.amin(1) >= exact.scatter(1, targets.ids, 0.0).amax(1), kept[:, 0] > 0)
    torch.testing.assert_close(targets.probs.sum(1) + targets.tail, torch.ones(6))


def test_tail_of_a_sure_teacher_keeps_its_digits():
    """1 - sum(top-k) is 0 in float32 here."""
    logits = torch.zeros(1, 1000)
    logits[0, 7] = 30.0
    tail = decode(encode_top_k(logits, 1, (1.0,)), 1.0).tail
    assert tail.item() == pytest.approx(999 * np.exp(-30), rel=1e-4)


@pytest.mark.parametrize("encode", ["top_k", "sampled"])
def test_padding_of_the_teachers_vocabulary_takes_no_part(encode):
    logits = teacher_logits()
    padded = torch.cat([logits, torch.full((6, 14), 60.0)], dim=1)
    records = [
        encode_top_k(x, 5, (2.0,), valid_vocab=50)
        if encode == "top_k"
        else encode_sampled(x, 2.0, valid_vocab=50, generator=torch.Generator().manual_seed(3))
        for x in (logits, padded)
    ]
    for name, array in records[0].arrays.items():
        assert np.array_equal(array, records[1].arrays[name])


def test_a_temperature_that_was_not_labelled_is_refused():
    for records in (
        encode_top_k(teacher_logits(), 5, (1.0, 2.0)),
        encode_sampled(teacher_logits(), 2.0),
    ):
        with pytest.raises(UserError, match=r"temperature is 3.*hold .*2\n.*label again with 3"):
            decode(records, 3.0)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 32),
    st.integers(1, 70),
    st.sampled_from([0.0, 1.0, 10.0, 1000.0]),
    st.integers(0, 999),
)
def test_draws_never_stray_from_their_expectation(draws, vocab, scale, seed):
    logits = teacher_logits(vocab=vocab, scale=scale, seed=seed)
    g = torch.Generator().manual_seed(seed)
    records = encode_sampled(logits, 2.0, draws=draws, generator=g)
    assert records.rows == 6
    assert records.nbytes <= 3 * draws * 6
    targets = decode(records, 2.0)
    torch.testing.assert_close(targets.probs.sum(1), torch.ones(6))
    counts = (dense(targets, vocab) * draws).double()
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-4)
    expected = (logits / 2.0).softmax(1).double() * draws
    assert bool(((counts - expected).abs() < 1 + 1e-3).all())
    assert not counts[expected == 0].any()
    present = targets.ids >= 0
    for row, mask in zip(targets.ids, present, strict=True):
        assert len(set(row[mask].tolist())) == int(mask.sum()) > 0
    assert not targets.probs[~present].any()


def test_draws_are_unbiased_and_vary_less_than_independent_ones():
    logits = teacher_logits(rows=1, vocab=20, scale=1.0)
    p = (logits[0] / 2.0).softmax(0)
    repeats, draws = 20_000, 12
    g = torch.Generator().manual_seed(0)
    records = encode_sampled(logits.expand(repeats, -1), 2.0, draws=draws, generator=g)
    estimates = dense(decode(records, 2.0), 20)
    # Three standard errors of independent draws; these vary less.
    independent = p * (1 - p) / draws
    assert bool(((estimates.mean(0) - p).abs() < 3 * (independent / repeats).sqrt()).all())
    assert estimates.var(0).sum() < 0.8 * independent.sum()


def test_draws_reach_the_last_id_of_the_largest_vocabulary():
    logits = torch.full((2, 1 << 18), -50.0)
    logits[0, -1] = 0.0
    logits[1, 0] = 0.0
    records = encode_sampled(logits, 1.0, draws=32)
    targets = decode(records, 1.0)
    assert targets.ids.tolist() == [[(1 << 18) - 1], [0]]
    assert targets.probs.tolist() == [[1.0], [1.0]]
    with pytest.raises(UserError, match=r"(?s)262145 is too large.*top-k"):
        encode_sampled(torch.zeros(1, (1 << 18) + 1), 1.0)


def test_twelve_draws_take_at_most_36_bytes_a_token():
    uniform = encode_sampled(torch.zeros(8, 262_144), 1.0)
    assert uniform.nbytes == 36 * 8
    sure = encode_sampled(teacher_logits(rows=500, vocab=1000, scale=6.0), 1.0)
    assert sure.nbytes < 24 * 500


def test_same_seed_same_draws():
    first, second, other = (
        encode_sampled(teacher_logits(), 2.0, generator=torch.Generator().manual_seed(seed))
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first.arrays["draws"], second.arrays["draws"])
    assert not np.array_equal(first.arrays["draws"], other.arrays["draws"])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 7.0])
def test_label_distribution_follows_any_temperature(temperature):
    logits, label_ids = teacher_logits(), (40, 3, 17)
    targets = decode(encode_label_distribution(logits, label_ids), temperature)
    expected = (logits[:, list(label_ids)] / temperature).softmax(1)
    torch.testing.assert_close(targets.probs, expected)
    assert targets.ids.tolist() == [list(label_ids)] * 6
    assert not targets.tail.any()
    scored = decode(encode_label_distribution(logits[:, list(label_ids)], label_ids), temperature)
    torch.testing.assert_close(scored.probs, targets.probs)


def test_classes_need_distinct_tokens():
    for label_ids in ((3, 3), ()):
        with pytest.raises(ValueError, match="distinct"):
            encode_label_distribution(teacher_logits(), label_ids)


@pytest.mark.parametrize("kind", ["top_k", "sampled", "label_distribution"])
def test_records_split_by_pair_and_come_together_again(kind):
    logits = teacher_logits(rows=9)
    records = {
        "top_k": lambda: encode_top_k(logits, 4, (1.0, 2.0)),
        "sampled": lambda: encode_sampled(logits, 2.0),
        "label_distribution": lambda: encode_label_distribution(logits, (1, 2)),
    }[kind]()
    whole = decode(records, 2.0)
    pieces = records.split([4, 0, 2, 3])
    assert [piece.rows for piece in pieces] == [4, 0, 2, 3]
    row = 0
    for piece in pieces:
        part = decode(piece, 2.0)
        width = part.ids.shape[1]
        assert torch.equal(part.ids, whole.ids[row : row + piece.rows, :width])
        assert torch.equal(part.probs, whole.probs[row : row + piece.rows, :width])
        row += piece.rows
    joined = LabelRecords.concatenate(pieces)
    assert all(np.array_equal(joined.arrays[n], a) for n, a in records.arrays.items())
    with pytest.raises(ValueError, match="add up to 8"):
        records.split([4, 4])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_broken_logits_are_refused(bad):
    logits = teacher_logits()
    logits[2, 5] = bad
    for encode in (
        lambda x: encode_top_k(x, 3, (1.0,)),
        lambda x: encode_sampled(x, 1.0),
        lambda x: encode_label_distribution(x, (4, 5)),
    ):
        with pytest.raises(UserError, match="not finite"):
            encode(logits)


def test_masked_tokens_are_no_broken_logits():
    logits = teacher_logits()
    logits[:, 10:] = -torch.inf
    targets = decode(encode_top_k(logits, 12, (1.0,)), 1.0)
    torch.testing.assert_close(targets.probs.sum(1), torch.ones(6))
    assert not targets.tail.any()


def half_the_vocabulary():
    mapping = torch.full((50,), -1)
    mapping[25:] = torch.arange(25)
    return mapping


def test_remap_of_top_k_moves_lost_mass_to_the_tail():
    logits = teacher_logits()
    targets = decode(encode_top_k(logits, 8, (2.0,)), 2.0)
    small = targets.remap(half_the_vocabulary())
    exact = (logits / 2.0).softmax(1)
    for row in range(6):
        for before, after, p in zip(
            targets.ids[row], small.ids[row], small.probs[row], strict=True
        ):
            assert after == before - 25 if before >= 25 else after == -1
            assert p == pytest.approx(float(exact[row, before]) if before >= 25 else 0.0, rel=1e-4)
    torch.testing.assert_close(small.probs.sum(1) + small.tail, torch.ones(6))
    assert bool((small.tail > targets.tail).any())


def test_remap_of_draws_is_unbiased_for_the_tokens_left():
    logits = teacher_logits(rows=1)
    records = encode_sampled(
        logits.expand(8000, -1), 2.0, generator=torch.Generator().manual_seed(0)
    )
    small = decode(records, 2.0).remap(half_the_vocabulary())
    assert not small.tail.any()
    exact = (logits / 2.0).softmax(1)[0, 25:]
    torch.testing.assert_close(dense(small, 25).mean(0), exact, rtol=0, atol=0.003)


def test_remap_refuses_what_would_lose_a_class_or_merge_tokens():
    labels = decode(encode_label_distribution(teacher_logits(), (40, 3)), 1.0)
    with pytest.raises(ValueError, match=r"lacks the class tokens \[3\]"):
        labels.remap(half_the_vocabulary())
    with pytest.raises(ValueError, match="lies beyond"):
        labels.remap(torch.arange(10))
    with pytest.raises(ValueError, match="the same student id"):
        labels.remap(torch.zeros(50, dtype=torch.int64))


def test_targets_of_several_encodings_stack():
    logits = teacher_logits()
    stacked = SparseTargets.concatenate(
        [
            decode(encode_top_k(logits, 8, (2.0,)), 2.0),
            decode(encode_label_distribution(logits, (1, 2)), 2.0),
            SparseTargets.empty(3, 2.0),
        ]
    )
    assert stacked.kind == "mixed"
    assert stacked.ids.shape == stacked.probs.shape == (15, 8)
    torch.testing.assert_close(
        stacked.probs.sum(1) + stacked.tail, torch.tensor([1.0] * 12 + [0.0] * 3)
    )
    with pytest.raises(ValueError, match="different temperatures"):
        SparseTargets.concatenate([SparseTargets.empty(1, 1.0), SparseTargets.empty(1, 2.0)])
