"""What a model answers to the pairs of a split, kept so that each is asked once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.errors import UserError
from stillhouse.evaluate.kept import Known, read_kept, write_kept
from stillhouse.evaluate.together import Lack, fill
from stillhouse.storage.files import digest, read_json, write_json
from stillhouse.storage.query import rows_in_batches
from stillhouse.tasks.common import Kind, Row, gold_of, quoted, require_splits, rows_of
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.results import Scored
from stillhouse.tasks.running import Runner

# Beside a store: how fast its answers came.
SPEED = ".speed.json"
# By task and pair: the key of what it was predicted with, and the prediction as JSON.


@dataclass(frozen=True)
class Answers:
    """A model's predictions of the pairs of one task's split, and the gold answers."""

    kind: Kind
    gold: list[str]
    predictions: list[Any]

    def scored(self, calibration: Any = None) -> Scored:
        """How good they are; `calibration` as `Kind.calibrate` gives it."""
        return self.kind.score(self.gold, self.predictions, calibration)


def predict(
    runner: Runner,
    tasks: Sequence[Task],
    split: str,
    store: Path,
    *,
    model_digest: str,
    kinds: Sequence[Kind] | None = None,
) -> dict[str, Answers]:
    """One model's answers to the pairs of a split of its dataset, by task.

    `store`, a Parquet file of this model and split, keeps them: only pairs that it lacks are
    predicted, and those that are gone leave it. What was predicted by other weights
    (`model_digest`), for other answers or from other prompts does not count. What a killed run had
    finished, task by task, is kept. `kinds` are the tasks as the model has learned them, where that
    may not be as the dataset has them.

    Raises `UserError` when a task has no pair in the split, or the model lacks a task's answers;
    and as `Prompter` does.
    """
    kinds = open_tasks(runner.dataset, tasks) if kinds is None else kinds
    fill(runner, lacking(runner, tasks, split, store, model_digest=model_digest, kinds=kinds))
    known = read_kept(store, "pair_id")
    return {k.task.name: _answers(k, runner.dataset, split, known) for k in kinds}


def lacking(
    runner: Runner,
    tasks: Sequence[Task],
    split: str,
    store: Path,
    *,
    model_digest: str,
    kinds: Sequence[Kind] | None = None,
) -> list[Lack]:
    """What `predict` would ask, by task; what no longer counts leaves the store. Raises `UserError`
    as `predict` does."""
    dataset = runner.dataset
    require_splits(dataset, tasks, (split,))
    kinds = open_tasks(dataset, tasks) if kinds is None else kinds
    keys = {
        k.task.name: digest(model_digest, runner.asks(k), k.task.kind, k.meaning) for k in kinds
    }
    stored = read_kept(store, "pair_id")
    present = _pairs_in(dataset, split)
    # Other tasks' answers stay: students of one teacher may each ask for their own tasks.
    known = {
        pair: found
        for pair, found in stored.items()
        if pair in present and keys.get(pair[0], found[0]) == found[0]
    }
    if known != stored:
        write_kept(store, known, "pair_id")
    found = []
    for kind in kinds:
        task = kind.task.name
        missing = [
            row
            for rows in rows_of(dataset, task, split)
            for row in rows
            if (task, row["pair_id"]) not in known
        ]
        found.append(Lack(kind, missing, partial(_keep, store, task, missing, keys[task])))
    return found


def _keep(
    store: Path, task: str, rows: Sequence[Row], key: str, answers: Sequence[Any], seconds: float
) -> None:
    _remember_speed(store, task, len(rows), seconds)
    new = {
        (task, row["pair_id"]): (key, json.dumps(answer))
        for row, answer in zip(rows, answers, strict=True)
    }
    write_kept(store, read_kept(store, "pair_id") | new, "pair_id")


def kept(dataset: Path, tasks: Sequence[Task], split: str, store: Path) -> dict[str, Answers]:
    """What `store` keeps of a model's answers to a split, by task; no model is asked.

    Raises `UserError` where an answer lacks.
    """
    known = read_kept(store, "pair_id")
    lacking = [
        pair
        for pair in _pairs_in(dataset, split)
        if pair not in known and pair[0] in {task.name for task in tasks}
    ]
    if lacking:
        raise UserError(
            f"{len(lacking)} held-out pairs were not answered yet",
            remedy="`stillhouse run` makes the evaluation report, which asks them.",
        )
    return {k.task.name: _answers(k, dataset, split, known) for k in open_tasks(dataset, tasks)}


def _pairs_in(dataset: Path, split: str) -> set[tuple[str, str]]:
    return {
        (row["task"], row["pair_id"])
        for rows in rows_in_batches(
            f"""SELECT task, pair_id FROM dataset
                WHERE split = {quoted([split])} AND response IS NOT NULL""",  # noqa: S608
            dataset=dataset,
        )
        for row in rows
    }


def _remember_speed(store: Path, task: str, texts: int, seconds: float) -> None:
    """Of a task's texts; a few that came to many tell little, and change nothing."""
    file = store.with_suffix(SPEED)
    known = read_json(file) if file.exists() else {}
    if texts * 2 >= known.get(task, {}).get("texts", 0):
        write_json(file, known | {task: {"texts": texts, "seconds": seconds}})


def texts_per_second(store: Path, tasks: Sequence[str]) -> float | None:
    """How fast the model of `store` answered these tasks' texts, in batches, when it was last asked
    much: what was kept is not asked again. None where that is not known of each."""
    file = store.with_suffix(SPEED)
    known = read_json(file) if file.exists() else {}
    found = [known[task] for task in tasks if task in known]
    seconds = sum(one["seconds"] for one in found)
    if len(found) < len(tasks) or not seconds:
        return None
    return float(sum(one["texts"] for one in found) / seconds)


def _answers(kind: Kind, dataset: Path, split: str, known: Known) -> Answers:
    found = Answers(kind, [], [])
    for rows in rows_of(dataset, kind.task.name, split):
        found.gold.extend(gold_of(row) for row in rows)
        found.predictions.extend(
            json.loads(known[kind.task.name, row["pair_id"]][1]) for row in rows
        )
    return found
