"""Rows of the comparison of candidates, and the table that keeps them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.storage.tables import read_table, write_table

ALLOWED, REFUSED, UNABLE = "allowed", "refused", "unable"
ZERO, FEW = "zero-shot", "few-shot"


@dataclass(frozen=True)
class Asked:
    """A candidate on a task: its score with its 95 % interval (None where the task has none) over
    `n` pairs, and by language [code, n, score] of the texts."""

    task: str
    how: str
    metric: str
    n: int
    score: float
    low: float | None
    high: float | None
    languages: list[list[Any]]


@dataclass(frozen=True)
class Candidate:
    """A row of the table. `verdict` is ALLOWED, REFUSED by the licence gate, or UNABLE, and
    `reason` says why. `labelling` and `serving` are bytes that the teacher and the smallest student
    cut from it take, `memory` those of the machine. `key` stands for weights, pairs and prompts;
    `languages` are those that its makers state."""

    version: str
    verdict: str
    licence: str
    reason: str = ""
    key: str = ""
    parameters: int | None = None
    labelling: int | None = None
    serving: int | None = None
    memory: int | None = None
    languages: tuple[str, ...] = ()
    asked: tuple[Asked, ...] = ()

    @property
    def fits(self) -> bool:
        return self.memory is not None and (self.labelling or 0) <= self.memory

    @property
    def score(self) -> float | None:
        """The mean over tasks, of the better way to ask."""
        means = [
            sum(found) / len(found)
            for how in (ZERO, FEW)
            if (found := [a.score for a in self.asked if a.how == how])
        ]
        return max(means, default=None)


def write_candidates(table: Path, found: Sequence[Candidate]) -> None:
    """A line a candidate, in their order; what it was asked as JSON."""
    import pyarrow as pa

    rows = [{**asdict(one), "asked": json.dumps([asdict(a) for a in one.asked]),
             "languages": list(one.languages), "score": one.score} for one in found]  # fmt: skip
    words = ("version", "verdict", "licence", "reason", "key")
    schema = pa.schema(
        [
            *((name, pa.string()) for name in words),
            *((name, pa.int64()) for name in ("parameters", "labelling", "serving", "memory")),
            ("languages", pa.list_(pa.string())),
            ("asked", pa.string()),
            ("score", pa.float64()),
        ]
    )
    write_table(table, pa.Table.from_pylist(rows, schema=schema))


def read_candidates(table: Path) -> list[Candidate]:
    """The rows of a table that `write_candidates` wrote, in their order; none where there is none
    or it is another release's."""
    if not table.exists():
        return []
    try:
        return [_read(row) for row in read_table(table).to_pylist()]
    except (KeyError, TypeError, ValueError):
        return []


def _read(row: dict[str, Any]) -> Candidate:
    row.pop("score")
    asked = tuple(Asked(**values) for values in json.loads(row.pop("asked")))
    return Candidate(**{**row, "languages": tuple(row["languages"]), "asked": asked})
