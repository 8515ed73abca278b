"""Soft labels of a teacher that nobody adapted, where answers are few: it gives them in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.teacher import SoftLabels
from stillhouse.endpoint.remote import Remote
from stillhouse.progress import track
from stillhouse.soft_labels.classes import encode_label_distribution
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.tasks.common import Row, training_rows
from stillhouse.tasks.prompting import Prompter

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def rows_to_label(prompter: Prompter, answered: Path | None, wanted: set[str]) -> list[Row]:
    training = training_rows(prompter.dataset, prompter.kind.task.name, answered)
    return [row for rows in training for row in rows if row["pair_id"] in wanted]


def label_in_words(
    model: PreTrainedModel | Remote,
    prompters: Sequence[Prompter],
    missing: set[str],
    answered: Path | None,
    encoding: LabelEncoding,
    settings: SoftLabels,
) -> Iterator[dict[str, LabelRecords]]:
    """The distribution over the answers in words, as one over the tokens that stand for them.

    Answers of other tasks get no probability.
    """
    import numpy as np
    import torch

    start = 0
    for prompter in prompters:
        kind = prompter.kind
        width = len(kind.answer_tokens)
        if not width:
            continue
        todo = rows_to_label(prompter, answered, missing)
        todo.sort(key=lambda row: -len(row["input"]))
        shards = [
            todo[i : i + settings.shard_pairs] for i in range(0, len(todo), settings.shard_pairs)
        ]
        for rows in track(shards, "Labelling in words", unit="shards"):
            inputs = [row["input"] for row in rows]
            found = kind.predict_untrained(model, prompter.prompts(rows), inputs)
            log_probs = np.full((len(rows), encoding.entries), -np.inf)
            with np.errstate(divide="ignore"):
                log_probs[:, start : start + width] = np.log(found)
            records = encode_label_distribution(torch.from_numpy(log_probs), encoding.label_ids)
            yield dict(
                zip((r["pair_id"] for r in rows), records.split([1] * len(rows)), strict=True)
            )
        prompter.warn()
        start += width
