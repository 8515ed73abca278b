"""What takes seconds tells whoever watches time and memory that it begins: a page, a program."""

from __future__ import annotations

from collections.abc import Callable

_of_pages: list[Callable[[], None]] = []
_of_programs: list[Callable[[], None]] = []


def watch(page: Callable[[], None], program: Callable[[], None]) -> None:
    """Have `page` called in this process before each page that is read off a picture, `program`
    before each program that is started to read a file."""
    _of_pages.append(page)
    _of_programs.append(program)


def page_begins() -> None:
    for watcher in _of_pages:
        watcher()


def program_begins() -> None:
    for watcher in _of_programs:
        watcher()
