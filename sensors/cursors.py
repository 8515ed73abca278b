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
