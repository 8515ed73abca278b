"""What can be made again at the price of time: bounded by age and size, measured for `status`."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from stillhouse.storage.files import bytes_on_disk

logger = logging.getLogger("stillhouse")

SECONDS_A_DAY = 86_400


def mark_used(entry: Path) -> None:
    """The cache entry was used just now."""
    if entry.exists():
        os.utime(entry)


def sizes(cache: Path) -> dict[str, int]:
    """Bytes that each cache below `cache` takes, by its name."""
    folders = sorted(cache.iterdir()) if cache.exists() else []
    return {folder.name: bytes_on_disk(folder) for folder in folders if folder.is_dir()}


def bound(cache: Path, *, days: float, size: int) -> None:
    """Remove entries that were not used for `days`, then the longest unused ones until the others
    take no more than `size` bytes.

    An entry is a file or folder `cache/<name>/<entry>`; its time is that of its last use (see
    `mark_used`) or writing.
    """
    now, left = time.time(), 0
    for used, entry in sorted(_entries(cache), reverse=True):
        left += bytes_on_disk(entry) if entry.is_dir() else entry.stat().st_size
        if left <= size and now - used <= days * SECONDS_A_DAY:
            continue
        logger.info("Removing a cache that was last used %.0f days ago", (now - used) / 86_400)
        shutil.rmtree(entry, ignore_errors=True) if entry.is_dir() else entry.unlink()


def _entries(cache: Path) -> Iterator[tuple[float, Path]]:
    for folder in cache.iterdir() if cache.exists() else ():
        for entry in folder.iterdir() if folder.is_dir() else ():
            if not entry.name.startswith("."):  # being written
                yield entry.stat().st_mtime, entry
