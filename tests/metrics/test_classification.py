import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, f1_score, log_loss

from stillhouse.metrics.classification import classification_metrics, wilson_interval

LABELS = ["billing", "card", "login", "other"]


def predictions(seed: int, n: int, classes: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.dirichlet(np.full(classes, 0.5), n), rng.integers(0, classes, n)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 60))
def test_agrees_with_scikit_learn(seed, n):
    p, gold = predictions(seed, n)
    m = classification_metrics(p, gold, LABELS)
    predicted = p.argmax(axis=1)
    assert m.accuracy == pytest.approx((predicted == gold).mean())
    # The mean over the classes in gold, which scikit-learn gives when told these.
    assert m.macro_f1 == pytest.approx(
        f1_score(gold, predicted, labels=np.unique(gold), average="macro", zero_division=0)
    )
    assert m.nll == pytest.approx(log_loss(gold, np.clip(p, 1e-12, 1), labels=range(4)), abs=1e-6)
    assert m.brier == pytest.approx(
        brier_score_loss(gold, p, labels=range(4), scale_by_half=False), abs=1e-9
    )


def test_worked_example():
    p = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.6, 0.4]])
    m = classification_metrics(p, np.array([0, 0, 1, 1]), ["no", "yes"])
    assert m.n == 4
    assert m.accuracy == 0.75
    assert m.mean_confidence == pytest.approx(0.75)
    # F1 of "no": 2 of 3 claimed, 2 of 2 found; of "yes": 1 of 1 claimed, 1 of 2 found.
    assert m.per_class["no"].f1 == pytest.approx(0.8)
    assert m.per_class["yes"].f1 == pytest.approx(2 / 3)
    assert m.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    # All four confidences lie in bins of their own.
    assert m.ece == pytest.approx((0.1 + 0.2 + 0.3 + 0.6) / 4)
    assert m.brier == pytest.approx((0.02 + 0.08 + 0.18 + 0.72) / 4)
    assert m.nll == pytest.approx(-np.log([0.9, 0.8, 0.7, 0.4]).mean())


def test_class_without_examples_is_not_averaged_but_costs_its_victims():
    p = np.eye(3)[[0, 0, 1, 2]]
    m = classification_metrics(p, np.array([0, 0, 1, 1]), ["a", "b", "never"])
    assert m.per_class["never"].support == 0
    assert m.per_class["b"].recall == 0.5
    assert m.macro_f1 == pytest.approx((1 + 2 / 3) / 2)


def test_certain_and_wrong_has_a_finite_nll_and_the_worst_brier():
    m = classification_metrics(np.array([[1.0, 0.0]]), np.array([1]), ["a", "b"])
    assert 20 < m.nll < 40
    assert m.brier == pytest.approx(2)


def test_json_holds_plain_finite_numbers():
    m = classification_metrics(*predictions(1, 50), LABELS)
    loaded = json.loads(json.dumps(m.to_json(), allow_nan=False))
    assert loaded["accuracy_ci"] == list(m.accuracy_ci)
    assert loaded["per_class"]["card"]["support"] == m.per_class["card"].support
    assert sum(c["support"] for c in loaded["per_class"].values()) == loaded["n"] == 50


@pytest.mark.parametrize(
    ("p", "gold", "labels", "complaint"),
    [
        ([[2.0, -1.0]], [0], ["a", "b"], "sum to 1"),
        ([[3.1, 0.2]], [0], ["a", "b"], "sum to 1"),
        ([[float("nan"), 1.0]], [0], ["a", "b"], "sum to 1"),
        ([[0.5, 0.5]], [2], ["a", "b"], "outside"),
        ([[0.5, 0.5]], [-1], ["a", "b"], "outside"),
        ([[0.5, 0.5]], [0, 1], ["a", "b"], "one class a row"),
        ([[0.5, 0.5]], [0.0], ["a", "b"], "integers"),
        ([[0.5, 0.5]], [0], ["a"], "distinct names"),
        ([[0.5, 0.5]], [0], ["a", "a"], "distinct names"),
        (np.zeros((0, 2)), np.zeros(0, int), ["a", "b"], "not empty"),
    ],
)
def test_refuses(p, gold, labels, complaint):
    with pytest.raises(ValueError, match=complaint):
        classification_metrics(p, gold, labels)


def test_float16_probabilities_are_accepted():
    p, gold = predictions(5, 40)
    m = classification_metrics(p.astype(np.float16), gold, LABELS)
    assert m.accuracy == classification_metrics(p, gold, LABELS).accuracy


def test_wilson_interval():
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
