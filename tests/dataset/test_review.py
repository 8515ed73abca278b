from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from stillhouse.dataset.review import draw_review_sample
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table


def test_every_answer_is_sampled_and_growth_replaces_few(
    tmp_path: Path, routing_pairs: list[dict[str, Any]], write_dataset: Callable[..., Path]
) -> None:
    layout = Layout(tmp_path)

    def sample(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        write_dataset(layout.table("dataset_splits"), pairs)
        facts = draw_review_sample(layout)
        rows = read_table(layout.table("review_sample")).to_pylist()
        assert facts.pairs == len(rows)
        return rows

    many = [
        routing_pairs[0]
        | {"pair_id": f"p{i}", "label": ("billing", "quality")[i % 2], "input": f"text {i}"}
        for i in range(104)
    ]
    small, large = sample(many[:100]), sample(many)
    assert [row["label"] for row in small] == ["billing"] * 3 + ["quality"] * 3
    assert len({r["pair_id"] for r in small} & {r["pair_id"] for r in large}) >= 4
    assert sample(many[99::-1]) == small
