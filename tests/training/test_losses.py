"""The fused loss against the plain formula, against finite differences, and against the mistakes
that distillation code is known for."""

from dataclasses import replace
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, kl_div

from stillhouse.soft_labels.classes import encode_label_distribution
from stillhouse.soft_labels.codec import decode
from stillhouse.soft_labels.sampled import encode_sampled
from stillhouse.soft_labels.targets import SparseTargets
from stillhouse.soft_labels.top_k import encode_top_k
from stillhouse.training import fused_loss
from stillhouse.training.losses import distillation_loss, reference_loss
from stillhouse.training.objective import NO_GOLD, TrainedRows

WIDTH, VOCAB, ROWS = 8, 40, 23


def make(dtype=torch.float64, rows=ROWS, vocab=VOCAB, seed=0):
    g = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, WIDTH, generator=g, dtype=torch.float64)
    weight = torch.randn(vocab, WIDTH, generator=g, dtype=torch.float64)
    gold = torch.randint(vocab, (rows,), generator=g)
    gold[3] = NO_GOLD
    teacher = 3 * torch.randn(rows, vocab, generator=g)
    return hidden.to(dtype), weight.to(dtype), gold, teacher


def uniform(rows, seed):
    return torch.rand(rows, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def encoded(kind, teacher, temperature):
    if kind == "top_k":
        return decode(encode_top_k(teacher, 5, (1.0, temperature)), temperature)
    if kind == "sampled":
        shifts = uniform(len(teacher), seed=1)
        return decode(encode_sampled(teacher, temperature, shifts=shifts), temperature)
    if kind == "label_distribution":
        return decode(encode_label_distribution(teacher[:, [7, 2, 31]], (7, 2, 31)), temperature)
    if kind == "mixed":
        half = len(teacher) // 2
        return SparseTargets.concatenate(
            [
                encoded("top_k", teacher[:half], temperature),
                encoded("sampled", teacher[half:-2], temperature),
                SparseTargets.empty(2, temperature),
            ]
        )
    return None


def value_and_gradients(loss, hidden, weight, bias, *args, **kwargs):
    leaves = [t.detach().clone().requires_grad_() for t in (hidden, weight, bias)]
    parts = loss(leaves[0], leaves[1], *args, bias=leaves[2], **kwargs)
    parts.loss.backward()
    return [parts.loss.detach(), parts.kl, parts.ce, *(leaf.grad for leaf in leaves)]


CASES = [
    *[(kind, "forward_kl") for kind in ("top_k", "sampled", "label_distribution", "mixed", "none")],
    ("top_k", "reverse_kl"),
    ("top_k", "jsd"),
    ("label_distribution", "jsd"),
]


@pytest.mark.parametrize("temperature", [1.0, 2.0, 1.7])
@pytest.mark.parametrize(("kind", "divergence"), CASES)
@pytest.mark.parametrize("alpha", [0.0, 0.7, 1.0])
def test_equals_the_plain_formula(kind, divergence, temperature, alpha):
    hidden, weight, gold, teacher = make()
    bias = torch.linspace(-1, 1, VOCAB, dtype=torch.float64)
    kwargs = {
        "alpha": alpha,
        "temperature": temperature,
        "denominator": 17,
        "valid_vocab": VOCAB - 3,
        "divergence": divergence,
    }
    gold = gold.clamp_max(VOCAB - 4)
    targets = encoded(kind, teacher[:, : VOCAB - 3], temperature)
    args = (hidden, weight, bias, gold, targets)
    expected = value_and_gradients(reference_loss, *args, **kwargs)
    got = value_and_gradients(distillation_loss, *args, **kwargs, chunk_rows=5)
    for fused, plain in zip(got, expected, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-9, atol=1e-11)
    assert got[4].abs().sum() > 0 or (kind == "none" and alpha == 1)


@pytest.mark.parametrize(("kind", "divergence"), CASES)
def test_each_row_may_have_its_own_alpha(kind, divergence):
    hidden, weight, gold, teacher = make()
    bias = torch.linspace(-1, 1, VOCAB, dtype=torch.float64)
    targets = encoded(kind, teacher, 2.0)
    kwargs = {"temperature": 2.0, "denominator": 17, "divergence": divergence}
    args = (hidden, weight, bias, gold, targets)
    alpha = uniform(ROWS, seed=5)
    alpha[::3] = 0.0
    expected = value_and_gradients(reference_loss, *args, alpha=alpha, **kwargs)
    got = value_and_gradients(distillation_loss, *args, alpha=alpha, **kwargs, chunk_rows=5)
    alone = [
        value_and_gradients(
            reference_loss,
            hidden[row : row + 1], weight, bias, gold[row : row + 1],
            targets and targets.slice(row, row + 1), alpha=float(alpha[row]), **kwargs,
        )
        for row in range(ROWS)
    ]  # fmt: skip
    for place, (fused, plain) in enumerate(zip(got, expected, strict=True)):
        torch.testing.assert_close(fused, plain, rtol=1e-9, atol=1e-11)
        parts = [one[place] for one in alone]
        one_by_one = torch.cat(parts) if place == 3 else torch.stack(parts).sum(0)
        torch.testing.assert_close(fused, one_by_one, rtol=1e-9, atol=1e-11)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(4, ROWS),
    chunk_rows=st.integers(1, ROWS),
    cached_rows=st.integers(1, ROWS),
    kind=st.sampled_from(["top_k", "sampled", "none"]),
    temperature=st.floats(0.5, 8.0),
    alpha=st.floats(0.0, 1.0),
    seed=st.integers(0, 100),
)
def test_it_does_not_matter_how_the_rows_are_cut(
    rows, chunk_rows, cached_rows, kind, temperature, alpha, seed
):
    hidden, weight, gold, teacher = make(rows=rows, seed=seed)
    args = (hidden, weight, torch.zeros(VOCAB, dtype=torch.float64), gold)
    targets = encoded(kind, teacher, temperature)
    kwargs = {"alpha": alpha, "temperature": temperature, "denominator": rows}
    expected = value_and_gradients(reference_loss, *args, targets, **kwargs)
    with patch.object(fused_loss, "CACHED_ELEMENTS", cached_rows * VOCAB):
        got = value_and_gradients(
            distillation_loss, *args, targets, **kwargs, chunk_rows=chunk_rows
        )
    for fused, plain in zip(got, expected, strict=True):
        torch.testing.assert_close(fused, plain, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("kind", "divergence"), CASES)
