"""A page that takes seconds to read tells whoever watches the time that it begins."""

from __future__ import annotations

from collections.abc import Callable

_watchers: list[Callable[[], None]] = []


def watch_pages(watcher: Callable[[], None]) -> None:
    """Have `watcher` called in this process before each page that is read off a picture."""
    _watchers.append(watcher)


def page_begins() -> None:
    for watcher in _watchers:
        watcher()
