"""Progress of long loops, as log lines.

A log line reaches every place a person may look: the terminal, the compute log of a Dagster run
and, through `managed_python_loggers`, its event log. A redrawn bar would reach only the first.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import Any, TypeVar

logger = logging.getLogger("stillhouse")

INTERVAL_SECONDS = 5.0
SILENCE_SECONDS = 12.0

T = TypeVar("T")


def silence_bars() -> None:
    """Switch off the libraries' redrawn bars, here and in child processes; call before imports."""
    os.environ.setdefault("TQDM_DISABLE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


@contextmanager
def no_bars() -> Iterator[None]:
    """No tqdm bar, whatever its caller asks for: some libraries have no switch for their own."""
    from tqdm import tqdm
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    constructor = vars(tqdm)["__init__"]
    build = tqdm.__init__

    def silent(bar: Any, *args: Any, **options: Any) -> None:
        build(bar, *args, **{**options, "disable": True})

    try:
        tqdm.__init__ = silent  # type: ignore[assignment,method-assign]
        yield
    finally:
        tqdm.__init__ = constructor  # type: ignore[method-assign]


def track(
    items: Iterable[T], description: str, *, unit: str = "items", total: int | None = None
) -> Iterator[T]:
    """Yield `items`, logging how far they are every few seconds.

    Loops that end within `INTERVAL_SECONDS` log nothing.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    started = last = time.monotonic()
    for count, item in enumerate(items):
        now = time.monotonic()
        if now - last >= INTERVAL_SECONDS:
            last = now
            logger.info(_line(description, count, total, unit, now - started))
        yield item


def _line(description: str, count: int, total: int | None, unit: str, elapsed: float) -> str:
    rate = count / elapsed
    if not total:
        return f"{description}: {count} {unit} ({rate:.1f}/s)"
    left = f", {(total - count) / rate:.0f} s left" if rate else ""
    return f"{description}: {count}/{total} {unit} ({100 * count / total:.0f} %{left})"


@contextmanager
def heartbeat(description: str) -> Iterator[None]:
    """While the block runs, a line whenever nothing was logged for `SILENCE_SECONDS`.

    Some work tells nothing of how far it is: a library's import, one large tensor.
    """
    started = time.monotonic()
    clock = _LastLine()

    def beat() -> None:
        if time.monotonic() - clock.moment > SILENCE_SECONDS:
            logger.info("%s: still at work (%.0f s)", description, time.monotonic() - started)

    logger.addHandler(clock)
    try:
        with meanwhile(beat, SILENCE_SECONDS / 10):
            yield
    finally:
        logger.removeHandler(clock)


@contextmanager
def meanwhile(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """While the block runs, call `look` every so many `seconds`, in a thread that ends with it."""
    ended = threading.Event()

    def looks() -> None:
        while not ended.wait(seconds):
            look()

    thread = threading.Thread(target=looks, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


class _LastLine(logging.Handler):
    """Remembers when anything was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.moment = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:  # noqa: ARG002
        self.moment = time.monotonic()