def test_gradcheck(kind, divergence):
    hidden, weight, gold, teacher = make(rows=6, vocab=12)
    gold = gold.clamp_max(11)
    teacher = torch.cat([teacher, torch.zeros(6, 28)], dim=1) if kind == "none" else teacher
    targets = encoded(kind if kind != "label_distribution" else "top_k", teacher, 2.0)
    if kind == "label_distribution":
        targets = decode(encode_label_distribution(teacher[:, [7, 2, 11]], (7, 2, 11)), 2.0)
    bias = torch.zeros(12, dtype=torch.float64)
    leaves = [t.requires_grad_() for t in (hidden, weight, bias)]

    def loss(h, w, b):
        parts = distillation_loss(
            h, w, gold, targets, alpha=0.6, temperature=2.0, denominator=5, valid_vocab=12,
            bias=b, divergence=divergence, chunk_rows=4,
        )  # fmt: skip
        return parts.loss * 3  # an upstream gradient other than 1

    assert torch.autograd.gradcheck(loss, leaves)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_reference_is_the_textbook_formula_when_everything_is_kept(temperature):
    """With k = vocabulary, alpha T^2 KL + (1 - alpha) CE as anyone would write it."""
    hidden, weight, gold, teacher = make()
    gold[3] = 0
    targets = decode(encode_top_k(teacher, VOCAB, (temperature,)), temperature)
    logits = hidden @ weight.T
    kl = kl_div(
        (logits / temperature).log_softmax(1),
        (teacher.double() / temperature).softmax(1),
        reduction="sum",
    )
    ce = cross_entropy(logits, gold, reduction="sum")
    for loss in (reference_loss, distillation_loss):
        parts = loss(
            hidden, weight, gold, targets, alpha=0.7, temperature=temperature, denominator=ROWS
        )
        expected = (0.7 * temperature**2 * kl + 0.3 * ce) / ROWS
        torch.testing.assert_close(parts.loss, expected, rtol=1e-5, atol=0)
        torch.testing.assert_close(parts.kl, kl / ROWS, rtol=1e-5, atol=0)
        torch.testing.assert_close(parts.ce, ce / ROWS, rtol=1e-9, atol=0)


