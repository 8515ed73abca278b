"""Soft labels survive encoding: exactly (top-k, classes) or on average (sampled)."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from stillhouse.errors import UserError
from stillhouse.soft_labels.classes import encode_label_distribution
from stillhouse.soft_labels.codec import decode, encode
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.hidden import LISTED, encode_hidden
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.soft_labels.sampled import BLOCK, encode_sampled
from stillhouse.soft_labels.targets import SparseTargets
from stillhouse.soft_labels.top_k import encode_top_k

TEMPERATURES = (1.0, 2.0, 4.0)


def teacher_logits(rows=6, vocab=50, scale=3.0, seed=0):
    return scale * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed))


def uniform(rows, seed):
    return torch.rand(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def classes_of(logits, label_ids):
    return encode_label_distribution(logits[:, list(label_ids)], label_ids)


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


KINDS = {
    "top_k": LabelEncoding("top_k", 5, (2.0,)),
    "sampled": LabelEncoding("sampled", 12, (2.0,)),
    "label_distribution": LabelEncoding("label_distribution", 3, label_ids=(40, 3, 17)),
    "hidden": LabelEncoding("hidden", 8),
}


def a_teacher(rows=6, vocab=50, seed=0):
    """Its last hidden states, its head, and its logits."""
    g = torch.Generator().manual_seed(seed)
    hidden, weight = torch.randn(rows, 8, generator=g), torch.randn(vocab, 8, generator=g)
    return hidden, Head(weight), hidden @ weight.T


def test_each_encoding_is_what_its_module_makes_of_the_heads_logits(monkeypatch):
    # Chunks of 2 rows, worked on one by one: none is lost, and none overwrites another.
    monkeypatch.setattr("stillhouse.soft_labels.head.CHUNK_ELEMENTS", 100)
    monkeypatch.setattr("stillhouse.soft_labels.head.CACHED_ELEMENTS", 50)
    hidden, head, logits = a_teacher(rows=7)
    shifts = uniform(7, seed=3)
    expected = {
        "top_k": encode_top_k(logits, 5, (2.0,)),
        "sampled": encode_sampled(logits, 2.0, shifts=shifts),
        "label_distribution": classes_of(logits, (40, 3, 17)),
        "hidden": encode_hidden(hidden),
    }
    found = encode(hidden, head, list(KINDS.values()), shifts=shifts)
    for (kind, encoding), records in zip(KINDS.items(), found, strict=True):
        assert records.encoding == encoding
        assert records.rows == 7
        for name, array in expected[kind].arrays.items():
            np.testing.assert_allclose(records.arrays[name], array, rtol=1e-5, err_msg=kind)


def test_a_batch_without_rows_has_records_of_none():
    hidden, head, _ = a_teacher()
    for records in encode(hidden[:0], head, list(KINDS.values())):
        assert records.rows == 0


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
    st.integers(1, 70) | st.integers(BLOCK - 2, 3 * BLOCK),
    st.sampled_from([0.0, 1.0, 10.0, 1000.0]),
    st.integers(0, 999),
)
def test_draws_never_stray_from_their_expectation(draws, vocab, scale, seed):
    logits = teacher_logits(vocab=vocab, scale=scale, seed=seed)
    records = encode_sampled(logits, 2.0, draws=draws, shifts=uniform(6, seed))
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
    shifts = uniform(repeats, seed=0)
    records = encode_sampled(logits.expand(repeats, -1), 2.0, draws=draws, shifts=shifts)
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
    with pytest.raises(UserError, match=r"(?s)262145 is too large.*top_k"):
        encode_sampled(torch.zeros(1, (1 << 18) + 1), 1.0)


def test_twelve_draws_take_at_most_36_bytes_a_token():
    uniform = encode_sampled(torch.zeros(8, 262_144), 1.0)
    assert uniform.nbytes == 36 * 8
    sure = encode_sampled(teacher_logits(rows=500, vocab=1000, scale=6.0), 1.0)
    assert sure.nbytes < 24 * 500


def test_same_seed_same_draws():
    first, second, other = (
        encode_sampled(teacher_logits(), 2.0, shifts=uniform(6, seed)) for seed in (1, 1, 2)
    )
    assert np.array_equal(first.arrays["draws"], second.arrays["draws"])
    assert not np.array_equal(first.arrays["draws"], other.arrays["draws"])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 7.0])
def test_label_distribution_follows_any_temperature(temperature):
    logits, label_ids = teacher_logits(), (40, 3, 17)
    targets = decode(classes_of(logits, label_ids), temperature)
    expected = (logits[:, list(label_ids)] / temperature).softmax(1)
    torch.testing.assert_close(targets.probs, expected)
    assert targets.ids.tolist() == [list(label_ids)] * 6
    assert not targets.tail.any()


def test_classes_need_distinct_tokens():
    for label_ids in ((3, 3), ()):
        with pytest.raises(ValueError, match="distinct"):
            classes_of(teacher_logits(), label_ids)
    with pytest.raises(ValueError, match="scores of 2 classes"):
        encode_label_distribution(teacher_logits(), (3, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_records_split_by_pair_and_come_together_again(kind):
    hidden, head, _ = a_teacher(rows=9)
    (records,) = encode(hidden, head, [KINDS[kind]])
    whole = decode(records, 2.0, head=head)
    pieces = records.split([4, 0, 2, 3])
    assert [piece.rows for piece in pieces] == [4, 0, 2, 3]
    row = 0
    for piece in pieces:
        part = decode(piece, 2.0, head=head)
        width = part.ids.shape[1]
        assert torch.equal(part.ids, whole.ids[row : row + piece.rows, :width])
        torch.testing.assert_close(part.probs, whole.probs[row : row + piece.rows, :width])
        row += piece.rows
    joined = LabelRecords.concatenate(pieces)
    assert all(np.array_equal(joined.arrays[n], a) for n, a in records.arrays.items())
    with pytest.raises(ValueError, match="add up to 8"):
        records.split([4, 4])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_broken_forward_pass_is_refused(kind, bad):
    hidden, head, _ = a_teacher()
    hidden[2, 5] = bad
    with pytest.raises(UserError, match="not finite"):
        encode(hidden, head, [KINDS[kind]])


def test_masked_tokens_are_no_broken_logits():
    logits = teacher_logits()
    logits[:, 10:] = -torch.inf
    targets = decode(encode_top_k(logits, 12, (1.0,)), 1.0)
    torch.testing.assert_close(targets.probs.sum(1), torch.ones(6))
    assert not targets.tail.any()
    assert decode(encode_sampled(logits, 1.0), 1.0).ids.max() < 10


def half_the_vocabulary():
    mapping = torch.full((50,), -1)
    mapping[25:] = torch.arange(25)
    return mapping


def test_remap_of_top_k_moves_lost_mass_to_the_tail():
    logits = teacher_logits()
    targets = decode(encode_top_k(logits, 8, (2.0,)), 2.0)
    small = decode(encode_top_k(logits, 8, (2.0,)), 2.0, mapping=half_the_vocabulary())
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
    records = encode_sampled(logits.expand(8000, -1), 2.0, shifts=uniform(8000, seed=0))
    small = decode(records, 2.0, mapping=half_the_vocabulary())
    assert not small.tail.any()
    exact = (logits / 2.0).softmax(1)[0, 25:]
    torch.testing.assert_close(dense(small, 25).mean(0), exact, rtol=0, atol=0.003)


def test_remap_refuses_what_would_lose_a_class_or_merge_tokens():
    labels = decode(classes_of(teacher_logits(), (40, 3)), 1.0)
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
            decode(classes_of(logits, (1, 2)), 2.0),
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


VOCABULARY = 4 * LISTED


def wide_teacher():
    hidden, head, _ = a_teacher(rows=5, vocab=VOCABULARY)
    # As it is kept: what the rounding of the state does is not under test here.
    return hidden.bfloat16().float(), head


@pytest.mark.parametrize("temperature", [0.7, 1.0, 4.0])
def test_a_hidden_state_holds_the_distribution_at_any_temperature(temperature):
    hidden, head = wide_teacher()
    records = encode_hidden(hidden)
    assert records.nbytes == 5 * 2 * 8
    found = decode(records, temperature, head=head)
    expected = decode(encode_top_k(hidden @ head.weight.T, LISTED, (temperature,)), temperature)
    assert torch.equal(found.ids, expected.ids)
    torch.testing.assert_close(found.probs, expected.probs, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.tail, expected.tail, rtol=1e-4, atol=1e-7)
    assert bool((found.tail > 1e-3).all()) or temperature < 4


def test_a_state_is_rounded_to_bfloat16_and_no_further():
    hidden, head, logits = a_teacher(rows=5)
    found = decode(encode_hidden(hidden), 1.0, head=head)
    exact = logits.softmax(1).gather(1, found.ids)
    torch.testing.assert_close(found.probs, exact, rtol=0.05, atol=1e-3)
    assert not torch.equal(found.probs, exact)


def test_hidden_states_list_the_likeliest_tokens_that_the_student_has():
    hidden, head = wide_teacher()
    mapping = torch.full((VOCABULARY + 3,), -1)  # rows that pad the teacher's embedding
    own = torch.arange(1, VOCABULARY, 3)
    mapping[own] = torch.randperm(len(own), generator=torch.Generator().manual_seed(0))
    found = decode(encode_hidden(hidden), 2.0, head=head, mapping=mapping)
    exact = (hidden @ head.weight.T / 2.0).softmax(1)
    for row in range(5):
        most = exact[row, own].topk(LISTED)
        assert found.ids[row].tolist() == mapping[own[most.indices]].tolist()
        torch.testing.assert_close(found.probs[row], most.values, rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(found.probs.sum(1) + found.tail, torch.ones(5))
    # All that it lacks, and all of its own beyond those listed.
    assert bool((found.tail > 1 - exact[:, own].sum(1)).all())


def test_hidden_states_need_the_head_that_they_are_for():
    hidden, _, _ = a_teacher()
    with pytest.raises(ValueError, match="need the teacher's head"):
        decode(encode_hidden(hidden), 1.0)
    with pytest.raises(ValueError, match="width 8, a head of 9"):
        decode(encode_hidden(hidden), 1.0, head=Head(torch.zeros(20, 9)))


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_is_read_from_the_folder_of_its_model(tmp_path, write_tiny_model, tied):
    from stillhouse.models.loading import load_model, output_weight

    cpu = torch.device("cpu")
    folder = write_tiny_model(tmp_path, tie_word_embeddings=tied)
    weight = output_weight(load_model(folder, cpu, torch.float32))
    assert torch.equal(Head.read(folder, 200, cpu).weight, weight[:200])


def test_a_model_without_a_head_is_told(tmp_path):
    from safetensors.torch import save_file

    save_file({"transformer.wte.weight": torch.zeros(3, 2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match=r"model\.embed_tokens.*\n.*sampled or top_k"):
        Head.read(tmp_path, 3, torch.device("cpu"))
