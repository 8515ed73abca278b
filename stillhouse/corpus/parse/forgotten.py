"""Documents that were forgotten on request, and must not come back while their files hold them.

What is remembered of one is a keyed digest of what it says: who has the list and not its key can't
even find out whether a text that they know is on it. A file that is renamed brings nothing back,
nor does the same text from another file of its source. A text that was edited is another one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.corpus.pii.vault import load_key, load_or_create_key
from stillhouse.storage.files import atomic_file, write_private
from stillhouse.storage.layout import Layout

KEY = "forgotten"
# What a digest is made of, as columns of `parsed_documents`.
SAID = ("source", "record_id", "title", "text")
# An id made of what a record says; the number tells it from others that say the same.
_NUMBERED = re.compile(r"([0-9a-f]{16})-\d+")


class Forgotten:
    """The list; `row in forgotten` for a row with the columns `SAID`."""

    def __init__(self, key: bytes, digests: Iterable[str]) -> None:
        self._key, self._digests = key, frozenset(digests)

    @classmethod
    def over(cls, other: Forgotten, rows: Iterable[Mapping[str, Any]]) -> Forgotten:
        """A list of these documents alone, under the key of another list."""
        return cls(other._key, map(other.digest, rows))

    @property
    def digests(self) -> frozenset[str]:
        return self._digests

    def __len__(self) -> int:
        return len(self._digests)

    def __contains__(self, row: Mapping[str, Any]) -> bool:
        return self.digest(row) in self._digests

    def digest(self, row: Mapping[str, Any]) -> str:
        """What the list holds of a document."""
        record = row.get("record_id")
        numbered = _NUMBERED.fullmatch(record) if record else None
        said = [row["source"], numbered[1] if numbered else record, row.get("title"), row["text"]]
        return self.sealed(json.dumps(said, ensure_ascii=False))

    def sealed(self, value: str) -> str:
        """Keyed, so that nobody without the key can try values."""
        data = value.encode("utf-8", "surrogatepass")
        return hmac.new(self._key, data, hashlib.sha256).hexdigest()


def as_told(row: Mapping[str, Any]) -> Unparsable:
    """Why such a document gives nothing."""
    what = f"line {row['position']}: " if row.get("position") else ""
    return Unparsable(
        "forgotten",
        f"{what}forgotten on request",
        remedy="remove it from the file, which holds it still.",
    )


def read_forgotten(listed: Path, key: Path) -> Forgotten | None:
    """The list; None where nothing was ever forgotten.

    Raises:
        UserError: the list is there and its key is not: documents would come back unnoticed.
    """
    try:
        lines = listed.read_text(encoding="ascii").split()
    except FileNotFoundError:
        return None
    return Forgotten(load_key(key), lines)


@cache
def _read_once(listed: str, key: str, _: int) -> Forgotten | None:
    return read_forgotten(Path(listed), Path(key))


def forgotten_by(job: Mapping[str, Any]) -> Forgotten | None:
    """The list that a reading process was told of in its job (see `places`)."""
    if not job.get("forgotten"):
        return None
    listed, key = job["forgotten"]
    return _read_once(listed, key, Path(listed).stat().st_mtime_ns)


def places(layout: Layout) -> list[str] | None:
    """Where a reading process finds the list and its key, None where there is no list.

    Raises `UserError` as `read_forgotten` does.
    """
    found = read_forgotten(layout.forgotten, layout.key(KEY))
    return [str(layout.forgotten), str(layout.key(KEY))] if found else None


def open_list(layout: Layout) -> Forgotten:
    """The list to look at, or an empty one with a key of its own, to be added to."""
    found = read_forgotten(layout.forgotten, layout.key(KEY))
    return found or Forgotten(load_or_create_key(layout.key(KEY)), ())


def remember(layout: Layout, digests: Iterable[str]) -> Forgotten:
    """Add digests to the list, on disk when this returns."""
    known = open_list(layout)
    together = sorted({*known.digests, *digests})
    folder = layout.forgotten.parent
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_file(layout.forgotten) as temporary:
        write_private(temporary, "".join(f"{digest}\n" for digest in together).encode())
    return open_list(layout)