def test_temperature_squared_keeps_the_soft_gradients_scale():
    """Without T^2 the gradient at T=8 would be some 64 times smaller than at T=1."""
    hidden, weight, gold, teacher = make()
    norms = []
    for t in (1.0, 8.0):
        targets = decode(encode_top_k(teacher, VOCAB, (t,)), t)
        leaf = hidden.clone().requires_grad_()
        distillation_loss(
            leaf, weight, gold, targets, alpha=1.0, temperature=t, denominator=ROWS
        ).loss.backward()
        norms.append(float(leaf.grad.norm()))
    assert 0.2 < norms[1] / norms[0] < 5


def test_top_k_without_its_tail_would_be_another_loss():
    """A student equal to its teacher is at the minimum; a renormalised top-k pulls it away."""
    hidden, weight, gold, _ = make()
    teacher = (hidden @ weight.T).float()
    targets = decode(encode_top_k(teacher, 5, (1.0,)), 1.0)
    bare = SparseTargets(
        targets.ids, targets.probs / targets.probs.sum(1, keepdim=True), 0 * targets.tail, 1.0
    )
    gradients = []
    for labels in (targets, bare):
        leaf = hidden.clone().requires_grad_()
        parts = distillation_loss(
            leaf, weight, gold, labels, alpha=1.0, temperature=1.0, denominator=ROWS
        )
        parts.loss.backward()
        gradients.append(float(leaf.grad.abs().max()))
    assert gradients[0] < 1e-6
    assert gradients[1] > 1e-3


def test_sampled_labels_have_the_full_distributions_gradient_on_average():
    hidden, weight, gold, teacher = make(rows=4)
    repeats = 4000
    shifts = uniform(4 * repeats, seed=5)

    def gradient(targets, times):
        leaf = hidden.repeat_interleave(times, 0).requires_grad_()
        distillation_loss(
            leaf, weight, gold.repeat_interleave(times), targets,
            alpha=1.0, temperature=2.0, denominator=times,
        ).loss.backward()  # fmt: skip
        return leaf.grad.reshape(4, times, WIDTH).sum(1)

    exact = gradient(decode(encode_top_k(teacher, VOCAB, (2.0,)), 2.0), 1)
    many = encode_sampled(teacher.repeat_interleave(repeats, 0), 2.0, shifts=shifts)
    top = gradient(decode(encode_top_k(teacher, 12, (2.0,)), 2.0), 1)
    error = (gradient(decode(many, 2.0), repeats) - exact).norm() / exact.norm()
    assert error < 0.01
    assert (top - exact).norm() / exact.norm() > 2 * error


def test_sampled_labels_of_a_smaller_vocabulary_have_that_of_what_it_can_say_on_average():
    """Of the divergence among its own tokens, weighed with the mass that the teacher puts there;
    were what is lost put on whatever was not drawn, this would not hold."""
    hidden, weight, _, teacher = make(rows=4)
    repeats, kept = 4000, VOCAB // 2
    mapping = torch.full((VOCAB,), -1)
    mapping[::2] = torch.arange(kept)

    def gradient(targets, times):
        leaf = hidden.repeat_interleave(times, 0).requires_grad_()
        distillation_loss(
            leaf, weight[:kept], torch.full((4 * times,), NO_GOLD), targets,
            alpha=1.0, temperature=2.0, denominator=times,
        ).loss.backward()  # fmt: skip
        return leaf.grad.reshape(4, times, WIDTH).sum(1)

    mass = (teacher / 2.0).softmax(1)[:, ::2].sum(1)
    among = decode(encode_top_k(teacher[:, ::2], kept, (2.0,)), 2.0)
    exact = gradient(among, 1) * mass[:, None]
    draws = encode_sampled(
        teacher.repeat_interleave(repeats, 0), 2.0, shifts=uniform(4 * repeats, seed=5)
    )
    found = decode(draws, 2.0, mapping=mapping)
    assert (gradient(found, repeats) - exact).norm() / exact.norm() < 0.01
    lost = 1 - found.probs.sum(1)
    in_the_tail = replace(found, tail=lost, kind="mixed")
    assert (gradient(in_the_tail, repeats) - exact).norm() / exact.norm() > 0.1


