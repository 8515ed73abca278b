"""What records say in the columns that tasks name: cells as JSON values.

Of objects only the keys that tasks declare are kept: any other key may be anybody's name. Leaves,
which are strings and numbers, can be taken out and put back one by one, so that whatever cleans or
masks them never breaks the JSON around them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date, time
from decimal import Decimal
from typing import Any

from stillhouse.config.dataset import Column
from stillhouse.corpus.clean.text import clean_text
from stillhouse.corpus.parse.record_rows import LONE_SURROGATES, Bad

EMPTY: tuple[Any, ...] = ("", [], {})
LARGEST_WHOLE = 2**53  # from here on, a float is no longer this very number
DEEPEST = 20  # lists in lists: more is no answer, and would end the recursion of whoever reads it


def said_in(cells: Mapping[str, Any], columns: Sequence[Column]) -> dict[str, Any]:
    """What the cells, by column, say as JSON; what says nothing is left out.

    An empty answer is one only where something was asked: there it says that there is none. So does
    an object that was given without a value.

    Raises:
        Bad: a value of a wrong kind, or no valid Unicode.
    """
    values = {c: _json_value(cells[c.name], c) for c in columns if cells[c.name] is not None}
    asked = any(c.role == "question" and v not in EMPTY for c, v in values.items())
    return {
        c.name: value
        for c, value in values.items()
        if value is not None
        and (value not in EMPTY or value == {} or (asked and c.role == "answer"))
    }


def to_json(columns: Mapping[str, Any]) -> str | None:
    """The same text for the same values; None where there are none."""
    if not columns:
        return None
    return json.dumps(columns, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _json_value(cell: Any, column: Column) -> Any:
    if column.keys and isinstance(cell, str) and cell.lstrip()[:1] in ("{", "[", "n"):
        # What is no JSON stays text; whoever reads it says so. Line ends and tabs within strings
        # are let pass: cleaning would make JSON of such a text, with all its keys.
        with suppress(ValueError, RecursionError):
            cell = json.loads(cell, strict=False)
    return _cleaned(cell, column)


def _cleaned(value: Any, column: Column, depth: int = 0) -> Any:
    """The value in JSON's own kinds, cleaned as texts are; nulls inside it are left out."""
    if depth > DEEPEST:
        raise Bad(f"the value ({column.name}) is nested too deeply")
    match value:
        case None | bool() | int():
            return value
        case str():
            if not value.isascii() and LONE_SURROGATES.search(value):
                raise Bad(f"the text ({column.name}) is not valid Unicode")
            return clean_text(value)
        case Decimal() if value.is_finite() and value == value.to_integral_value():
            return int(value)
        case float() | Decimal():
            return _number(float(value), column)
        case date() | time():
            return value.isoformat()
        case list() | tuple():
            items = (_cleaned(item, column, depth + 1) for item in value)
            return [item for item in items if item is not None]
        case Mapping() if column.keys:
            kept = {k: _cleaned(value[k], column, depth + 1) for k in column.keys if k in value}
            found = {key: item for key, item in kept.items() if item is not None}
            # One of other keys alone says nothing of these; one without a value says just that.
            return found if found or all(item is None for item in value.values()) else None
    kind = type(value).__name__
    raise Bad(f"a text ({column.name}) was expected, not {kind}")


def _number(value: float, column: Column) -> float | int | None:
    """Tables keep whole numbers as floats where one is missing."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        raise Bad(f"the number ({column.name}) is not finite")
    return int(value) if value.is_integer() and abs(value) < LARGEST_WHOLE else value


def leaves(value: Any) -> Iterator[str | int | float]:
    """The strings and numbers in a JSON value, in its order."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    elif isinstance(value, str | int | float) and not isinstance(value, bool):
        yield value


def with_leaves(value: Any, new: Iterator[str | int | float]) -> Any:
    """The JSON value with other leaves, taken from `new` in the order of `leaves`."""
    if isinstance(value, dict):
        return {key: with_leaves(item, new) for key, item in value.items()}
    if isinstance(value, list):
        return [with_leaves(item, new) for item in value]
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return next(new)
    return value
