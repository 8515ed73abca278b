"""What a sensor remembers from tick to tick, as JSON."""

from __future__ import annotations

import json
from typing import Any


def read_cursor(cursor: str | None) -> dict[str, Any]:
    """Empty where there is none yet, or one of another release: the sensor then begins anew."""
    try:
        found = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def waited(since: float, now: float) -> float:
    """Seconds since then; endless where the clock was set back meanwhile, so that nobody waits for
    a time that may be years away."""
    return now - since if now >= since else float("inf")
