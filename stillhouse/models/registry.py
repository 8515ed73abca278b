"""The registry of teachers: what a mirror job put into a folder becomes a teacher version.

A version is a folder `<name>/` with the model's own files, or a file `<name>.gguf`. It is taken in
when it is there whole, its files are those of one model that can be imported, and the policy
allows its licence; then a YAML says what it is (see `config/registry.py`). The model's files are
never changed.
"""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from stillhouse.config.base import ConfigError, is_slug
from stillhouse.config.project import Project
from stillhouse.config.registry import (
    PREFIX,
    Entry,
    Found,
    RegisteredTeacher,
    read_entry,
    teacher_of,
)
from stillhouse.errors import UserError
from stillhouse.models.admission import allowed, is_multimodal
from stillhouse.models.described import described
from stillhouse.models.fetch import model_files
from stillhouse.models.licence import Statement, stated_licences
from stillhouse.models.mirrored import (
    MARKER,
    Notes,
    NotYetError,
    entries,
    marked,
    signature_of,
    unfinished_in,
)
from stillhouse.models.sources import files_of
from stillhouse.models.vetting import PICKLES, require_number_in
from stillhouse.models.weights import IncompleteError
from stillhouse.storage.files import digest, sha256_of, write_json, write_text
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import unless_held

logger = logging.getLogger("stillhouse")

State = Literal["complete", "waiting", "refused", "removed"]

# Without a marker, files that were not touched for so long are taken to be all there.
QUIET_SECONDS = 60.0
# What lacks something for so long, and isn't touched, was left like that.
PATIENCE_SECONDS = 1800.0

# Verdicts on files are kept; another way to look at them asks again.
VETTING = 1

HEAD = """\
# A teacher version, found in the registry. Yours to change as in the project file: `license`,
# `adapt`, `prompt`. What was found out of its files stands in `found`.
"""


# What is ours in a version's file.
FINDINGS = re.compile(r"^(?:found:[^\n]*\n(?:[ \t]+[^\n]*\n)*|removed:[^\n]*\n)", re.MULTILINE)


@dataclass(frozen=True)
class Candidate:
    """What lies in the registry under a name. `reason` says why it waits or is refused, and what
    to do; `teacher` is what became of it."""

    version: str
    state: State
    reason: str = ""
    teacher: RegisteredTeacher | None = None

    @property
    def digest(self) -> str:
        return self.teacher.found.digest if self.teacher else ""


def look(
    project: Project,
    *,
    only: str | None = None,
    seconds: float | None = None,
    quiet: float = QUIET_SECONDS,
    take: bool = True,
) -> list[Candidate]:
    """What lies in the registry, by name; whole versions that are new are taken in, if `take`.

    `only` looks at one name. Files are read once, for `seconds` at most (None: to their end), and
    the rest at the next look. `quiet` is how long, in seconds, files without a marker have to be
    untouched. Raises `UserError` when the folder can't be read, or another process looks now.
    """
    layout = Layout(project.data_path)
    with unless_held(layout.lock("registry")) as free:
        if not free:
            raise UserError(
                "another process looks through the registry of teachers now",
                remedy="try again when it has ended.",
            )
        notes = Notes(layout.staging("registry") / "looks.json")
        deadline = time.monotonic() + seconds if seconds is not None else None
        one = _Look(project, layout, notes, deadline, quiet, take)
        found = [one.at(v, path) for v, path in entries(project) if only in (None, v)]
        notes.save(keep=None if only else {candidate.version for candidate in found})
    return found


