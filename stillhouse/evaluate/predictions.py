"""What a model answers to the pairs of a split, kept so that each is asked once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import (
    context_length,
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from stillhouse.storage.files import digest
from stillhouse.storage.query import rows_in_batches
from stillhouse.storage.tables import BATCH_ROWS, read_batches, table_writer
from stillhouse.tasks.common import (
    Kind,
    Predictions,
    Row,
    answers_in_words,
    quoted,
    require_splits,
    rows_of,
)
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.prompting import Prompter
from stillhouse.tasks.results import Scored

if TYPE_CHECKING:
    import pyarrow as pa
    from transformers import PreTrainedModel

# By task and pair: the key of what it was predicted with, and the prediction as JSON.
Known = dict[tuple[str, str], tuple[str, str]]


def predict(
    model: Path,
    dataset: Path,
    tasks: Sequence[Task],
    split: str,
    store: Path,
    *,
    model_digest: str,
    max_tokens: int,
    prompt: TeacherPrompt | None = None,
) -> dict[str, Scored]:
    """One model's answers to the pairs of a split, scored, by task.

    `store`, a Parquet file of this model and split, keeps them: only pairs that it lacks are
    predicted, and those that are gone leave it. What was predicted by other weights
    (`model_digest`), for other answers or from other prompts does not count. Weights as they came
    are asked in words, by `prompt`; a teacher that was not adapted says itself how it is asked.

    Raises `UserError` when a task has no pair in the split, or the model lacks a task's answers;
    and as `Prompter` does.
    """
    require_splits(dataset, tasks, (split,))
    kinds = open_tasks(dataset, tasks)
    runner = _Runner(model, dataset, max_tokens, prompt)
    keys = {
        k.task.name: digest(model_digest, runner.asks(k), k.task.kind, k.meaning) for k in kinds
    }
    stored = _read(store)
    present = _pairs_in(dataset, split)
    # Other tasks' answers stay: students of one teacher may each ask for their own tasks.
    known = {
        pair: found
        for pair, found in stored.items()
        if pair in present and keys.get(pair[0], found[0]) == found[0]
    }
    wanted = {pair for pair in present if pair[0] in keys}
    if wanted - known.keys():
        for kind in kinds:
            missing = [
                row
                for rows in rows_of(dataset, kind.task.name, split)
                for row in rows
                if (kind.task.name, row["pair_id"]) not in known
            ]
            known |= runner.predict(kind, missing, keys[kind.task.name])
    if known != stored:
        _write(store, known)
    return {k.task.name: _score(k, dataset, split, known) for k in kinds}


def _pairs_in(dataset: Path, split: str) -> set[tuple[str, str]]:
    return {
        (row["task"], row["pair_id"])
        for rows in rows_in_batches(
            f"SELECT task, pair_id FROM dataset WHERE split = {quoted([split])}",  # noqa: S608
            dataset=dataset,
        )
        for row in rows
    }


class _Runner:
    """A model, read once it is needed, and what it predicts of rows."""

    def __init__(
        self, folder: Path, dataset: Path, max_tokens: int, prompt: TeacherPrompt | None
    ) -> None:
        self.folder, self.dataset, self.max_tokens = folder, dataset, max_tokens
        in_words = answers_in_words(folder)
        self.prompt = in_words.prompt if in_words else prompt
        self.vocabulary = in_words.vocabulary if in_words else None
        self._prompters: dict[str, Prompter] = {}

    def asks(self, kind: Kind) -> str:
        """What stands for all that a prompt is made of beside the pair."""
        return self._prompter(kind).fingerprint if self.prompt else digest(self.max_tokens)

    def predict(self, kind: Kind, rows: Sequence[Row], key: str) -> Known:
        if not rows:
            return {}
        predictions: Predictions
        if self.prompt:
            prompter = self._prompter(kind)
            predictions = kind.predict_untrained(self._model, prompter.prompts(rows))
            prompter.warn()
        else:
            examples = self._encoder.prompts(rows)
            predictions = kind.predict(self._model, self._encoder, examples)
        return {
            (kind.task.name, row["pair_id"]): (key, json.dumps(_plain(answer)))
            for row, answer in zip(rows, predictions, strict=True)
        }

    def _prompter(self, kind: Kind) -> Prompter:
        assert self.prompt is not None  # noqa: S101 - only asked then
        name = kind.task.name
        if name not in self._prompters:
            self._prompters[name] = Prompter(
                self._encoder, self.prompt, kind, self.dataset, context_length(self.folder),
                self.vocabulary,
            )  # fmt: skip
        return self._prompters[name]

    @cached_property
    def _model(self) -> PreTrainedModel:
        device = pick_device()
        return load_model(self.folder, device, pick_dtype(device))

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(load_tokenizer(self.folder), self.max_tokens)


def _plain(row: Any) -> Any:
    return row.tolist() if hasattr(row, "tolist") else row


def _score(kind: Kind, dataset: Path, split: str, known: Known) -> Scored:
    gold, predictions = [], []
    for rows in rows_of(dataset, kind.task.name, split):
        gold += [row["label"] for row in rows]
        predictions += [json.loads(known[kind.task.name, row["pair_id"]][1]) for row in rows]
    return kind.score(gold, predictions)


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(n, pa.string()) for n in ("task", "pair_id", "key", "prediction")])


def _read(store: Path) -> Known:
    if not store.exists():
        return {}
    return {
        (row["task"], row["pair_id"]): (row["key"], row["prediction"])
        for batch in read_batches(store)
        for row in batch.to_pylist()
    }


def _write(store: Path, known: Known) -> None:
    rows = [
        {"task": task, "pair_id": pair, "key": key, "prediction": prediction}
        for (task, pair), (key, prediction) in sorted(known.items())
    ]
    with table_writer(store, _schema()) as write:
        for start in range(0, len(rows), BATCH_ROWS):
            write(rows[start : start + BATCH_ROWS])
