"""Pairs of a task whose answers are texts, made of those of a classification."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stillhouse.config.dataset import SummarizationTask


def written_task(name: str = "gist") -> SummarizationTask:
    return SummarizationTask(
        name=name, kind="summarization", sources=["tickets"], max_answer_tokens=8
    )


def written_pairs(pairs: Sequence[dict[str, Any]], task: str = "gist") -> list[dict[str, Any]]:
    """The pairs of a classification again, answered with a text of their own."""
    return [
        row
        | {
            "task": task,
            "pair_id": f"{task}-{row['pair_id']}",
            "instruction": "Say it in a word or two.",
            "response": f" {row['label']} {row['input'][:5]}",
            "label": None,
        }
        for row in pairs
    ]
