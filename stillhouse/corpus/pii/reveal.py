"""Who hides behind a pseudonym, for who holds the vault's key; each time is written down first."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from stillhouse.corpus.pii.vault import Vault, VaultEntry, load_key
from stillhouse.errors import UserError
from stillhouse.storage.files import sync
from stillhouse.storage.layout import Layout


@dataclass(frozen=True)
class Asked:
    """Who asked for what, when (UTC, ISO 8601) and why. `pseudonym` is None where the vault didn't
    hold what was asked for: that may be anything, an original too."""

    time: str
    user: str
    pseudonym: str | None
    reason: str


def reveal(layout: Layout, pseudonym: str, reason: str) -> list[VaultEntry]:
    """The originals behind `pseudonym`, after who asked is on disk.

    Raises:
        UserError: no reason, no vault or key that opens it, an unknown pseudonym, or a log that
            can't be written: then nothing is revealed.
    """
    if not reason.strip():
        raise UserError(
            "--reason: it says nothing", remedy="say what the original is needed for; it is logged."
        )
    vault = Vault(layout.vault, load_key(layout.key("vault")))
    if not layout.vault.is_dir():
        raise UserError(
            f"{layout.vault}: there is no vault",
            remedy="`stillhouse run --until masked_documents` fills it.",
        )
    found = vault.lookup(pseudonym)
    known = found[0].pseudonym if found else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    said = _without(reason, [entry.value for entry in found])
    _append(layout.reveals, Asked(now, _user(), known, said))
    if not found:
        raise UserError(
            "the vault holds no such pseudonym",
            remedy="write it as it stands in the text. The vault forgets what no document needs "
            "any more, and holds nothing of what was masked, replaced or redacted.",
        )
    return found


def asked(layout: Layout) -> Iterator[Asked | None]:
    """What the log holds, from the first to the last; None for a line that can't be read.

    Raises:
        UserError: this user may not read the log.
    """
    try:
        lines = layout.reveals.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _unwritable(layout.reveals, error, "read") from error
    for line in filter(None, lines):
        try:
            yield Asked(**json.loads(line))
        except (ValueError, TypeError):
            yield None


def _append(path: Path, entry: Asked) -> None:
    """A line at the end of the file, on disk when this returns; what is there stays as it is."""
    line = json.dumps(asdict(entry)) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o600), "rb+", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            os.fchmod(stream.fileno(), 0o600)
            size = stream.seek(0, os.SEEK_END)
            # A line that was cut short, by a full disk or a power failure, takes none with it.
            torn = size > 0 and os.pread(stream.fileno(), 1, size - 1) != b"\n"
            data = ("\n" * torn + line).encode()
            if os.write(stream.fileno(), data) != len(data):
                raise OSError("only a part was written")
            os.fsync(stream.fileno())
        sync(path.parent)  # where the name of a new file is
    except OSError as error:
        raise _unwritable(path, error, "written") from error


def _unwritable(path: Path, error: OSError, what: str) -> UserError:
    return UserError(
        f"{path}: the log of who asked can't be {what} ({error.strerror or error})",
        remedy="run this as the owner of the data directory, with room on its disk; without the "
        "log, nothing is revealed.",
    )


def _without(reason: str, originals: list[str]) -> str:
    """The reason, with a gap where it names whom it is about."""
    words = {w for value in originals for w in (value, *re.findall(r"\w{3,}", value))}
    for word in sorted(words, key=len, reverse=True):
        reason = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", "[...]", reason, flags=re.I)
    return reason


def _user() -> str:
    """By the kernel's word: environment variables are whoever sets them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
