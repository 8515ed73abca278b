from __future__ import annotations

import os
import time
from pathlib import Path

from stillhouse.storage.caches import bound, mark_used, sizes


def entry(cache: Path, name: str, days_ago: float, size: int = 1000) -> Path:
    folder = cache / "trunk" / name
    folder.mkdir(parents=True)
    (folder / "shard").write_bytes(b"x" * size)
    when = time.time() - days_ago * 86_400
    os.utime(folder, (when, when))
    return folder


def names(cache: Path) -> set[str]:
    return {path.name for path in (cache / "trunk").iterdir()}


def test_what_was_not_used_for_long_goes(tmp_path: Path) -> None:
    entry(tmp_path, "old", 40)
    entry(tmp_path, "new", 2)
    bound(tmp_path, days=30, size=10**9)
    assert names(tmp_path) == {"new"}


def test_the_longest_unused_go_first_when_it_is_too_much(tmp_path: Path) -> None:
    for name, days in (("a", 3), ("b", 2), ("c", 1)):
        entry(tmp_path, name, days)
    mark_used(tmp_path / "trunk" / "a")
    bound(tmp_path, days=30, size=2500)
    assert names(tmp_path) == {"a", "c"}


def test_sizes_are_by_cache(tmp_path: Path) -> None:
    entry(tmp_path, "a", 0, size=10)
    entry(tmp_path, "b", 0, size=5)
    (tmp_path / "signatures").mkdir()
    assert sizes(tmp_path) == {"signatures": 0, "trunk": 15}
    assert sizes(tmp_path / "nothing") == {}
