"""The pairs of each task as token ids, by split, with their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.lm.labels import readable
from stillhouse.lm.prompts import Example, encode_pairs, label_token

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedTokenizerBase

Row = dict[str, Any]


@dataclass(frozen=True)
class TaskData:
    """A classification task: its labels in order, and its pairs by split."""

    name: str
    labels: list[str]
    rows: Mapping[str, list[Row]]

    @property
    def tokens(self) -> dict[str, str]:
        """Label token -> label name, in the order of `labels`."""
        return {label_token(self.name, label): readable(label) for label in self.labels}

    def gold(self, split: str) -> np.ndarray:
        """Index into `labels` of each pair of `split`."""
        import numpy as np

        index = {label: i for i, label in enumerate(self.labels)}
        return np.array([index[row["label"]] for row in self.rows[split]], dtype=int)


def tasks_of(rows: Sequence[Row], names: Sequence[str] | None = None) -> list[TaskData]:
    """Tasks of the pairs in `rows` (columns of `pair_schema` and "split"), all or by name."""
    tasks = []
    for name in sorted({row["task"] for row in rows}) if names is None else names:
        mine = [row for row in rows if row["task"] == name]
        by_split = {
            split: [row for row in mine if row["split"] == split]
            for split in ("train", "validation", "test")
        }
        tasks.append(TaskData(name, sorted({row["label"] for row in mine}), by_split))
    return tasks


@dataclass(frozen=True)
class EncodedTask:
    """`examples` by split, in the order of the task's rows; `label_ids` in that of its labels."""

    task: TaskData
    label_ids: list[int]
    examples: Mapping[str, list[Example]]


def encode_task(
    tokenizer: PreTrainedTokenizerBase, task: TaskData, *, max_tokens: int
) -> EncodedTask:
    """Tokenize a task; its label tokens must be in the vocabulary (`add_label_tokens`)."""
    ids = tokenizer.convert_tokens_to_ids(list(task.tokens))
    if any(i is None or i == tokenizer.unk_token_id for i in ids):
        raise ValueError(f"task {task.name}: the tokenizer lacks its label tokens")
    examples = {
        split: encode_pairs(tokenizer, rows, max_tokens=max_tokens) if rows else []
        for split, rows in task.rows.items()
    }
    return EncodedTask(task, ids, examples)


def of_split(tasks: Sequence[EncodedTask], split: str) -> list[Example]:
    return [example for task in tasks for example in task.examples[split]]
