"""Who asked for what, a JSON line each time: what has to be on disk before anything is done."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.storage.files import sync


def append_line(path: Path, entry: dict[str, Any], *, what: str = "the log of who asked") -> None:
    """A line at the end of the file, on disk when this returns; what is there stays as it is.
    `what` the file is, for the message.

    Raises:
        UserError: it can't be written; the caller then does nothing of what it would tell of.
    """
    line = json.dumps(entry) + "\n"
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
        raise UserError(
            f"{path}: {what} can't be written ({error.strerror or error})",
            remedy="run this as the owner of the data directory, with room on its disk; without "
            "the log, nothing is done.",
        ) from error


def user_name() -> str:
    """By the kernel's word: environment variables are whoever sets them."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
