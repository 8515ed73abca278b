"""Several models on the same held-out pairs: what a report compares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.evaluate.predictions import predict
from stillhouse.tasks.common import texts_of
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.results import Scored
from stillhouse.tasks.sections import Section

SPLIT = "test"


@dataclass(frozen=True)
class Candidate:
    """A model to compare: `name` is a key of `tasks.results.MODELS`, `store` the Parquet file that
    keeps its answers, `digest` what they depend on beside the pair: its content, the code.
    `prompt` says how weights as they came are asked."""

    name: str
    folder: Path
    digest: str
    parameters: int
    bytes: int
    max_tokens: int
    store: Path
    prompt: TeacherPrompt | None = None


@dataclass(frozen=True)
class SideBySide:
    """By candidate the scored answers of each task; by task what a report shows of them."""

    scored: dict[str, dict[str, Scored]]
    sections: dict[str, list[Section]]


def side_by_side(
    dataset: Path, tasks: Sequence[Task], candidates: Sequence[Candidate]
) -> SideBySide:
    """Let each candidate answer the test split of `dataset`; what it answered before is kept.

    Raises `UserError` as `predict` does.
    """
    scored = {
        c.name: predict(
            c.folder,
            dataset,
            tasks,
            SPLIT,
            c.store,
            model_digest=c.digest,
            max_tokens=c.max_tokens,
            prompt=c.prompt,
        )
        for c in candidates
    }
    sections = {
        kind.task.name: kind.sections(
            {name: found[kind.task.name] for name, found in scored.items()},
            texts_of(dataset, kind.task.name, SPLIT),
        )
        for kind in open_tasks(dataset, tasks)
    }
    return SideBySide(scored, sections)
