"""What a server answered, kept as it comes: a killed run asks nothing twice.

By pair, so that it goes with the pair, and by the digest of what was asked. An answer may quote its
text: the files are their owner's alone, and cleared of documents that are no more.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from stillhouse.storage.caches import mark_used
from stillhouse.storage.files import digest

SUFFIX = ".answers.sqlite"


class Kept:
    """The answers of one endpoint, by whose `identity` its file is named."""

    def __init__(self, folder: Path, identity: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{digest(identity)[:32]}{SUFFIX}"
        self._lock = threading.Lock()
        self._db = _opened(self.path)
        mark_used(self.path)

    def get(self, asked: str) -> Any:
        """What was answered to the request with this digest; None where nothing was."""
        with self._lock:
            row = self._db.execute("SELECT answer FROM kept WHERE asked = ?", (asked,)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, pair: str, asked: str, answer: Any) -> None:
        with self._lock, self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (asked, pair, json.dumps(answer))
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()


def forget(folder: Path, gone: Callable[[Iterable[str]], set[str]]) -> int:
    """Remove the answers to pairs that are `gone` (which is given the ids of all) from the files in
    `folder`; returns how many went."""
    lost = 0
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        db = _opened(path)
        with db:
            pairs = [pair for (pair,) in db.execute("SELECT DISTINCT pair FROM kept")]
            removed = [(pair,) for pair in sorted(gone(pairs))]
            lost += db.executemany("DELETE FROM kept WHERE pair = ?", removed).rowcount
        db.execute("VACUUM")
        db.close()
    return max(0, lost)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=60.0, check_same_thread=False)
    path.chmod(0o600)
    # What is deleted is overwritten, not only unlinked.
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("CREATE TABLE IF NOT EXISTS kept (asked TEXT PRIMARY KEY, pair TEXT, answer TEXT)")
    db.execute("CREATE INDEX IF NOT EXISTS by_pair ON kept (pair)")
    db.commit()
    return db