def test_micro_batches_add_up_to_the_batch():
    """One denominator for the whole accumulated batch, however unevenly its rows fall."""
    hidden, weight, gold, teacher = make()
    targets = encoded("top_k", teacher, 2.0)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    whole = weight.clone().requires_grad_()
    expected = distillation_loss(hidden, whole, gold, targets, **kwargs)
    expected.loss.backward()
    accumulated = weight.clone().requires_grad_()
    total = 0.0
    for a, b in ((0, 4), (4, ROWS)):
        parts = distillation_loss(
            hidden[a:b], accumulated, gold[a:b], targets.slice(a, b), **kwargs
        )
        parts.loss.backward()
        total += parts.loss.item()
    assert total == pytest.approx(expected.loss.item(), rel=1e-12)
    torch.testing.assert_close(accumulated.grad, whole.grad)


def test_padding_of_the_vocabulary_takes_no_part():
    hidden, weight, gold, teacher = make()
    gold = gold.clamp_max(VOCAB - 9)
    valid = VOCAB - 8
    targets = encoded("top_k", teacher[:, :valid], 2.0)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    leaf = weight.clone()
    leaf[valid:] = 50.0  # would swallow all probability
    leaf.requires_grad_()
    padded = distillation_loss(hidden, leaf, gold, targets, valid_vocab=valid, **kwargs)
    narrow = distillation_loss(hidden, weight[:valid], gold, targets, **kwargs)
    assert padded.loss.item() == narrow.loss.item()
    padded.loss.backward()
    assert leaf.grad.shape == weight.shape
    assert not leaf.grad[valid:].any()
    assert leaf.grad[:valid].any()


def test_tied_embeddings_add_their_gradients():
    _, weight, gold, teacher = make()
    ids = torch.arange(ROWS)
    targets = encoded("top_k", teacher, 2.0)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    gradients = []
    for loss in (reference_loss, distillation_loss):
        tied = weight.clone().requires_grad_()
        loss(tied[ids].tanh(), tied, gold, targets, **kwargs).loss.backward()
        gradients.append(tied.grad)
    torch.testing.assert_close(gradients[1], gradients[0])


def test_frozen_inputs_get_no_gradient_and_cost_none():
    hidden, weight, gold, teacher = make()
    targets = encoded("top_k", teacher, 2.0)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    leaf = hidden.clone().requires_grad_()
    loss = distillation_loss(leaf, weight, gold, targets, **kwargs).loss
    hidden_gradient, weight_gradient = loss.grad_fn.saved_tensors[:2]
    assert weight_gradient is None
    assert hidden_gradient.shape == hidden.shape
    with torch.no_grad():
        silent = distillation_loss(leaf, weight, gold, targets, **kwargs)
    assert not silent.loss.requires_grad
    assert silent.loss.item() == loss.item()


def test_backward_twice_over_a_retained_graph():
    hidden, weight, gold, _ = make()
    leaf = weight.clone().requires_grad_()
    loss = distillation_loss(
        hidden, leaf, gold, None, alpha=0.0, temperature=1.0, denominator=ROWS
    ).loss
    loss.backward(retain_graph=True)
    once = leaf.grad.clone()
    loss.backward()
    torch.testing.assert_close(leaf.grad, 2 * once)


def test_no_soft_labels_is_plain_cross_entropy_whatever_alpha():
    hidden, weight, gold, _ = make()
    parts = distillation_loss(
        hidden, weight, gold, None, alpha=0.9, temperature=4.0, denominator=ROWS - 1
    )
    expected = cross_entropy(hidden @ weight.T, gold)
    torch.testing.assert_close(parts.loss, expected)
    torch.testing.assert_close(parts.ce, expected)
    assert parts.kl.item() == 0


def test_no_rows_is_no_loss():
    hidden, weight, gold, _ = make(rows=4)
    leaf = weight.clone().requires_grad_()
    parts = distillation_loss(
        hidden[:0], leaf, gold[:0], SparseTargets.empty(0, 2.0),
        alpha=0.5, temperature=2.0, denominator=7,
    )  # fmt: skip
    parts.loss.backward()
    assert parts.loss.item() == 0
    assert not leaf.grad.any()


