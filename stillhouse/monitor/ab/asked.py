"""What models answer to sampled requests: kept, so that each is asked of each once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task, task_of
from stillhouse.evaluate.kept import Known, read_kept, write_kept
from stillhouse.evaluate.side_by_side import Candidate
from stillhouse.monitor.ab.sample import Sampled
from stillhouse.storage.files import digest
from stillhouse.tasks.common import Kind, Row
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner
from stillhouse.tasks.serving import learned


@dataclass(frozen=True)
class Side:
    """A model of the test. What one of `releases` answered in production, it has answered. `tasks`
    has settings as they were when it was released, where they are known."""

    model: Candidate
    releases: frozenset[str] = frozenset()
    tasks: Mapping[str, Any] | None = None

    def task(self, task: Task) -> Task:
        settings = (self.tasks or {}).get(task.name)
        return task if settings is None else task_of(settings, task)

    def answer(self, row: Sampled) -> str | None:
        """What it answered to this request when it came, as masked; None where it did not."""
        if row.release in self.releases:
            return row.answer
        return row.shadow if row.shadow_release in self.releases else None


class Kept:
    """Answers of one model in the file `name`, from the folder of the last test to the new one."""

    def __init__(self, before: Path, folder: Path, name: str) -> None:
        self._target = folder / f"{name}.parquet"
        self._before: Known = read_kept(before / f"{name}.parquet", "pair_id")
        self._now: Known = {}

    def ask(self, side: Side, dataset: Path, task: Task, rows: Sequence[Sampled]) -> list[str]:
        """A label or response for each row, masked texts all; only what is new is asked.

        Raises `UserError` where the model lacks the task, or its server doesn't answer.
        """
        runner, found = _open(side, dataset, task)
        key = digest(side.model.digest, runner.asks(found), found.task.kind, found.meaning)
        known = {
            name: self._before[name]
            for row in rows
            if self._before.get(name := (task.name, row.request), ("", ""))[0] == key
        }
        new = [row for row in rows if (task.name, row.request) not in known]
        if new:
            inputs = [row.input for row in new]
            said = found.answers(inputs, runner.predict(found, _rows(found, new)))
            for row, one in zip(new, said, strict=True):
                text = one.response if one.label is None else one.label
                known[task.name, row.request] = (key, json.dumps(text))
        self._now |= known
        write_kept(self._target, self._now, "pair_id")
        return [json.loads(known[task.name, row.request][1]) for row in rows]


def _open(side: Side, dataset: Path, task: Task) -> tuple[Runner, Kind]:
    """The model, and the task as it has learned it: a dataset that moved on changes neither."""
    model = side.model
    runner = Runner(model.folder, dataset, model.max_tokens, model.prompt, model.access)
    if runner.prompt:
        return runner, open_tasks(dataset, [task])[0]
    return runner, learned(side.task(task), runner.encoder.tokenizer)


def _rows(kind: Kind, rows: Sequence[Sampled]) -> list[Row]:
    return [
        {
            "pair_id": row.request,
            "instruction": kind.task.instruction,
            "input": row.input,
            "response": "",
            "label": None,
        }
        for row in rows
    ]
