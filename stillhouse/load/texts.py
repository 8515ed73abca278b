"""What a student is asked while it is measured: texts of production, else of the test split.

Both are masked. A server makes its task's own prompt of each, so lengths are those of real use.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from stillhouse.config.dataset import Task
from stillhouse.config.latency import Latency
from stillhouse.errors import UserError
from stillhouse.load.request import Prompt
from stillhouse.storage.query import query
from stillhouse.tasks.common import quoted

CHAT, COMPLETION = "/chat/completions", "/completions"
TRAFFIC, TEST = "production traffic", "the test split"
# Fewer requests than that say little of lengths.
ENOUGH = 50

Drawn = tuple[list[tuple[str, str]], str]


def drawn(traffic: Path | None, dataset: Path, tasks: Sequence[Task], settings: Latency) -> Drawn:
    """`settings.texts` of them at most, as (task, text) in random order, and where they are from:
    the table of production's requests if it has enough of these tasks, else the test split; each
    task as often as it occurs there.

    Raises `UserError` where there is none.
    """
    named = quoted([task.name for task in tasks])
    of_tasks = f"task IN ({named}) AND trim(input) <> ''"
    found, where = [], TRAFFIC
    if traffic is not None and traffic.exists():
        found = _sample(traffic, of_tasks, settings)
    if len(found) < ENOUGH:
        found, where = _sample(dataset, f"{of_tasks} AND split = 'test'", settings), TEST
    if not found:
        raise UserError(
            "latency: there is no text to ask with: the test split is empty",
            remedy="raise `splits.test`, or measure nothing: `latency: {concurrency: [], "
            "rates: []}`.",
        )
    return found, where


def _sample(table: Path, of: str, settings: Latency) -> list[tuple[str, str]]:
    rows = query(
        f"""SELECT task, input FROM t WHERE {of}
            ORDER BY hash(task || input || '{settings.seed}') LIMIT {settings.texts}""",  # noqa: S608
        t=table,
    ).to_pylist()
    found = [(row["task"], row["input"]) for row in rows]
    random.Random(settings.seed).shuffle(found)
    return found


def prompts_of(
    student: str, texts: Sequence[tuple[str, str]], answer_tokens: int | None = None
) -> list[Prompt]:
    """As clients ask `stillhouse serve`: for a task's answer to a text."""
    limit = {} if answer_tokens is None else {"max_tokens": answer_tokens}
    return [
        Prompt(
            CHAT,
            {
                "model": f"{student}:{task}",
                "messages": [{"role": "user", "content": text}],
                **limit,
            },
            task,
        )
        for task, text in texts
    ]


def prompts_in(file: Path, model: str, tokens: int | None) -> list[Prompt]:
    """Of JSON lines with `text` (a user's message), `messages`, or `prompt` (of a completion).

    Raises `UserError` that names file and line.
    """
    limit = {"model": model} | ({} if tokens is None else {"max_tokens": tokens})
    try:
        lines = file.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(
            f"{file}: can't be read ({type(error).__name__})", remedy="name a file of JSON lines."
        ) from error
    found = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            found.append(_prompt(line, limit, f"{file}: line {number}"))
    if not found:
        raise UserError(f"{file}: it holds no prompt", remedy="write one a line.")
    return found


def _prompt(line: str, limit: Mapping[str, object], where: str) -> Prompt:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if isinstance(row, dict):
        text, messages, prompt = (row.get(name) for name in ("text", "messages", "prompt"))
        if isinstance(text, str):
            messages = [{"role": "user", "content": text}]
        if isinstance(messages, list) and messages:
            return Prompt(CHAT, {**limit, "messages": messages})
        if isinstance(prompt, str):
            return Prompt(COMPLETION, {**limit, "prompt": prompt})
    raise UserError(
        f"{where}: there is no prompt",
        remedy="a line is a JSON object with `text`, `messages` or `prompt`.",
    )