@pytest.mark.parametrize("scale", [30.0, 400.0])
@pytest.mark.parametrize("divergence", ["forward_kl", "reverse_kl", "jsd"])
def test_sure_students_keep_a_finite_loss_and_every_digit(scale, divergence):
    """float32 where 1 - sum(q) is 0: the rest's probability must come from the rest itself."""
    hidden, weight, gold, teacher = make()
    bias = torch.zeros(VOCAB, dtype=torch.float64)
    targets = encoded("top_k", teacher, 2.0)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS, "divergence": divergence}
    hidden = (hidden * scale).float()
    double = value_and_gradients(
        reference_loss, hidden.double(), weight, bias, gold, targets, **kwargs
    )
    single = value_and_gradients(
        distillation_loss, hidden, weight.float(), bias.float(), gold, targets, **kwargs
    )
    for got, expected in zip(single, double, strict=True):
        assert torch.isfinite(got).all()
        torch.testing.assert_close(
            got.double(), expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max())
        )


def test_tail_is_left_out_where_nothing_else_is_left():
    """A student whose whole vocabulary is listed has nowhere to put the teacher's other mass."""
    hidden, weight, gold, _ = make(vocab=3)
    targets = SparseTargets(
        torch.arange(3).repeat(ROWS, 1), torch.full((ROWS, 3), 0.3), torch.full((ROWS,), 0.1), 2.0
    )
    bias = torch.zeros(3, dtype=torch.float64)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    args = (hidden, weight, bias, gold, targets)
    expected = value_and_gradients(reference_loss, *args, **kwargs)
    for got, plain in zip(
        value_and_gradients(distillation_loss, *args, **kwargs), expected, strict=True
    ):
        assert torch.isfinite(got).all()
        torch.testing.assert_close(got, plain)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_sixteen_bit_inputs_are_added_up_in_float32(dtype):
    hidden, weight, gold, teacher = make(dtype, rows=300)
    targets = encoded("top_k", teacher, 2.0)
    bias = torch.zeros(VOCAB, dtype=dtype)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": 300_000}
    args = (gold, targets)
    got = value_and_gradients(distillation_loss, hidden, weight, bias, *args, **kwargs)
    expected = value_and_gradients(
        reference_loss, hidden.double(), weight.double(), bias.double(), *args, **kwargs
    )
    assert got[0].dtype == torch.float32
    for fused, plain in zip(got[:3], expected[:3], strict=True):
        # Logits are rounded to 16 bits once; what is added up of them isn't.
        bound = torch.finfo(dtype).eps / 50
        torch.testing.assert_close(fused.double(), plain, rtol=bound, atol=0)
    for fused, plain in zip(got[3:], expected[3:], strict=True):
        assert fused.dtype == dtype
        bound = 4 * torch.finfo(dtype).eps * float(plain.abs().max())
        torch.testing.assert_close(fused.double(), plain, rtol=0.01, atol=bound)


@pytest.mark.parametrize("chunk_rows", [None, 5])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_trained_rows_of_a_frozen_head_get_what_the_whole_head_would(dtype, chunk_rows):
    hidden, weight, gold, teacher = make(dtype)
    targets = encoded("top_k", teacher, 2.0)
    ids = torch.tensor([31, 2, 7])
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    whole = weight.clone().requires_grad_()
    distillation_loss(hidden, whole, gold, targets, **kwargs).loss.backward()
    found = []
    for loss in (distillation_loss, reference_loss):
        rows = TrainedRows(ids, weight[ids].requires_grad_())
        more = {"chunk_rows": chunk_rows, "rows": rows}
        assert not weight.requires_grad
        loss(hidden, weight, gold, targets, **kwargs, **more).loss.backward()
        found.append(rows.values.grad)
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 0.03}[dtype]
    bound = tolerance * float(whole.grad.abs().max())
    assert found[0].abs().max() > 0
    torch.testing.assert_close(found[0], whole.grad[ids], rtol=tolerance, atol=bound)
    torch.testing.assert_close(found[0], found[1], rtol=tolerance, atol=bound)


@pytest.mark.parametrize("rows", [1, 31, 32, 33, 70])
def test_sixteen_bit_rows_are_multiplied_in_few_shapes(rows, monkeypatch):
    """A CPU prepares such products anew for every number of rows."""
    hidden, weight, gold, _ = make(torch.bfloat16, rows=rows + 4)
    hidden, gold = hidden[4:], gold[4:]
    shapes, original = set(), fused_loss._multiply
    monkeypatch.setattr(
        fused_loss,
        "_multiply",
        lambda a, b, **more: (shapes.add(a.shape[0]), original(a, b, **more))[1],
    )
    kwargs = {"alpha": 0.0, "temperature": 1.0, "denominator": rows}
    bias = torch.linspace(-1, 1, VOCAB).bfloat16()
    got = value_and_gradients(distillation_loss, hidden, weight, bias, gold, None, **kwargs)
    exact = [t.double() for t in (hidden, weight, bias)]
    expected = value_and_gradients(reference_loss, *exact, gold, None, **kwargs)
    for fused, plain in zip(got, expected, strict=True):
        bound = 0.02 * float(plain.abs().max())
        torch.testing.assert_close(fused.double(), plain, rtol=0.02, atol=bound)
    assert all(count % 32 == 0 for count in shapes)


