"""One writer an artefact: a lock that dies with its process, on this machine or another.

`flock` through filelock: the kernel (or the server of a network file system) lets go of it when its
process ends, however it ends, in whichever container that ran.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

logger = logging.getLogger("stillhouse")

SAY_EVERY_SECONDS = 15.0
LOOK_EVERY_SECONDS = 0.05


@contextmanager
def exclusive(lock: Path, what: str) -> Iterator[None]:
    """Hold `lock` while the block runs; waits for its holder, and says so, naming `what`."""
    with one_of([lock], what):
        yield


@contextmanager
def one_of(locks: Sequence[Path], what: str) -> Iterator[None]:
    """Hold one of `locks` while the block runs, the first that is free; else as `exclusive`."""
    for lock in locks:
        lock.parent.mkdir(parents=True, exist_ok=True)
    lock, held = _first_free(locks, what)
    note = lock.with_suffix(".holder")
    note.write_text(f"process {os.getpid()} on {socket.gethostname()}", encoding="utf-8")
    try:
        yield
    finally:
        note.unlink(missing_ok=True)
        held.release()


def _first_free(locks: Sequence[Path], what: str) -> tuple[Path, FileLock]:
    said = float("-inf")
    while True:
        for lock in locks:
            held = FileLock(lock)
            with suppress(Timeout):
                held.acquire(blocking=False)
                return lock, held
        if time.monotonic() - said >= SAY_EVERY_SECONDS:
            holders = ", ".join(map(_holder, locks))
            logger.info("%s: waiting for %s, which is writing it", what, holders)
            said = time.monotonic()
        time.sleep(LOOK_EVERY_SECONDS)


def _holder(lock: Path) -> str:
    try:
        return lock.with_suffix(".holder").read_text(encoding="utf-8") or "another process"
    except OSError:
        return "another process"


@contextmanager
def unless_held(lock: Path) -> Iterator[bool]:
    """Hold `lock` while the block runs, if nobody else does: says whether that is so."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        held.release()


@contextmanager
def alive(lock: Path) -> Iterator[None]:
    """Show that a run is under way: `is_alive` says so as long as the block runs.

    The steps of a run may hold it side by side, each for itself: it is shared.
    """
    import fcntl

    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as stream:
        fcntl.flock(stream, fcntl.LOCK_SH)
        yield


def is_alive(lock: Path) -> bool:
    """Whether any process holds `lock` through `alive`."""
    import fcntl

    try:
        with lock.open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
