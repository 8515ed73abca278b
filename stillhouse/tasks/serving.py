"""A task as a server answers it: request by request, from a model and without a dataset.

An answer is the one that the report measured: decoding greedily under the constraint that is used
last gives what `Writing.predict` comes to in several rounds, as each constraint allows less than
the one before.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import Task
from stillhouse.errors import UserError
from stillhouse.lm.generation import Generated
from stillhouse.lm.prompts import Encoder
from stillhouse.tasks.common import Answered, Kind
from stillhouse.tasks.kinds import kind_of
from stillhouse.tasks.writing import Writing

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def learned(task: Task, tokenizer: PreTrainedTokenizerBase) -> Kind:
    """The task as the model of this tokenizer has learned it. Raises `UserError` for a model that
    can't have learned it."""
    kind = kind_of(task).learned(task, tokenizer)
    if not isinstance(kind, Writing) and not kind.answer_tokens:
        raise UserError(
            f"task {task.name}: the model lacks tokens of its answers",
            remedy="release a student that has learned this task.",
        )
    return kind


def longest_answer(kind: Kind, encoder: Encoder) -> int:
    """How many tokens an answer may have."""
    return kind.longest_answer(encoder) if isinstance(kind, Writing) else 1


def grammar(kind: Kind, text: str) -> str | None:
    """What a written answer to `text` keeps to, in llguidance's Lark; None where all may come."""
    if not isinstance(kind, Writing) or not kind.decodings:
        return None
    return kind.grammar(text, kind.decodings[-1])


def written(
    kind: Kind, encoder: Encoder, text: str, found: Generated, calibration: Any = None
) -> Answered:
    """What a model wrote in answer to `text`, under the task's `grammar`."""
    if not isinstance(kind, Writing):
        raise TypeError(f"answers of {kind.task.name} are not written")
    prediction = asdict(kind._written(encoder, found, {}))
    return kind.answers([text], [prediction], calibration)[0]


def posed(kind: Kind, asked: str) -> str | None:
    """The input of a pair from what a client sends: a text, or a JSON object with the fields that
    the task has; None where one is missing."""
    found = kind.posed(asked)
    if found is None and asked.lstrip().startswith("{"):
        try:
            fields = json.loads(asked)
        except (ValueError, RecursionError):
            return None
        if isinstance(fields, dict) and all(isinstance(v, str) for v in fields.values()):
            found = kind.posed(fields)
    return found
