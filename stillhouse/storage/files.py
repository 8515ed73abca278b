"""Files and folders that appear whole or not at all.

What is being written lies in a folder `.NAME.PID.part` beside its target, so that whatever a
library leaves around its own output goes with it. A killed run's is never read; the next writer
in the same folder removes it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)(?P<old>\.old)?\.part")
_writing: set[Path] = set()  # targets of this process: what lies beside them is no leftover


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path; rename it to `path` when the block ends well."""
    with _temporary_folder(path) as folder:
        temporary = folder / path.name
        yield temporary
        _settle(folder)
        temporary.replace(path)
        _sync(path.parent)


@contextmanager
def atomic_dir(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder; it takes `path`'s place when the block ends well.

    A folder that is already there is moved aside first and removed last, so that a reader sees
    the old one or the new one, or (between two renames) none, never a mixture.
    """
    with _temporary_folder(path) as temporary:
        yield temporary
        _settle(temporary)
        old = temporary.with_suffix(".old.part")
        if path.exists():
            path.rename(old)
        temporary.rename(path)
        _sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _temporary_folder(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    _writing.add(path)
    try:
        temporary.mkdir()
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        _writing.discard(path)


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers left in `folder`; one that still writes keeps its files."""
    for entry in list(os.scandir(folder)):
        found = _LEFTOVER.fullmatch(entry.name)
        if found is None or _still_written(folder / found["name"], int(found["pid"])):
            continue
        leftover, target = Path(entry.path), folder / found["name"]
        if found["old"] and not target.exists():
            with suppress(FileNotFoundError):  # another process was faster
                leftover.rename(target)  # killed between the two renames: the old one still counts
        elif entry.is_dir(follow_symlinks=False):
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _still_written(target: Path, pid: int) -> bool:
    """Whether process `pid` is there; a killed one may have had the number we have now."""
    if pid == os.getpid():
        return target in _writing
    try:
        os.kill(pid, 0)  # sends nothing, only asks
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _settle(folder: Path) -> None:
    """Force what `folder` holds to disk, so that no rename gets there before the content.

    safetensors 0.8 makes its files readable for their owner alone (its issue 782), though a
    student is often served under another account: they get the permissions of any new file.
    """
    usual = folder.stat().st_mode & 0o666
    for file in folder.rglob("*"):
        if file.suffix == ".safetensors":
            file.chmod(usual)
        _sync(file)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
        temporary.chmod(mode)


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def bytes_on_disk(folder: Path) -> int:
    """Total size in bytes of the files below `folder`."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def sha256_of(path: Path) -> str:
    """SHA-256 of the file's content, in hex; raises `OSError` when it can't be read."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(*parts: Any) -> str:
    """A short, stable hex digest of JSON-serialisable values: the same in every process."""
    canonical = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:20]
