"""A project's data directory as one file, and back.

What can be made again at the price of time alone is left out: caches, what killed runs would resume
from, locks. The list of files with their digests comes last, so that a file that was cut off is
told from a whole one. Databases of Dagster are copied through SQLite, which knows what a copy of an
open database takes.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from stillhouse.alone import alone, refuse_running
from stillhouse.errors import UserError
from stillhouse.progress import track
from stillhouse.release.promote import releases_lock
from stillhouse.release.published import students_with_releases
from stillhouse.storage.files import Hashed, atomic_dir, atomic_file, sha256_of
from stillhouse.storage.layout import Layout

LIST = "files.json"
DATA = "data/"
LEFT_OUT = ("cache", "staging", "locks")
KEYS = "keys"
SQLITE = b"SQLite format 3\x00"


def back_up(layout: Layout, archive: Path, *, keys: bool) -> int:
    """Write the data directory into `archive`, a tar file, compressed where its name says so
    (.tar.gz, .tar.xz). Without `keys` the secrets stay, which belong somewhere else. Returns how
    many files went in.

    Raises:
        UserError: a run is under way, there is no data directory, or `archive` lies in it, or
            can't be written.
    """
    root = layout.root.resolve()
    if not root.is_dir():
        raise UserError(
            f"{layout.root}: there is nothing to back up",
            remedy="`stillhouse run` makes the data directory.",
        )
    if archive.resolve().is_relative_to(root):
        raise UserError(
            f"{archive} lies in the data directory, which it is to hold",
            remedy="name a file elsewhere, best on another disk.",
        )
    refuse_running(layout, "which writes what is to be copied")
    try:
        with _still(layout), atomic_file(archive) as temporary:
            temporary.touch(mode=0o600)
            return _write(root, temporary, archive.suffix, keys=keys)
    except (OSError, sqlite3.Error) as error:
        raise UserError(
            f"{archive}: can't be written ({getattr(error, 'strerror', None) or error})",
            remedy="make room there, as the owner of both; where a file became shorter while it "
            "was copied, do it again.",
        ) from error


@contextmanager
def _still(layout: Layout) -> Iterator[None]:
    """Neither steps nor releases write meanwhile: a channel leads to a release that is copied."""
    with alone(layout), ExitStack() as held:
        for student in students_with_releases(layout):
            held.enter_context(releases_lock(layout, student))
        yield


def _write(root: Path, target: Path, suffix: str, *, keys: bool) -> int:
    digests: dict[str, str] = {}
    how = {".gz": "w:gz", ".xz": "w:xz"}.get(suffix, "w")
    # Names of one file are written as files of their own: of each, its own digest is known.
    with tarfile.open(target, how, dereference=True) as out:  # type: ignore[call-overload]
        files = list(_files(root, keys=keys))
        for file in track(files, "Backing up", unit="files"):
            name = f"{DATA}{file.relative_to(root).as_posix()}"
            with suppress(FileNotFoundError):  # it went meanwhile: a log of the UI, a mirror's part
                digests[name] = _add(out, file, name)
        said = json.dumps(digests, indent=0).encode()
        entry = tarfile.TarInfo(LIST)
        entry.size, entry.mode = len(said), 0o600
        out.addfile(entry, io.BytesIO(said))
    return len(digests)


def restore(archive: Path, layout: Layout) -> int:
    """Put what `back_up` wrote where the data directory belongs; returns how many files that are.

    All or nothing: files are unpacked beside the target and compared with their digests first.

    Raises:
        UserError: there is a data directory already, or the archive is damaged or none of ours.
    """
    target = layout.root
    if target.exists() and any(target.iterdir()):
        raise UserError(
            f"{target}: there is a data directory already",
            remedy="move it away, or name another `data_dir` in the project file.",
        )
    try:
        with tarfile.open(archive) as said, atomic_dir(target) as folder:
            unpacked = folder / ".unpacked"
            # No absolute paths, none that lead out, no devices (PEP 706).
            said.extractall(unpacked, filter="data")
            count = _verified(unpacked, archive)
            for entry in (unpacked / DATA).iterdir():
                entry.rename(folder / entry.name)
            shutil.rmtree(unpacked)
            folder.chmod(0o700)
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UserError(
            f"{archive}: can't be restored ({type(error).__name__})",
            remedy="take a file that `stillhouse backup` wrote, and that was copied whole.",
        ) from error
    return count


def _files(root: Path, *, keys: bool) -> Iterator[Path]:
    """Files and links below `root` that are worth keeping; not what is just being written."""
    left_out = {*LEFT_OUT, *(() if keys else (KEYS,))}
    for path in _below(root):
        inside = path.relative_to(root).parts
        under_way = any(p.startswith(".") and p.endswith((".part", ".new")) for p in inside)
        of_a_database = path.name.endswith(("-wal", "-shm", "-journal"))
        if inside[0] not in left_out and not under_way and not of_a_database:
            yield path


def _below(root: Path) -> Iterator[Path]:
    """All files and links, which are not followed."""
    for folder, inner, names in os.walk(root):
        links = [name for name in inner if (Path(folder) / name).is_symlink()]
        inner.sort()
        for name in sorted([*links, *names]):
            path = Path(folder) / name
            if path.is_symlink() or path.is_file():
                yield path


def _add(out: tarfile.TarFile, file: Path, name: str) -> str:
    """Returns the digest of what was added: of a link, of where it leads."""
    if file.is_symlink():
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.SYMTYPE, str(file.readlink())
        out.addfile(entry)
        return _digest_of_link(entry.linkname)
    with tempfile.TemporaryDirectory() as scratch:
        source = _settled(file, Path(scratch)) if _is_database(file) else file
        with source.open("rb") as stream:
            hashed = Hashed(stream)
            out.addfile(out.gettarinfo(arcname=name, fileobj=stream), hashed)  # type: ignore[arg-type]
        return hashed.sha256.hexdigest()


def _is_database(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(SQLITE)) == SQLITE


def _settled(database: Path, scratch: Path) -> Path:
    copy = scratch / database.name
    source, target = sqlite3.connect(f"file:{database}?mode=ro", uri=True), sqlite3.connect(copy)
    try:
        source.backup(target)
    finally:
        source.close()
        target.close()
    return copy


def _digest_of_link(leads_to: str) -> str:
    return hashlib.sha256(os.fsencode(leads_to)).hexdigest()


def _verified(unpacked: Path, archive: Path) -> int:
    """How many files there are, once each is what the list says."""
    digests: dict[str, str] = json.loads((unpacked / LIST).read_text(encoding="utf-8"))
    there = {path.relative_to(unpacked).as_posix() for path in _below(unpacked)}
    wrong = (there - {LIST}) ^ digests.keys()
    for name in digests.keys() - wrong:
        file = unpacked / name
        found = _digest_of_link(str(file.readlink())) if file.is_symlink() else sha256_of(file)
        if found != digests[name]:
            wrong.add(name)
    if wrong:
        raise UserError(
            f"{archive}: {len(wrong)} of {len(digests)} files are not as they were written",
            remedy="take another copy of it.",
        )
    return len(digests)
