from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.dataset.splits import assign_splits, split_of, straddling, untrainable_labels

SHARES = {"validation": 0.1, "test": 0.2, "seed": 7}


def pairs(groups: list[str], inputs: list[str] | None = None) -> pa.Table:
    count = len(groups)
    return pa.table(
        {
            "pair_id": [f"p{i}" for i in range(count)],
            "task": ["routing"] * count,
            "label": ["billing"] * count,
            "group_id": groups,
            "input": inputs or [f"text {i}" for i in range(count)],
        }
    )


def test_shares_are_about_as_asked() -> None:
    found = Counter(split_of(f"g{i}", **SHARES) for i in range(20_000))
    assert abs(found["test"] / 20_000 - 0.2) < 0.01
    assert abs(found["validation"] / 20_000 - 0.1) < 0.01


@given(st.lists(st.text(min_size=1), min_size=1), st.lists(st.text(min_size=1)))
def test_more_documents_leave_the_old_ones_where_they_were(old: list[str], new: list[str]) -> None:
    before = assign_splits(pairs(old), **SHARES)["split"].to_pylist()
    after = assign_splits(pairs(old + new), **SHARES)["split"].to_pylist()
    assert after[: len(old)] == before


def test_a_family_stays_together() -> None:
    split = assign_splits(pairs([f"g{i % 50}" for i in range(500)]), **SHARES)
    assert straddling(split) == []


def test_straddling_finds_torn_families_and_equal_texts() -> None:
    table = pairs(["a", "a", "b", "c"], ["one", "two", "Same  text", "same text"])
    torn = table.append_column("split", pa.array(["train", "test", "train", "test"]))
    assert straddling(torn) == ["documents of family a", "text of pair p2"]


def test_a_label_without_training_pairs_is_named() -> None:
    table = pairs(["a", "b"]).append_column("split", pa.array(["test", "validation"]))
    assert untrainable_labels(table) == ["routing:billing"]
