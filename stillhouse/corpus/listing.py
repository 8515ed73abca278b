"""All that lies in the project's sources, each thing with what it is: nothing is silently absent.

What is no file to read, but somebody may think it is, is a reason for quarantine (`why_unread`).
The rest is counted:

- hidden: names that begin with a dot, and the lock files of office programs;
- data_directory: the project's own data, where it lies below a source;
- folder_link: a link to a folder of the same source, which is read where it lies.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePath

from stillhouse.config.base import ConfigError
from stillhouse.config.corpus import Source
from stillhouse.config.project import Project
from stillhouse.corpus.parse.kinds import SUPPORTED_SUFFIXES, unsupported
from stillhouse.corpus.parse.record_rows import RECORD_SUFFIXES, no_record_file
from stillhouse.corpus.parse.unparsable import Unparsable

HIDDEN, DATA_DIRECTORY, FOLDER_LINK = "hidden", "data_directory", "folder_link"
DOCUMENT_KIND, RECORD_KIND = "no_document_kind", "no_record_kind"

UNREAD = {
    "outside_link": (
        "outside",
        "a link that leads out of the source's folder, which is not followed",
        "put the file itself here, or make its folder a source.",
    ),
    "broken_link": (
        "unreachable",
        "a link that leads nowhere",
        "remove it, or put back what it leads to.",
    ),
    "unreadable_file": (
        "unreachable",
        "a file that can't be read",
        "let this user read it; each run tries it again.",
    ),
    "unreadable_folder": (
        "unreachable",
        "a folder that can't be read",
        "let this user read it, or remove it.",
    ),
    "special_file": ("unsupported", "a pipe, a socket or a device", "remove it."),
}


def why_unread(unread: str, path: str) -> Unparsable:
    """What is wrong with a row of `source_files` that is no file to read."""
    if unread == DOCUMENT_KIND:
        return unsupported(PurePath(path).suffix.lower())
    if unread == RECORD_KIND:
        return no_record_file()
    category, reason, remedy = UNREAD[unread]
    return Unparsable(category, reason, remedy=remedy)


def encode_path(path: str) -> str:
    r"""A path as text, whatever bytes its names are made of: those that aren't UTF-8 as `\xff`."""
    if path.isascii() and "\\" not in path:  # nearly all of many
        return path
    escaped = path.replace("\\", "\\\\")
    return re.sub("[\udc80-\udcff]", lambda byte: f"\\x{ord(byte[0]) - 0xDC00:02x}", escaped)


def decode_path(text: str) -> str:
    """The path that `encode_path` made `text` of."""
    return re.sub(
        r"\\(\\|x([0-9a-f]{2}))",
        lambda found: chr(0xDC00 + int(found[2], 16)) if found[2] else "\\",
        text,
    )


@dataclass(frozen=True)
class Seen:
    """Something in a source; `unread` says why it is no input. Without numbers: not even those
    could be asked for."""

    source: Source
    path: str
    unread: str | None = None
    size: int | None = None
    modified_ns: int | None = None

    @property
    def has_row(self) -> bool:
        return self.unread not in (HIDDEN, DATA_DIRECTORY, FOLDER_LINK)


def look_through(project: Project) -> Iterator[Seen]:
    """All that lies in the sources, by source and path; raises `ConfigError` for a path that
    isn't there. Links out of a source and the data directory are never entered."""
    data = project.data_path.resolve()
    for index, source in enumerate(project.sources):
        base = project.root / source.path
        where = f"{project.file}: sources[{index}].path"
        try:
            is_folder = stat.S_ISDIR(base.stat().st_mode)
        except OSError as error:
            raise ConfigError(
                f"{where}: {source.path} can't be read: {error.strerror}",
                remedy="correct the path (it is relative to the project file), create it, or "
                "mount the share that it lies on.",
            ) from error
        root = base.resolve()
        if root == data:
            raise ConfigError(
                f"{where}: {source.path} is the data directory, which holds what is made",
                remedy="move the files elsewhere, or name another `data_dir`.",
            )
        if is_folder:
            yield from _look(source, str(base), root, data)
        else:
            yield from _look_at_file(source, str(base))


# Paths are strings here: every tick of a sensor looks at every file, and of 100,000 files a Path
# each would cost more than the disk does.
def _look(source: Source, folder: str, root: Path, data: Path) -> Iterator[Seen]:
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except FileNotFoundError:
        return  # it went while we looked
    except OSError:
        yield Seen(source, folder, "unreadable_folder")
        return
    for entry in found:
        path = entry.path
        if entry.name.startswith((".", "~$")):
            yield Seen(source, path, HIDDEN)
        elif entry.is_symlink():
            yield from _look_at_link(source, path, root, data)
        elif entry.is_dir(follow_symlinks=False):
            if entry.name == data.name and Path(path).resolve() == data:
                yield Seen(source, path, DATA_DIRECTORY)
            else:
                yield from _look(source, path, root, data)
        else:
            yield from _look_at_file(source, path)


def _look_at_link(source: Source, path: str, root: Path, data: Path) -> Iterator[Seen]:
    try:
        target = Path(path).resolve(strict=True)
    except (OSError, RuntimeError):  # nothing there, or a circle
        yield Seen(source, path, "broken_link")
        return
    if not target.is_relative_to(root):
        yield Seen(source, path, "outside_link")
    elif target.is_relative_to(data) and not root.is_relative_to(data):
        yield Seen(source, path, DATA_DIRECTORY)
    elif target.is_dir():
        yield Seen(source, path, FOLDER_LINK)
    else:
        yield from _look_at_file(source, path)


def _look_at_file(source: Source, path: str) -> Iterator[Seen]:
    documents = source.kind == "documents"
    suffixes = SUPPORTED_SUFFIXES if documents else RECORD_SUFFIXES
    known = os.path.splitext(path)[1].lower() in suffixes  # noqa: PTH122
    unread = None if known else DOCUMENT_KIND if documents else RECORD_KIND
    try:
        yield _with_numbers(source, path, unread)
    except FileNotFoundError:
        return


def _with_numbers(source: Source, path: str, unread: str | None) -> Seen:
    try:
        found = os.stat(path)  # noqa: PTH116
    except FileNotFoundError:
        raise
    except OSError:
        return Seen(source, path, unread)
    if not stat.S_ISREG(found.st_mode):
        return Seen(source, path, "special_file")
    return Seen(source, path, unread, found.st_size, found.st_mtime_ns)
