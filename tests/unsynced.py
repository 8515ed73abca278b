"""No test pulls the plug of a machine, so none waits till a disk has written what it was given.

A killed process loses nothing by that: what it wrote is the kernel's.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any


def never_wait_for_the_disk() -> None:
    """In this process and its forks."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def unsynced(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", unsynced)
    os.fsync = lambda _: None