@dataclass(frozen=True)
class _Look:
    project: Project
    layout: Layout
    notes: Notes
    deadline: float | None
    quiet: float
    take: bool

    def at(self, version: str, path: Path) -> Candidate:
        try:
            entry = self._entry(version)
            if entry.removed:
                again = f"taken out by {entry.removed}; `stillhouse teachers add {version}` brings "
                return Candidate(version, "removed", f"{again}it back")
            teacher = self._examined(version, path, entry)
        except NotYetError as why:
            return Candidate(version, "waiting", str(why))
        except OSError as error:
            reason = f"{error.filename}: can't be read ({error.strerror}); it is tried again"
            return Candidate(version, "waiting", reason)
        except UserError as error:
            return Candidate(version, "refused", str(error))
        return Candidate(version, "complete", teacher=teacher)

    def _entry(self, version: str) -> Entry:
        if not is_slug(version):
            raise UserError(
                f"{self.project.registry / version}: its name can't be that of a version",
                remedy="name it with lower-case letters, digits, `-`, `_` and `.`.",
            )
        for teacher in self.project.teachers_of_file:
            if teacher.version == version:
                raise UserError(
                    f"{self.project.file}: teachers: {version} stands there; what lies in the "
                    "registry under that name is left alone",
                    remedy="give one of them another name, or take it out of the project file.",
                )
        file = self.layout.registered(version)
        return read_entry(file) if file.exists() else Entry()

    def _examined(self, version: str, path: Path, entry: Entry) -> RegisteredTeacher:
        model = PREFIX + version
        noted = self.notes.of(version, signature_of(path))
        self._require_settled(path, noted)
        if (refused := noted.get("refused")) and refused["vetting"] == VETTING:
            raise UserError(refused["message"], remedy=refused["remedy"])
        try:
            about = noted.get("about") or described(model, path)
            noted["about"] = about
            content = self._content(model, path, noted)
        except IncompleteError as error:
            if not marked(path) and time.time() - noted["since"] < PATIENCE_SECONDS:
                raise NotYetError(error.message) from None
            raise
        except UserError as error:
            noted["refused"] = {
                "vetting": VETTING,
                "message": error.message,
                "remedy": error.remedy,
            }
            raise
        if entry.found is not None and entry.found.digest != content:
            raise UserError(
                f"{path}: its files changed since it was found to be version {version}",
                remedy="a version stands for one content: bring the changed model under a name of "
                f"its own; or take this one out (`stillhouse teachers remove {version}`) first.",
            )
        return self._admitted(
            version, path, entry, Found(at=_now(), digest=content, **about, license_stated=[])
        )

    def _require_settled(self, path: Path, noted: dict[str, Any]) -> None:
        if (unfinished := unfinished_in(path)) is not None:
            raise NotYetError(f"{unfinished} is still being written")
        if path.is_dir() and not files_of(path):
            raise NotYetError("nothing is in it yet")
        still = time.time() - noted["since"]
        if not marked(path) and still < self.quiet:
            raise NotYetError(
                f"untouched for {still:.0f} of {self.quiet:.0f} seconds (`{MARKER}` in its folder "
                "says at once that all is there)"
            )

    def _content(self, model: str, path: Path, noted: dict[str, Any]) -> str:
        """The digest of the model's files, each read once, to its end."""
        files, known = model_files(path), noted["files"]
        for number, (name, file) in enumerate(files.items()):
            stat = [file.stat().st_size, file.stat().st_mtime_ns]
            if known.get(name, [])[:2] == stat:
                continue
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise NotYetError(f"being read: {number} of {len(files)} files")
            require_number_in(model, file)
            known[name] = [*stat, sha256_of(file)]
        return digest({name: known[name][2] for name in files})

    def _admitted(self, version: str, path: Path, entry: Entry, found: Found) -> RegisteredTeacher:
        """The version, once the policy allows it; its file is written when it is new."""
        stated = stated_licences(path)
        file = self.layout.registered(version)
        claimed = entry.license or _one_licence(file, stated)
        found = entry.found or found.model_copy(
            update={"license_stated": [f"{s.licence} ({s.where})" for s in stated]}
        )
        teacher = teacher_of(entry.model_copy(update={"license": claimed, "found": found}), version)
        try:
            allowed(teacher, self.project, stated, multimodal=is_multimodal(path))
        except UserError as error:
            told = f"{error.remedy} What this version's licence is, {file} may say."
            raise UserError(error.message, remedy=told) from None
        if entry.found is None and self.take:
            files = {**self.notes.now[version]["files"]}
            known = {teacher.model: {"digest": found.digest, "files": files}}
            write_json(self.layout.teacher_source(version), known)
            _write_entry(file, entry, teacher)
            logger.info("Teacher version %s was found in the registry", version)
            left = [f for f in files_of(path) if any(f.match(p) for p in (*PICKLES, "*.py"))]
            if left:
                logger.info("%s: %d files of pickles or code are never opened", version, len(left))
        return teacher


def _one_licence(file: Path, stated: list[Statement]) -> str:
    names = {s.licence for s in stated}
    if len(names) == 1:
        return names.pop()
    said = ", ".join(f"{s.licence} ({s.where})" for s in stated)
    raise ConfigError(
        f"{file.stem}: its files state {f'several licences: {said}' if said else 'no licence'}",
        remedy=f"read its terms and write `license: NAME` into {file}.",
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def take_out(project: Project, version: str, by: str) -> bool:
    """Note in a version's file that it is none any more, and who said so; False where the registry
    knows nothing of it. What a person set in the file stays."""
    layout = Layout(project.data_path)
    file = layout.registered(version)
    if not file.exists() and version not in {name for name, _ in entries(project)}:
        return False
    text = file.read_text("utf-8") if file.exists() else HEAD
    write_text(file, f"{FINDINGS.sub('', text).rstrip()}\nremoved: {json.dumps(by)}\n")
    return True


def take_back(project: Project, version: str) -> None:
    """Undo `take_out`: the version is looked at as if it were new."""
    file = Layout(project.data_path).registered(version)
    if file.exists() and read_entry(file).removed:
        write_text(file, FINDINGS.sub("", file.read_text("utf-8")))


def _write_entry(file: Path, entry: Entry, teacher: RegisteredTeacher) -> None:
    """Write a version's file; what a person wrote into it beforehand stays as it is."""
    import yaml

    text = file.read_text("utf-8").rstrip() + "\n" if file.exists() else HEAD
    new: dict[str, Any] = {
        name: getattr(teacher, name)
        for name in ("version", "model", "license")
        if getattr(entry, name) is None
    }
    new["found"] = teacher.found.model_dump(mode="json")
    write_text(file, text + yaml.safe_dump(new, sort_keys=False, allow_unicode=True))
