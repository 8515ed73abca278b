"""Instruction pairs for classification, from the labels of records and of folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.config.corpus import CONFIDENTIALITY_ORDER, Confidentiality
from stillhouse.config.dataset import Task
from stillhouse.lm.prompts import label_token
from stillhouse.storage.files import digest

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


@dataclass(frozen=True)
class PairCounts:
    """Why documents gave no pair: too confidential, without a label, of a label too rare."""

    too_confidential: int
    unlabelled: int
    rare_labels: dict[str, int]
    passages_left_out: int


def pair_schema() -> pa.Schema:
    """One row a pair. `response` is what the model answers, `label` what a person reads."""
    import pyarrow as pa

    text = (
        "pair_id",
        "task",
        "doc_id",
        "group_id",
        "source",
        "instruction",
        "input",
        "response",
        "label",
        "origin",
        "confidentiality",
        "created_at",
    )
    return pa.schema([(name, pa.string()) for name in text] + [("slices", pa.list_(pa.string()))])


def classification_pairs(
    documents: Sequence[Row], tasks: Sequence[Task], train_up_to: Confidentiality
) -> tuple[pa.Table, PairCounts]:
    """Pairs of all classification tasks.

    `documents` have doc_id, family_id, source, kind, text, label, confidentiality and created_at.
    A record is one pair; a document is cut into passages of about `passage_words`, at most
    `max_passages` spread evenly over it. What is more confidential than `train_up_to` is left out.
    """
    import pyarrow as pa

    highest = CONFIDENTIALITY_ORDER.index(train_up_to)
    rows: dict[str, Row] = {}
    confidential, unlabelled, left_out = 0, 0, 0
    rare: dict[str, int] = {}
    for task in tasks:
        chosen = [d for d in documents if d["source"] in task.sources]
        allowed = [
            d for d in chosen if CONFIDENTIALITY_ORDER.index(d["confidentiality"]) <= highest
        ]
        confidential += len(chosen) - len(allowed)
        labelled = [d for d in allowed if _wanted(d["label"], task)]
        unlabelled += len(allowed) - len(labelled)
        counts = Counter(d["label"] for d in labelled)
        few = {label: n for label, n in counts.items() if n < task.min_examples}
        rare.update({f"{task.name}:{label}": n for label, n in few.items()})
        for document in labelled:
            if document["label"] in few:
                continue
            passages, skipped = _passages(document, task)
            left_out += skipped
            for passage in passages:
                row = _pair(document, task, passage)
                rows.setdefault(row["pair_id"], row)
    table = pa.Table.from_pylist(
        sorted(rows.values(), key=lambda r: r["pair_id"]), schema=pair_schema()
    )
    return table, PairCounts(confidential, unlabelled, rare, left_out)


def _wanted(label: str | None, task: Task) -> bool:
    return bool(label) and (task.labels is None or label in task.labels)


def _pair(document: Row, task: Task, text: str) -> Row:
    label = document["label"]
    content = {
        "task": task.name,
        "instruction": task.instruction,
        "input": text,
        "response": label_token(task.name, label),
    }
    words = len(text.split())
    length = "short" if words < 20 else "medium" if words < 60 else "long"
    return {
        **content,
        "pair_id": digest(content),
        "doc_id": document["doc_id"],
        "group_id": document["family_id"],
        "source": document["source"],
        "label": label,
        "origin": "gold",
        "confidentiality": document["confidentiality"],
        "created_at": document["created_at"],
        "slices": [f"source={document['source']}", f"length={length}"],
    }


def _passages(document: Row, task: Task) -> tuple[list[str], int]:
    """The passages of a document to learn from, and the number of those left out."""
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
