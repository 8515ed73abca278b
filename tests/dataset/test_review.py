from __future__ import annotations

import pyarrow as pa

from stillhouse.dataset.review import review_sample


def pairs(count: int) -> pa.Table:
    return pa.table(
        {
            "pair_id": [f"p{i}" for i in range(count)],
            "task": ["routing"] * count,
            "label": [("billing", "quality")[i % 2] for i in range(count)],
            "source": ["tickets"] * count,
            "split": ["train"] * count,
            "input": [f"text {i}" for i in range(count)],
        }
    )


def test_every_label_is_sampled_and_growth_replaces_few() -> None:
    small, large = review_sample(pairs(100), 3), review_sample(pairs(104), 3)
    assert small["label"].to_pylist() == ["billing"] * 3 + ["quality"] * 3
    kept = set(small["pair_id"].to_pylist()) & set(large["pair_id"].to_pylist())
    assert len(kept) >= 4
    assert review_sample(pairs(100).take(list(range(99, -1, -1))), 3).equals(small)
