"""What a student says to texts of one's own, with the confidence that its report gave it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.corpus.parse.record_rows import LONE_SURROGATES
from stillhouse.errors import UserError
from stillhouse.storage.files import read_json
from stillhouse.tasks.common import Kind, Row
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner

CALIBRATION = "calibration.json"
SERVED, WEIGHTS = "student_quantized", "quantized"
BATCH = 64
# The fields of an object that a model is shown; the others come back as they are.
ASKED = ("text", "question", "passage")


@dataclass(frozen=True)
class Model:
    """A model to ask; `calibration` says by task what its confidence is worth, where known."""

    name: str
    folder: Path
    max_tokens: int
    calibration: Mapping[str, Any] | None = None


def read_calibrations(folder: Path) -> dict[str, Any]:
    """What the report in `folder` (a student's, or a release) found of models' confidence: by model
    and task, and by task what is served.

    Of earlier releases it may lie beside the weights that are served, by task.
    """
    if (file := folder / CALIBRATION).exists():
        return dict(read_json(file))
    if not (file := folder / WEIGHTS / CALIBRATION).exists():
        return {}
    fitted = read_json(file)
    served = {task: {"threshold": known.get("threshold")} for task, known in fitted.items()}
    return {**served, SERVED: fitted}


def read_calibration(folder: Path, model: str) -> dict[str, Any] | None:
    """What is known of one model's confidence, by task."""
    return read_calibrations(folder).get(model)


def ask(
    models: Sequence[Model],
    dataset: Path,
    tasks: Sequence[Task],
    asked: Iterable[str | Mapping[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Let each model answer each of `asked` for each task: one JSON object a task and input.

    What is asked is a text, or an object with a field `text` (or `question` and `passage`); its
    other fields come back with the answer, those with a name of the answer's own fields as fields
    of `given`. Inputs pass in batches, so that a file of any length
    can be answered. Of several models, the first one's answer is the answer, and the others' stand
    beside it by their names.

    Raises `UserError` when an input has not what a task needs.
    """
    kinds = open_tasks(dataset, tasks)
    runners = [Runner(m.folder, dataset, m.max_tokens) for m in models]
    waiting = enumerate(asked, start=1)
    while batch := list(islice(waiting, BATCH)):
        said: list[dict[str, Any]] = []
        for kind in kinds:
            rows = [_row(kind, number, value) for number, value in batch]
            inputs = [row["input"] for row in rows]
            answers = [
                kind.answers(
                    inputs, runner.predict(kind, rows), (m.calibration or {}).get(kind.task.name)
                )
                for m, runner in zip(models, runners, strict=True)
            ]
            for place, (_, value) in enumerate(batch):
                first, *others = (found[place].as_json() for found in answers)
                beside = {m.name: o for m, o in zip(models[1:], others, strict=True)}
                said.append(_joined(value, {"task": kind.task.name, **first, **beside}))
        # All tasks' answers to a text stand together.
        for place in range(len(batch)):
            yield from said[place :: len(batch)]


def _joined(asked: str | Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What was asked, and what was found; nothing of either is lost."""
    own = {} if isinstance(asked, str) else dict(asked)
    if taken := own.keys() & found.keys():
        # A `given` of the caller's own too.
        taken |= own.keys() & {"given"}
        given = {name: value for name, value in own.items() if name in taken}
        own = {name: value for name, value in own.items() if name not in taken} | {"given": given}
    return {**own, **found}


def _row(kind: Kind, number: int, asked: str | Mapping[str, Any]) -> Row:
    task, text = kind.task, None
    if isinstance(asked, str) or all(isinstance(asked.get(f, ""), str) for f in ASKED):
        text = kind.posed(asked)
    if text and LONE_SURROGATES.search(text):
        raise UserError(
            f"input {number}: its text is not valid Unicode",
            remedy="write it in UTF-8; in JSON, half of a character such as \\ud83d is none.",
        )
    if not text or not text.strip():
        raise UserError(
            f"input {number}: it has no text for task {task.name}",
            remedy="give a text, or JSON lines with a string `text` (for questions `question` and "
            "`passage`); `--task` names the one task to ask.",
        )
    return {
        "pair_id": str(number),
        "instruction": task.instruction,
        "input": text,
        "response": "",
        "label": None,
    }


def inputs_of(text: str) -> Iterator[str | dict[str, Any]]:
    """What stands in a file or stream: JSON lines where its first character begins an object, else
    one text. Raises `UserError` for a line that is no JSON object."""
    if not text.lstrip().startswith("{"):
        yield text
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise UserError(
                f"line {number}: no JSON object",
                remedy='write one object a line, such as {"text": "..."}, or plain text.',
            )
        yield value
