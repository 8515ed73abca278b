"""A student as it is served: its model, its tasks, and what its confidence is worth."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import Task, task_of
from stillhouse.config.project import Project
from stillhouse.errors import UserError
from stillhouse.evaluate.asking import SERVED, WEIGHTS, read_calibrations
from stillhouse.lm.continuous import Continuous
from stillhouse.lm.decoder import SERVED_ROWS
from stillhouse.lm.grammar import Grammars
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import (
    context_length,
    load_model,
    load_tokenizer,
    pick_device,
    pick_dtype,
)
from stillhouse.release.channels import pointed
from stillhouse.release.published import read_manifest, released_model
from stillhouse.storage.layout import Layout
from stillhouse.tasks.common import Kind
from stillhouse.tasks.serving import learned

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MODEL = WEIGHTS
# Tokens of a prompt with its answer, where a model says nothing of it or takes more.
CONTEXT = 8192


@dataclass(frozen=True)
class Calibration:
    """What one task's confidence is worth: a `temperature` for probabilities of answer tokens,
    `learned` for written answers (see `Kind.calibrate`), and the `threshold` below which somebody
    else is to answer."""

    temperature: float = 1.0
    threshold: float | None = None
    learned: Any = None


@dataclass(eq=False)
class Student:
    """`release` is its id; None for one that was not released. `context` is the most tokens of a
    prompt and its answer together, `max_tokens` how many of a task's example were learned from."""

    name: str
    release: str | None
    model: PreTrainedModel
    encoder: Encoder
    kinds: Mapping[str, Kind]
    calibration: Mapping[str, Calibration]
    context: int
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def vocabulary(self) -> int:
        return len(self.encoder.tokenizer)

    @property
    def at_once(self) -> int:
        """How many requests are answered side by side."""
        return SERVED_ROWS[self.model.device.type]

    @cached_property
    def grammars(self) -> Grammars:
        return Grammars(self.encoder.tokenizer, self.vocabulary, [self.encoder.end_id])

    @cached_property
    def writer(self) -> Continuous:
        """Used by the thread of the engine alone."""
        return Continuous(
            self.model,
            end_ids=[self.encoder.end_id],
            vocabulary=self.vocabulary,
            rows=self.at_once,
        )

    def calibrated(self, task: str) -> Calibration:
        return self.calibration.get(task, Calibration())


def load_released(project: Project, layout: Layout, name: str, channel: str) -> Student:
    """The release that the channel leads to, verified with every file.

    Raises:
        UserError: there is none, or it was edited (see `read_manifest`).
    """
    release = pointed(layout, name, channel)
    if release is None:
        raise UserError(
            f"{name}: nothing was released to {channel}",
            remedy=f"`stillhouse release {name} --reason ...`; or look at what there is with "
            "`--unreleased`.",
        )
    manifest = read_manifest(layout, name, release, files=True)
    known = manifest.get("task_settings", {})
    tasks = [_task(project, task, known.get(task)) for task in manifest["tasks"]]
    _, tokens = released_model(layout, manifest)
    return load(name, layout.release(name, release), tasks, tokens, release=release)


def load_unreleased(project: Project, layout: Layout, name: str, version: str) -> Student:
    """What there is of the student now. Raises `UserError` when it was not made yet."""
    folder, settings = layout.student(name, version), project.student(name)
    if not (folder / MODEL / "config.json").exists():
        raise UserError(
            f"{name} [{version}] was not made yet",
            remedy="`stillhouse run` makes it; `stillhouse status` shows how far it has come.",
        )
    tasks = [project.task(task) for task in settings.tasks]
    return load(name, folder, tasks, settings.distillation.max_tokens)


def load(
    name: str, folder: Path, tasks: list[Task], max_tokens: int, *, release: str | None = None
) -> Student:
    """The student in `folder`, where its model lies beside what was found of its confidence."""
    device = pick_device()
    encoder = Encoder(load_tokenizer(folder / MODEL), max_tokens)
    return Student(
        name,
        release,
        _held(load_model(folder / MODEL, device, pick_dtype(device))),
        encoder,
        {task.name: learned(task, encoder.tokenizer) for task in tasks},
        _calibration(folder, [task.name for task in tasks]),
        min(context_length(folder / MODEL) or CONTEXT, CONTEXT),
    )


def _held(model: PreTrainedModel) -> PreTrainedModel:
    """Weights in memory of our own: of a mapped file that somebody cuts short, the next look at it
    would end the server (SIGBUS). Those that were unpacked (`load_model`) are in it already."""
    for weight in (*model.parameters(), *model.buffers()):
        if weight.device.type == "cpu" and not weight.is_inference():
            weight.data = weight.data.clone()
    return model


def _task(project: Project, name: str, settings: Any) -> Task:
    """As it was when the student was released; of older releases, as it is now."""
    if settings is None:
        return project.task(name)
    return task_of(settings, next((task for task in project.tasks if task.name == name), None))


def _calibration(folder: Path, tasks: list[str]) -> dict[str, Calibration]:
    """By task: `{task: {temperature, threshold}}` beside the checkpoint, and what the report
    learned of written answers."""
    said = read_calibrations(folder)
    found = {}
    for task in tasks:
        fitted, own = said.get(SERVED, {}).get(task), said.get(task)
        own = own if isinstance(own, dict) else {}
        temperature = own.get("temperature") or 1.0
        if isinstance(fitted, dict) and "temperature" in fitted:
            temperature = 1.0  # the kind applies it: not twice
        found[task] = Calibration(temperature, own.get("threshold"), fitted)
    return found
