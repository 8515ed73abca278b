"""The section that says where prices stand; the file itself is described in economics/prices.py."""

from __future__ import annotations

from pathlib import Path

from stillhouse.config.base import Section


class Economics(Section):
    """`prices` is a file of your own prices, by its path from the project file; `stillhouse tco
    --init` writes one to fill in. Without it nothing is reckoned."""

    prices: Path | None = None
