"""The bag of words that a classifier has to beat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillhouse.config.dataset import Task
from stillhouse.tasks.classification import Classification
from stillhouse.tasks.classification_baseline import probabilities

TEXTS = ["refund my invoice", "the invoice is wrong", "my screen is dark", "a dark screen"]
LABELS = ["billing", "billing", "hardware", "hardware"]


def test_it_learns_which_words_go_with_which_class() -> None:
    found = probabilities(TEXTS, LABELS, ["invoice!", "Screen"], ["billing", "hardware"])
    assert found.argmax(axis=1).tolist() == [0, 1]
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert found.max() > 0.6


def test_it_knows_the_order_of_two_words() -> None:
    texts = ["card not lost", "not lost card", "lost card not", "lost not card"] * 4
    found = probabilities(texts, ["a", "a", "b", "b"] * 4, ["not lost", "lost not"], ["a", "b"])
    assert found[0, 0] > 0.5 > found[1, 0]


def test_columns_are_the_classes_asked_for_in_their_order() -> None:
    found = probabilities(TEXTS, LABELS, ["invoice"], ["hardware", "never seen", "billing"])
    assert found.argmax() == 2
    assert found[0, 1] == 0
    assert found.sum() == pytest.approx(1)


def test_what_was_never_seen_is_answered_and_the_same_comes_out_each_time() -> None:
    first, second = (
        probabilities(TEXTS, LABELS, ["退款", ""], ["billing", "hardware"]) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(first, 0.5, atol=0.05)


@pytest.mark.parametrize(
    ("texts", "labels", "expected"),
    [
        (["a", "b", "c"], ["x", "x", "x"], [1, 0]),
        (["…", "!", ""], ["x", "x", "y"], [2 / 3, 1 / 3]),
    ],
)
def test_without_words_or_classes_to_tell_apart_the_shares_stand_in(
    texts: list[str], labels: list[str], expected: list[float]
) -> None:
    found = probabilities(texts, labels, ["a", "z"], ["x", "y"])
    np.testing.assert_allclose(found, [expected] * 2)


def test_words_of_one_character_count() -> None:
    found = probabilities(["型 A", "型 B"] * 5, ["a", "b"] * 5, ["A"], ["a", "b"])
    assert found[0, 0] > 0.6


def test_the_task_names_it_and_scores_what_it_predicts(
    routing: Task, routing_dataset: Path, routing_pairs: list[dict[str, Any]]
) -> None:
    task = Classification(routing, routing_dataset)
    training = [r for r in routing_pairs if r["split"] == "train"]
    name, predictions = task.baseline(training, training)
    assert name == "TF-IDF with logistic regression"
    scored = task.score([r["label"] for r in training], predictions)
    assert scored.score == 1  # texts that it has learned
    assert task.baseline(training, [])[1].shape == (0, 2)
