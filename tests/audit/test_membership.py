"""Members are told by what they leave in a model, and only where nothing else tells them."""

from __future__ import annotations

from typing import Any

import numpy as np

from stillhouse.audit.membership import Read, areas, confounded, confounds, min_k
from stillhouse.audit.scores import Scored


def scored(log_probs: list[float], mean: float = -3.0, spread: float = 1.0) -> Scored:
    n = len(log_probs)
    return Scored(np.array(log_probs), np.full(n, mean), np.full(n, spread), np.zeros(n))


def test_min_k_is_the_mean_of_the_least_likely_tokens_in_deviations() -> None:
    said = scored([-1, -5, -2, -9, -1, -1, -1, -1, -1, -1], mean=-3, spread=2)
    assert min_k(said) == np.mean([(-9 + 3) / 2, (-5 + 3) / 2])
    assert min_k(scored([])) == 0


def test_a_member_is_told_by_text_and_by_answer() -> None:
    random = np.random.default_rng(0)

    def read(seen: bool) -> tuple[Read, Read]:
        easy = float(random.normal())
        text = scored([easy + random.normal(2.0 * seen) for _ in range(20)])
        answer, control = scored([easy + 3.0 * seen]), scored([easy])
        return Read(text, answer), Read(text, control)

    found = areas({"t": [read(True) for _ in range(50)]}, {"t": [read(False) for _ in range(50)]})
    # How easy an answer is for anybody is taken out by the control.
    assert found["answer"]["t"].value == 1.0
    assert found["text"]["t"].value > 0.8
    alike = areas({"t": [read(True) for _ in range(50)]}, {"t": [read(True) for _ in range(50)]})
    assert 0.3 < alike["text"]["t"].value < 0.7


def rows(count: int, text: str, created: str, seed: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    return [
        {
            "input": f"{text} {' '.join(random.choice(list('abcdefgh'), 9))}",
            "response": "yes",
            "source": "tickets",
            "created_at": created if random.random() < 0.8 else None,
        }
        for _ in range(count)
    ]


def test_sides_that_differ_without_any_model_are_confounded() -> None:
    alike = (
        {"t": rows(60, "a ticket", "2025-01-01", 1)},
        {"t": rows(60, "a ticket", "2025-01-01", 2)},
    )
    assert not confounded(confounds(*alike, seed=7))
    later = (
        {"t": rows(60, "a ticket", "2025-01-01", 1)},
        {"t": rows(60, "a ticket", "2025-06-01", 2)},
    )
    found = confounds(*later, seed=7)
    assert found["surface"].low > 0.5 >= found["words"].low
    told = (
        {"t": rows(60, "a printer", "2025-01-01", 1)},
        {"t": rows(60, "an invoice", "2025-01-01", 2)},
    )
    assert confounds(*told, seed=7)["words"].low > 0.5
    assert confounds({"t": alike[0]["t"][:9]}, alike[1], seed=7) == {}
