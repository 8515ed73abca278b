"""Fields that were called otherwise once: the old name stays valid, with a word of advice."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stillhouse.config.base import ConfigError

logger = logging.getLogger("stillhouse")

# Section, field as it was -> field as it is.
RENAMED = {("gates", "max_accuracy_drop"): "max_score_drop"}


def renamed(
    values: Mapping[str, Any], file: Path, lines: Mapping[tuple[str | int, ...], int]
) -> dict[str, Any]:
    """What a project file holds, its fields by their present names; `lines` says where they stand.

    Advises once a process to rename an old one. Raises `ConfigError` where both names are used.
    """
    found = dict(values)
    for (section, old), new in RENAMED.items():
        fields = found.get(section)
        if not isinstance(fields, dict) or old not in fields:
            continue
        where = f"{file}:{lines.get((section, old), 1)}: {section}.{old}"
        if new in fields:
            raise ConfigError(
                f"{where}: it is the same as `{new}`, which the file has too",
                remedy=f"remove `{old}`.",
            )
        _advise(f"{where} is called `{new}` now; rename it, the old name still works")
        found[section] = {new if name == old else name: x for name, x in fields.items()}
    return found


@cache
def _advise(message: str) -> None:
    logger.warning(message)
