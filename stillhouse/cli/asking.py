"""`stillhouse ask`: a student's answers on the terminal, or as JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import typer

from stillhouse.config.project import Project
from stillhouse.corpus.parse.encodings import decoded
from stillhouse.corpus.parse.record_rows import LONE_SURROGATES
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError
from stillhouse.evaluate.asking import Model, ask, inputs_of, read_calibration
from stillhouse.storage.layout import Layout
from stillhouse.wording import plain


def answer(
    project: Project,
    student: str,
    version: str,
    text: str | None,
    file: Path | None,
    *,
    task: str | None,
    beside_teacher: bool,
) -> None:
    """Print what the quantized student answers: as JSON lines where JSON lines are asked, or where
    the output is no terminal."""
    chosen = project.student(student)
    names = [task] if task else chosen.tasks
    if unknown := set(names) - set(chosen.tasks):
        raise UserError(
            f"{student}: it has not learned {', '.join(sorted(unknown))}",
            remedy=f"name one of its tasks: {', '.join(chosen.tasks)}.",
        )
    layout = Layout(project.data_path)
    folder = layout.student(student, version)
    models = [
        Model(
            "student",
            _made(folder / "quantized", student, version),
            chosen.distillation.max_tokens,
            calibration=read_calibration(folder, "student_quantized"),
        )
    ]
    if beside_teacher and project.teacher(version).elsewhere:
        raise UserError(
            f"teacher {version}: a server runs it, which is sent masked texts alone, and what is "
            "asked here is not masked",
            remedy="ask without --beside-teacher.",
        )
    if beside_teacher:
        teacher = _made(layout.adapted_teacher(version), "adapted_teacher", version)
        tokens = project.teacher(version).adapt.max_tokens
        models.append(
            Model(
                "teacher",
                teacher,
                tokens,
                calibration=read_calibration(folder, "teacher"),
            )
        )
    terminal = sys.stdout.isatty()
    tasks = [project.task(name) for name in names]
    for found in ask(models, layout.table("dataset_splits"), tasks, _inputs(text, file)):
        if terminal and "text" not in found and "question" not in found:
            typer.echo(_in_words(found))
        else:
            typer.echo(as_line(found, ascii_alone=terminal))


def as_line(found: Mapping[str, Any], *, ascii_alone: bool) -> str:
    """JSON that can be written. Of what is no ASCII, JSON itself escapes but the oldest controls:
    the rest would reach a terminal as it is. Half of a character, in a field that only comes back,
    can be written in no other way."""
    said = json.dumps(found, ensure_ascii=ascii_alone)
    return json.dumps(found) if LONE_SURROGATES.search(said) else said


def _inputs(text: str | None, file: Path | None) -> Iterator[str | dict[str, Any]]:
    if text is not None:
        yield text
    elif file is not None:
        if not file.is_file():
            raise UserError(f"{file}: there is no such file", remedy="name a text or JSONL file.")
        yield from inputs_of(_text_of(file.read_bytes(), str(file)))
    else:
        yield from inputs_of(_text_of(sys.stdin.buffer.read(), "standard input"))


def _text_of(data: bytes, name: str) -> str:
    """In whatever encoding it came."""
    try:
        return decoded(data)
    except Unparsable as error:
        raise UserError(f"{name}: {error.reason}", remedy=error.remedy) from None


def _made(folder: Path, what: str, version: str) -> Path:
    if not (folder / "config.json").exists():
        raise UserError(
            f"{what} [{version}] was not made yet",
            remedy="`stillhouse run` makes it; `stillhouse status` shows how far it has come.",
        )
    return folder


def _in_words(found: Mapping[str, Any]) -> str:
    """One line a model. What a model writes is untrusted: nothing in it reaches the terminal but
    plain characters."""
    lines = [f"{found['task']}: {_said(found)}"]
    if isinstance(other := found.get("teacher"), Mapping):
        lines.append(f"{'teacher':>{len(found['task'])}}: {_said(other)}")
    return "\n".join(lines)


def _said(found: Mapping[str, Any]) -> str:
    said = found["answer"]
    if not isinstance(said, str):
        said = json.dumps(said, ensure_ascii=False)
    return f"{plain(said)}  ({found['confidence']:.2f})"
