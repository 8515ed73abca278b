"""A student beside its release that is in production, on the same held-out pairs.

Which release that is when the report is made is a fact of the report, and makes none stale: it
would be stale with the release that it leads to.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.assets.common import Work
from stillhouse.config.base import settings_of
from stillhouse.config.dataset import Task, task_of
from stillhouse.errors import UserError
from stillhouse.evaluate.predictions import predict
from stillhouse.evaluate.side_by_side import SPLIT
from stillhouse.evaluate.telling import tell_apart
from stillhouse.metrics.holm import holm
from stillhouse.release.channels import PRODUCTION, pointed
from stillhouse.release.published import read_manifest, released_model
from stillhouse.report.results import Comparison
from stillhouse.storage.files import atomic_file
from stillhouse.tasks.common import texts_of
from stillhouse.tasks.results import Scored, prose_name
from stillhouse.tasks.running import Runner
from stillhouse.tasks.samples import won_and_lost
from stillhouse.tasks.sections import SampleGroup
from stillhouse.tasks.serving import learned

if TYPE_CHECKING:
    from stillhouse.evaluate.side_by_side import SideBySide

logger = logging.getLogger("stillhouse")

CANDIDATE = "student_quantized"
# Settings that make another task of one that is called the same: its answers can't be scored alike.
FORM = ("kind", "instruction", "fields", "no_answer")

Groups = dict[str, list[SampleGroup]]


def against_production(
    work: Work, tasks: Sequence[Task], found: "SideBySide"
) -> tuple[dict[str, Any], Groups]:
    """As evaluation.json says it: which release, and by task the paired test and the score of the
    student, or why it was not compared; and where either does better, by task. The release is
    asked as it was released, and only what it was not asked before."""
    student = str(work.artefact.student)
    release = pointed(work.layout, student, PRODUCTION)
    nothing: dict[str, Any] = {"release": release, "same": False, "tasks": {}, "not_compared": {}}
    if release is None:
        return nothing, {}
    try:
        manifest = read_manifest(work.layout, student, release, files=True)
    except UserError as error:
        logger.warning("%s", error)
        there = work.layout.release(student, release).is_dir()
        why = "the release is damaged" if there else "the files of the release are gone"
        return nothing | {"not_compared": {task.name: why for task in tasks}}, {}
    if manifest["model"]["digest"] == work.facts("quantized_model").digest:
        return nothing | {"same": True}, {}
    compared: dict[str, Any] = {}
    left: dict[str, str] = {}
    samples: Groups = {}
    for task in tasks:
        try:
            compared[task.name], samples[task.name] = _compare(work, task, manifest, found)
        except _NotComparedError as why:
            left[task.name] = str(why)
    values = [of["p_value"] for of in compared.values()]
    for of, p in zip(compared.values(), holm(values), strict=True):
        of["p_holm"] = p
    version = manifest["teacher"]["version"]
    more = {"teacher_version": version, "tasks": compared, "not_compared": left}
    return nothing | more, samples


class _NotComparedError(Exception):
    """Why the released student's answers to a task are none to compare with."""


def _compare(
    work: Work, task: Task, manifest: Mapping[str, Any], found: "SideBySide"
) -> tuple[dict[str, Any], list[SampleGroup]]:
    try:
        released = _answers(work, _as_released(task, manifest), manifest)
    except (UserError, OSError, ValueError) as error:
        # Beside what a user can mend: weights that the libraries of now can't open.
        logger.warning("%s", error if isinstance(error, UserError) else type(error).__name__)
        raise _NotComparedError("the released student can't answer it") from error
    ours = found.scored[CANDIDATE][task.name]
    never = released.metrics.get("unlearnable", 0)
    if never == released.n:
        raise _NotComparedError("the released student learned other classes")
    test = tell_apart(ours, released, found.families[task.name])
    values = Comparison(CANDIDATE, PRODUCTION, test).to_json()
    values |= {"score": ours.score, "never_learned": never}
    texts = texts_of(work.dataset, task.name, SPLIT)
    named = {CANDIDATE: ours, PRODUCTION: released}
    return values, won_and_lost(texts, {prose_name(n).capitalize(): of for n, of in named.items()})


def _as_released(task: Task, manifest: Mapping[str, Any]) -> Task:
    """The task by its settings of then; where they aren't known, as they are now."""
    name = task.name
    if name not in manifest["tasks"]:
        raise _NotComparedError("the released student does not know it")
    settings = manifest.get("task_settings", {}).get(name)
    then = task if settings is None else task_of(settings, task)
    if manifest["tasks"][name] != task.kind or _form(then) != _form(task):
        raise _NotComparedError("it was another task then")
    return then


def _form(task: Task) -> dict[str, Any]:
    form = {name: value for name, value in settings_of(task).items() if name in FORM}
    for field in form.get("fields", {}).values():
        field.pop("description")  # says what is meant, to models that did not learn it
    return form


def _answers(work: Work, task: Task, manifest: Mapping[str, Any]) -> Scored:
    student = manifest["student"]
    folder, max_tokens = released_model(work.layout, manifest)
    store = work.layout.student_predictions(student, work.version) / f"production.{SPLIT}.parquet"
    _begin_with(_kept_of(work, student, manifest["teacher"]["version"]), store)
    runner = Runner(folder, work.dataset, max_tokens)
    by = work.answered_by(manifest["model"]["digest"])
    kinds = [learned(task, runner.encoder.tokenizer)]
    found = predict(runner, [task], SPLIT, store, model_digest=by, kinds=kinds)
    return found[task.name].scored()


def _kept_of(work: Work, student: str, version: str) -> Path:
    """Answers that the released student gave when it was the candidate."""
    return work.layout.student_predictions(student, version) / f"{CANDIDATE}.{SPLIT}.parquet"


def _begin_with(kept: Path, store: Path) -> None:
    """What was answered by other weights, or to other pairs, `predict` leaves out."""
    if kept.exists() and not store.exists():
        with atomic_file(store) as temporary:
            shutil.copyfile(kept, temporary)
