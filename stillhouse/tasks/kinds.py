"""The kinds of task there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stillhouse.config.dataset import Task
from stillhouse.tasks.classification import Classification
from stillhouse.tasks.common import Kind
from stillhouse.tasks.extraction import Extraction
from stillhouse.tasks.question_answering import QuestionAnswering
from stillhouse.tasks.summarization import Summarization

KINDS: dict[str, type[Kind]] = {
    "classification": Classification,
    "extraction": Extraction,
    "question_answering": QuestionAnswering,
    "summarization": Summarization,
}


def kind_of(task: Task) -> type[Kind]:
    return KINDS[task.kind]


def open_tasks(dataset: Path, tasks: Sequence[Task]) -> list[Kind]:
    """Each task as the snapshot `dataset` has it."""
    return [kind_of(task)(task, dataset) for task in tasks]
