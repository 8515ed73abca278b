import numpy as np
import pytest

from stillhouse.metrics.temperature import FEWEST, apply_temperature, fit_temperature


def drawn(n: int, sharpness: float, classes: int = 4, seed: int = 0):
    """Probabilities of a model that is `sharpness` times as sure as it should be, and the gold."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, (n, classes))
    true = apply_temperature(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), 1.0)
    gold = np.array([random.choice(classes, p=row) for row in true])
    return apply_temperature(true, 1 / sharpness), gold


@pytest.mark.parametrize("sharpness", [0.5, 1.0, 3.0])
def test_it_finds_how_much_too_sure_a_model_is(sharpness):
    found = fit_temperature(*drawn(4000, sharpness))
    assert found == pytest.approx(sharpness, rel=0.1)


def test_no_answer_changes():
    p, _ = drawn(50, 3.0)
    found = apply_temperature(p, 2.5)
    assert (found.argmax(axis=1) == p.argmax(axis=1)).all()
    assert found.sum(axis=1) == pytest.approx(np.ones(50))
    assert (apply_temperature(p, None) == p).all()


def test_few_examples_give_no_certainty():
    p, gold = drawn(FEWEST, 1.0)
    assert fit_temperature(p[:-1], gold[:-1]) is None
    # All right: the likeliest temperature would be 0, and every later answer certain.
    right = fit_temperature(p, p.argmax(axis=1))
    assert apply_temperature(p, right).max() < 0.999
    assert fit_temperature(np.eye(2)[np.zeros(20, int)], np.ones(20, int)) > 1  # always wrong
    with pytest.raises(ValueError, match="need"):
        fit_temperature(p, gold[:3])
