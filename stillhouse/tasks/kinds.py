"""The kinds of task there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from stillhouse.config.dataset import Task
from stillhouse.tasks.classification import Classification
from stillhouse.tasks.classification_edges import ClassificationEdges
from stillhouse.tasks.common import Kind, Row
from stillhouse.tasks.edge_cases import Edges
from stillhouse.tasks.extraction import Extraction
from stillhouse.tasks.question_answering import QuestionAnswering
from stillhouse.tasks.summarization import Summarization
from stillhouse.tasks.writing_edges import AnswerEdges, ExtractionEdges, SummaryEdges

KINDS: dict[str, type[Kind]] = {
    "classification": Classification,
    "extraction": Extraction,
    "question_answering": QuestionAnswering,
    "summarization": Summarization,
}

EDGES: dict[str, type[Edges]] = {
    "classification": ClassificationEdges,
    "extraction": ExtractionEdges,
    "question_answering": AnswerEdges,
    "summarization": SummaryEdges,
}


def edges_of(kind: Kind, training: Sequence[Row]) -> Edges:
    """How a task is put to the proof; `training` are its gold pairs, at least one."""
    return EDGES[kind.task.kind](kind, training)


def kind_of(task: Task) -> type[Kind]:
    return KINDS[task.kind]


def open_tasks(dataset: Path, tasks: Sequence[Task]) -> list[Kind]:
    """Each task as the snapshot `dataset` has it."""
    return [kind_of(task)(task, dataset) for task in tasks]
