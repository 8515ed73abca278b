"""What several stores lack of one model's answers, asked at once.

A model that writes reads every weight once a token, for a few answers as for many. So the answers
to validation pairs, to test pairs and to edge cases are written side by side. A chosen answer costs
the same beside others or alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from stillhouse.tasks.common import Kind, Predictions, Row
from stillhouse.tasks.running import Runner

Keep = Callable[[list[Any], float], None]


@dataclass(frozen=True)
class Lack:
    """Pairs of one task that a store has no answer to. `keep` is given their answers as JSON values
    and their part of the seconds that asking took."""

    kind: Kind
    rows: list[Row]
    keep: Keep


def fill(runner: Runner, lacks: Iterable[Lack]) -> None:
    """Ask the model what is lacking, and have it kept; a killed run asks no task again that was
    done. With nothing lacking no model is read."""
    together: dict[tuple[str, int], list[Lack]] = {}
    for place, lack in enumerate(lacks):
        if lack.rows:
            alone = place if lack.kind.countable else -1
            together.setdefault((lack.kind.task.name, alone), []).append(lack)
    for group in together.values():
        rows = [row for lack in group for row in lack.rows]
        _ = runner.model  # read before the clock starts
        started = time.monotonic()
        answers = _plain(runner.predict(group[0].kind, rows))
        seconds = (time.monotonic() - started) / len(rows)
        for lack in group:
            lack.keep(answers[: len(lack.rows)], seconds * len(lack.rows))
            answers = answers[len(lack.rows) :]


def _plain(predictions: Predictions) -> list[Any]:
    return [row.tolist() if hasattr(row, "tolist") else row for row in predictions]
