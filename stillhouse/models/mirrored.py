"""What lies in the registry's folder: which names, and whether the files of one are all there.

Mirror jobs differ. What tools leave unfinished is known by its name; a marker says that all is
there; without one, files have to be untouched for a while. Only names, sizes and times are looked
at.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.models.sources import files_of
from stillhouse.storage.files import digest, read_json, write_json
from stillhouse.storage.layout import Layout

# A file of this name in a version's folder (beside a .gguf file: `<name>.complete`) says that all
# is there.
MARKER = ".complete"

# How tools name what they have not finished: rsync `.name.Xy12ab`, `hf download` `*.incomplete`.
UNFINISHED = re.compile(
    r"\..+\.[A-Za-z0-9]{6}|\.~tmp~|\.rsync-partial|\..*\.swp"
    r"|.+\.(incomplete|part|partial|tmp|crdownload|aria2|download|filepart)"
)
OURS = re.compile(r"\..+\.[0-9a-f]{8}\.(part|new)")  # see storage/files.py


class NotYetError(Exception):
    """It is not there whole, as far as can be told."""


def entries(project: Project) -> Iterator[tuple[str, Path]]:
    """Name and place of all that may be a version; folders of results alone are none."""
    folder, taken = project.registry, {_at(project, t.model) for t in project.teachers_of_file}
    try:
        entries = sorted(folder.iterdir()) if folder.exists() or project.teacher_registry else []
    except OSError as error:
        raise UserError(
            f"teacher_registry: {folder}: can't be read ({error.strerror or error})",
            remedy="give the account that runs stillhouse the right to read it, or correct the "
            "path; it is looked at again.",
        ) from None
    for entry in entries:
        if entry.name.startswith(".") or entry in taken or entry.with_suffix("") in taken:
            continue
        if entry.suffix == ".gguf" and entry.is_file():
            yield entry.stem, entry
        elif entry.is_dir() and not _holds_results_alone(entry):
            yield entry.name, entry


def _at(project: Project, model: str) -> Path:
    """Where a teacher of the project file lies, if that is a path: it is no new one."""
    kind, _, name = model.partition(":")
    return project.registry / name if kind == "registry" else project.root / Path(model)


def _holds_results_alone(folder: Path) -> bool:
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError:
        return False
    mine = {n for n in names if n in Layout.TEACHER_PARTS or OURS.fullmatch(n)}
    return bool(mine) and mine == names


class Notes:
    """What earlier looks saw, by version; it may be lost, and only costs time."""

    def __init__(self, file: Path) -> None:
        self.file, self.before = file, _read_notes(file)
        self.now: dict[str, Any] = {k: dict(v) for k, v in self.before.items()}

    def of(self, version: str, signature: str) -> dict[str, Any]:
        """The notes on these very files; anew when one was touched or the clock was set back."""
        at, noted = time.time(), self.now.get(version, {})
        if noted.get("signature") != signature or noted["since"] > at:
            noted = {"signature": signature, "since": at, "files": noted.get("files", {})}
            self.now[version] = noted
        return noted

    def save(self, keep: set[str] | None) -> None:
        kept = {k: v for k, v in self.now.items() if keep is None or k in keep}
        if kept != self.before:
            write_json(self.file, kept)


def _read_notes(file: Path) -> dict[str, Any]:
    try:
        found = read_json(file)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def marked(path: Path) -> bool:
    return (path / MARKER if path.is_dir() else path.with_suffix(MARKER)).exists()


def signature_of(path: Path) -> str:
    """Names, sizes and times of a version's files."""
    base = path if path.is_dir() else path.parent
    stats = [(f.relative_to(base).as_posix(), f.stat()) for f in files_of(path)]
    return digest([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


def unfinished_in(path: Path) -> str | None:
    """The name of a file that some tool has not finished."""
    if path.is_file():
        beside = [f.name for f in path.parent.iterdir() if f.name.lstrip(".").startswith(path.name)]
        return next((n for n in beside if n != path.name and UNFINISHED.fullmatch(n)), None)
    for folder, folders, files in os.walk(path):
        folders[:] = [n for n in folders if n not in Layout.TEACHER_PARTS and not OURS.fullmatch(n)]
        for name in (*files, *folders):
            if UNFINISHED.fullmatch(name):
                return (Path(folder) / name).relative_to(path).as_posix()
    return None