def test_autocast_does_not_reach_the_loss():
    hidden, weight, gold, _ = make(torch.float32)
    kwargs = {"alpha": 0.0, "temperature": 1.0, "denominator": ROWS}
    plain = distillation_loss(hidden, weight, gold, None, **kwargs)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = distillation_loss(hidden, weight, gold, None, **kwargs)
    assert mixed.loss.item() == plain.loss.item()


def test_remapped_vocabulary_moves_lost_mass_to_the_tail():
    """Absent ids (-1) between present ones, and a tail that is no longer small."""
    hidden, weight, gold, teacher = make()
    targets = encoded("top_k", teacher, 2.0)
    mapping = torch.full((VOCAB,), -1)
    mapping[::2] = torch.arange(VOCAB // 2)
    small = targets.remap(mapping)
    torch.testing.assert_close(small.probs.sum(1) + small.tail, torch.ones(ROWS))
    gold = torch.where(gold == NO_GOLD, gold, gold // 2)
    args = (hidden, weight[::2], torch.zeros(VOCAB // 2, dtype=torch.float64), gold, small)
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    for got, plain in zip(
        value_and_gradients(distillation_loss, *args, **kwargs),
        value_and_gradients(reference_loss, *args, **kwargs),
        strict=True,
    ):
        torch.testing.assert_close(got, plain)


def test_what_does_not_fit_is_refused():
    hidden, weight, gold, teacher = make()
    kwargs = {"alpha": 0.5, "temperature": 2.0, "denominator": ROWS}
    top_k, sampled = encoded("top_k", teacher, 2.0), encoded("sampled", teacher, 2.0)
    with pytest.raises(ValueError, match="decoded at temperature 2, the loss runs at 3"):
        distillation_loss(hidden, weight, gold, top_k, **{**kwargs, "temperature": 3.0})
    with pytest.raises(ValueError, match="another number of labels"):
        distillation_loss(hidden, weight, gold[1:], top_k, **kwargs)
    with pytest.raises(ValueError, match="another number of labels"):
        distillation_loss(hidden, weight, gold, top_k.slice(0, 4), **kwargs)
    with pytest.raises(ValueError, match="valid_vocab=41 of 40"):
        distillation_loss(hidden, weight, gold, top_k, valid_vocab=41, **kwargs)
    for divergence in ("reverse_kl", "jsd"):
        with pytest.raises(ValueError, match="sampled labels estimate forward_kl only"):
            distillation_loss(hidden, weight, gold, sampled, divergence=divergence, **kwargs)
    labels = encoded("label_distribution", teacher, 2.0)
    with pytest.raises(ValueError, match="infinite"):
        distillation_loss(hidden, weight, gold, labels, divergence="reverse_kl", **kwargs)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("kind", "divergence"), CASES)
def test_gpu_equals_the_plain_formula_on_the_cpu(kind, divergence, dtype):
    hidden, weight, gold, teacher = make(dtype)
    targets = encoded(kind, teacher, 2.0)
    bias = torch.linspace(-1, 1, VOCAB, dtype=dtype)
    kwargs = {
        "alpha": 0.7, "temperature": 2.0, "denominator": ROWS, "divergence": divergence,
    }  # fmt: skip
    expected = value_and_gradients(
        reference_loss, hidden.double(), weight.double(), bias.double(), gold, targets, **kwargs
    )
    got = value_and_gradients(
        distillation_loss, hidden.cuda(), weight.cuda(), bias.cuda(), gold.cuda(), targets,
        **kwargs, chunk_rows=5,
    )  # fmt: skip
    tolerance = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 3e-2}[dtype]
    for fused, plain in zip(got, expected, strict=True):
        assert fused.is_cuda
        bound = tolerance * max(1.0, float(plain.abs().max()))
        assert float((fused.cpu().double() - plain).abs().max()) <= bound
