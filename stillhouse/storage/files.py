"""Files and folders that appear whole or not at all.

What is being written lies in a folder `.NAME.TOKEN.part` beside its target, so that whatever a
library leaves around its own output goes with it. The folder holds a lock that dies with its
process, so that a killed run's leftovers are told from another writer's work whichever machine or
container that runs in; the first write of a process in a folder removes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

_PART = re.compile(r"\.(?P<name>.+)\.(?P<token>[0-9a-f]{8})\.(part|new)")
_LOCK, _OLD = ".lock", ".old"
_swept: set[Path] = set()  # folders in which this process has looked for leftovers


@contextmanager
def atomic_file(path: Path, *, replace: bool = True) -> Iterator[Path]:
    """Yield a temporary path; rename it to `path` when the block ends well.

    Without `replace`, a file that another process has put there meanwhile stays.
    """
    with _part(path) as part:
        temporary = part / path.name
        yield temporary
        _settle(temporary)
        if replace:
            temporary.replace(path)
        else:
            with suppress(FileExistsError):
                path.hardlink_to(temporary)
        sync(path.parent)


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; it takes `path`'s place when the block ends well.

    A folder that is already there is moved aside first and removed last, so that a reader sees
    the old one or the new one, or (between two renames) none, never a mixture.
    """
    with _part(path) as part:
        temporary = part / path.name
        temporary.mkdir()
        yield temporary
        _settle(temporary)
        if path.exists():
            path.rename(part / _OLD)
        temporary.rename(path)
        sync(path.parent)


@contextmanager
def _part(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write in, locked as long as the block runs."""
    folder = path.parent
    folder.mkdir(parents=True, exist_ok=True)
    if folder not in _swept:
        remove_leftovers(folder)
        _swept.add(folder)
    part, lock = _new_part(path)
    try:
        yield part
    finally:
        _clear(part, path)
        lock.release()


def _new_part(path: Path) -> tuple[Path, FileLock]:
    while True:
        part = path.parent / f".{path.name}.{secrets.token_hex(4)}.part"
        # It gets its name once it is locked; until then others may take it for a leftover.
        unlocked = part.with_suffix(".new")
        unlocked.mkdir()
        lock = FileLock(unlocked / _LOCK)
        try:
            lock.acquire()
            unlocked.rename(part)
        except FileNotFoundError:
            lock.release()
        except BaseException:
            shutil.rmtree(unlocked, ignore_errors=True)
            lock.release()
            raise
        else:
            return part, lock


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left in `folder`; one that still writes keeps its files."""
    for entry in list(os.scandir(folder)):
        found = _PART.fullmatch(entry.name)
        if found is None:
            continue
        part, target = Path(entry.path), folder / found["name"]
        lock = FileLock(part / _LOCK)
        try:
            lock.acquire(blocking=False)
        except (Timeout, OSError):  # it is being written; or another process removes it now
            continue
        _clear(part, target)
        lock.release()


def _clear(part: Path, target: Path) -> None:
    """Remove `part`; what it moved aside comes back where nothing took its place."""
    if (part / _OLD).exists() and not target.exists():
        with suppress(OSError):
            (part / _OLD).rename(target)
    shutil.rmtree(part, ignore_errors=True)


def _settle(path: Path) -> None:
    """Force what lies at `path` to disk, so that no rename gets there before the content.

    safetensors 0.8 makes its files readable for their owner alone (its issue 782), whatever the
    process allows: they get the permissions of any new file.
    """
    usual = path.parent.stat().st_mode & 0o666
    for file in (path, *(path.rglob("*") if path.is_dir() else ())):
        if file.suffix == ".safetensors":
            file.chmod(usual)
        sync(file)


def sync(path: Path) -> None:
    """Force what lies at `path` to disk: a file's content, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone may read, and force it to disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def bytes_on_disk(folder: Path) -> int:
    """Total size in bytes of the files below `folder`; what vanishes meanwhile counts nothing."""
    total = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's content, in hex; raises `OSError` when it can't be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_if_there(path: Path) -> str | None:
    """`sha256_of`; None of what can't be read."""
    try:
        return sha256_of(path)
    except OSError:
        return None


class Hashed:
    """A file that is hashed as it is read: what is said of it is of what was copied, though its
    writer goes on."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.sha256 = stream, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self.sha256.update(data)
        return data


def digest(*parts: Any) -> str:
    """A short, stable hex digest of JSON-serialisable values: the same in every process."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()[:20]
