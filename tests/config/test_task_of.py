"""A task from the settings that a manifest has of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stillhouse.config.base import settings_of
from stillhouse.config.dataset import ExtractionTask, task_of
from stillhouse.errors import UserError


def order(*fields: str) -> ExtractionTask:
    values = {"name": "order", "kind": "extraction", "sources": ["s"], "instruction": "Which?"}
    return ExtractionTask.model_validate(
        values | {"answers": "order", "fields": {name: {} for name in fields}}
    )


def fields_of(settings: Any, now: ExtractionTask | None) -> list[str]:
    return list(task_of(settings, now).fields)  # type: ignore[attr-defined]


def test_fields_stand_in_the_order_in_which_they_were_learned() -> None:
    then = order("product", "number", "date")
    kept = json.loads(json.dumps(settings_of(then)))
    assert fields_of(kept, order("date", "number", "product")) == ["product", "number", "date"]
    # Learned in the order of their names, which another order of now doesn't change.
    by_name = json.loads(json.dumps(settings_of(order("date", "number", "product"))))
    assert fields_of(by_name, then) == ["date", "number", "product"]
    # Earlier releases sorted them: an answer that goes by the names is none that was learned.
    was_sorted = json.loads(json.dumps(settings_of(then), sort_keys=True))
    assert fields_of(was_sorted, then) == ["product", "number", "date"]
    assert fields_of(was_sorted, order("product", "other")) == ["date", "number", "product"]
    assert fields_of(was_sorted, None) == ["date", "number", "product"]


def test_settings_that_are_none_of_this_release_are_told() -> None:
    with pytest.raises(UserError, match="task order: its settings of then"):
        task_of(settings_of(order("number")) | {"of_the_past": 1})
