"""What is logged, on the terminal."""

from __future__ import annotations

import logging

from stillhouse.wording import visible


class _Visible(logging.Formatter):
    """A message in which nothing commands the terminal, whoever wrote what it names."""

    def format(self, record: logging.LogRecord) -> str:
        return visible(super().format(record))


def log_to_terminal() -> None:
    """From now on the house's own messages go to standard error, with the time."""
    from rich.console import Console
    from rich.logging import RichHandler

    console = Console(stderr=True, highlight=False, soft_wrap=False)
    handler = RichHandler(
        console=console, show_path=False, show_level=False, markup=False, log_time_format="%H:%M:%S"
    )
    handler.setFormatter(_Visible())
    logger = logging.getLogger("stillhouse")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
