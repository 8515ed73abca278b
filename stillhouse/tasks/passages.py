"""What of a document becomes a pair: its columns, and passages spread evenly over its text."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.storage.query import rows_in_batches

Document = dict[str, Any]


def documents_of(documents: Path, where: str) -> Iterator[Document]:
    """The rows that meet an SQL condition, in the order of their ids."""
    query = f"SELECT * FROM documents WHERE {where} ORDER BY doc_id"  # noqa: S608 - our own words
    for batch in rows_in_batches(query, documents=documents):
        yield from batch


def columns_of(document: Document) -> dict[str, Any]:
    """The columns of a record that tasks asked for (`Task.columns`), as JSON values."""
    found = document.get("columns")
    return json.loads(found) if found else {}


def text_in(columns: dict[str, Any], name: str | None) -> str | None:
    """What a record says in a column that holds a text; None where it says nothing.

    A list of one thing is that thing, an empty one an empty text. Raises `ValueError` that names
    the column, and no value, for what is no text: of several answers, none is the gold one.
    """
    value = columns.get(name or "")
    if isinstance(value, list) and len(value) < 2:
        value = value[0] if value else ""
    if isinstance(value, list | dict):
        raise ValueError(f"{name!r}: no text, but several values")
    return value if value is None or isinstance(value, str) else json.dumps(value)


def passages_of(document: Document, task: Task) -> tuple[list[str], int]:
    """The passages of a document to learn from, and the number of those left out.

    A record is one passage; a document is cut into passages of about `passage_words`, of which at
    most `max_passages` are taken.
    """
    if document["kind"] == "records":
        return [document["text"]], 0
    passages = list(split_passages(document["text"], task.passage_words))
    if len(passages) <= task.max_passages:
        return passages, 0
    step = len(passages) / task.max_passages
    chosen = [passages[int((i + 0.5) * step)] for i in range(task.max_passages)]
    return chosen, len(passages) - len(chosen)


def split_passages(text: str, words: int) -> Iterator[str]:
    """Cut at blank lines into passages of about `words` words; a longer paragraph is cut inside.

    A last passage under a quarter of that is joined to the one before it.
    """
    passages: list[list[str]] = []
    current: list[str] = []
    for paragraph in text.split("\n\n"):
        tokens = paragraph.split()
        if current and len(current) + len(tokens) > words:
            passages.append(current)
            current = []
        current += tokens
        while len(current) > 1.5 * words:
            passages.append(current[:words])
            current = current[words:]
    if current and passages and len(current) < words / 4:
        passages[-1] += current
    elif current:
        passages.append(current)
    for passage in passages:
        yield " ".join(passage)
