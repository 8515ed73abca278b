"""Teacher versions that the registry took in: a YAML each, in the form of the project file's
`teachers`, with what was found out of them. Who looks for them stands in `models/registry.py`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from stillhouse.config import explain
from stillhouse.config.base import ConfigError, Section, Slug
from stillhouse.config.teacher import Adaptation, Teacher, TeacherPrompt

PREFIX = "registry:"


class Found(Section):
    """What a version is: `digest` of its content, by which it is known; `bytes` of its weights,
    `vocabulary` of its tokenizer, which licences its files state."""

    at: datetime
    digest: str
    architecture: str
    parameters: int
    precision: str
    bytes: int
    tokenizer: str
    vocabulary: int
    chat_template: bool
    license_stated: list[str]


class Entry(Section):
    """A version's file. Without `found` it says beforehand what holds of a version to come; one
    that was `removed` is no version any more."""

    version: Slug | None = None
    model: str | None = None
    license: str | None = None
    adapt: Adaptation = Adaptation()
    prompt: TeacherPrompt = TeacherPrompt()
    removed: str | None = None
    found: Found | None = None


class RegisteredTeacher(Teacher):
    """A version of the registry."""

    found: Found


def read_entry(file: Path) -> Entry:
    """Raises `ConfigError` when the file is no such YAML, or about another version."""
    try:
        values, lines = explain.read_yaml(file)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: can't be read ({error})", remedy="correct the file.") from None
    try:
        entry = Entry.model_validate(values)
    except ValidationError as error:
        raise explain.explain(error, file, lines, Entry) from None
    for field, given, due in (
        ("version", entry.version, file.stem),
        ("model", entry.model, PREFIX + file.stem),
    ):
        if given not in (None, due):
            line = lines.get((field,), 1)
            raise ConfigError(
                f"{file}:{line}: {field}: {given!r}, and the file is about {due!r}",
                remedy=f"write `{field}: {due}`; another model belongs into the project file.",
            )
    return entry


def registered(folder: Path) -> tuple[list[RegisteredTeacher], dict[str, str]]:
    """The versions whose files lie in `folder`, the newest last; and of those whose files can't be
    used, why."""
    found, problems = [], {}
    for file in sorted(folder.glob("[!.]*.yaml")):
        try:
            entry = read_entry(file)
        except ConfigError as error:
            problems[file.stem] = str(error)
            continue
        if entry.found is not None and entry.removed is None:
            found.append(teacher_of(entry, file.stem))
    return sorted(found, key=lambda t: (t.found.at, t.version)), problems


def teacher_of(entry: Entry, version: str) -> RegisteredTeacher:
    """The version as a teacher of the project; it was taken in, so that its licence is known."""
    assert entry.found is not None  # noqa: S101
    return RegisteredTeacher(
        version=version,
        model=PREFIX + version,
        license=entry.license or next(iter(entry.found.license_stated), ""),
        adapt=entry.adapt,
        prompt=entry.prompt,
        found=entry.found,
    )
