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
from stillhouse.config.dataset import Task
from stillhouse.errors import UserError
from stillhouse.evaluate.predictions import predict
from stillhouse.evaluate.side_by_side import SPLIT
from stillhouse.evaluate.telling import tell_apart
from stillhouse.release.channels import PRODUCTION, pointed
from stillhouse.release.published import read_manifest, released_model
from stillhouse.report.results import Comparison
from stillhouse.storage.files import atomic_file
from stillhouse.tasks.results import Scored
from stillhouse.tasks.running import Runner

if TYPE_CHECKING:
    from stillhouse.evaluate.side_by_side import SideBySide

logger = logging.getLogger("stillhouse")

CANDIDATE = "student_quantized"


def against_production(work: Work, tasks: Sequence[Task], found: "SideBySide") -> dict[str, Any]:
    """As evaluation.json says it: which release, and by task the paired test and the score of the
    student, or why it was not compared. The release is asked what it was not asked before."""
    student = str(work.artefact.student)
    release = pointed(work.layout, student, PRODUCTION)
    nothing: dict[str, Any] = {"release": release, "same": False, "tasks": {}, "not_compared": {}}
    if release is None:
        return nothing
    try:
        manifest = read_manifest(work.layout, student, release, files=True)
    except UserError as error:
        logger.warning("%s", error)
        why = "the release is damaged"
        return nothing | {"not_compared": {task.name: why for task in tasks}}
    if manifest["model"]["digest"] == work.facts("quantized_model").digest:
        return nothing | {"same": True}
    compared: dict[str, Any] = {}
    left: dict[str, str] = {}
    for task in tasks:
        if why := _differs(task, manifest):
            left[task.name] = why
            continue
        try:
            theirs = _answers(work, task, manifest)
        except UserError as error:
            logger.warning("%s", error)
            left[task.name] = "the released student can't answer it"
            continue
        ours = found.scored[CANDIDATE][task.name]
        test = tell_apart(ours, theirs, found.families[task.name])
        compared[task.name] = {
            **Comparison(CANDIDATE, PRODUCTION, test).to_json(),
            "score": ours.score,
        }
    version = manifest["teacher"]["version"]
    return nothing | {"teacher_version": version, "tasks": compared, "not_compared": left}


def _differs(task: Task, manifest: Mapping[str, Any]) -> str:
    """Why the released student's answers to a task are none to compare with."""
    if task.name not in manifest["tasks"]:
        return "the released student does not know it"
    then = manifest.get("task_settings", {}).get(task.name, {})
    same = then.get("instruction", task.instruction) == task.instruction
    if manifest["tasks"][task.name] != task.kind or not same:
        return "it was another task then"
    return ""


def _answers(work: Work, task: Task, manifest: Mapping[str, Any]) -> Scored:
    student = manifest["student"]
    folder, max_tokens = released_model(work.layout, manifest)
    store = work.layout.student_predictions(student, work.version) / f"production.{SPLIT}.parquet"
    _begin_with(_kept_of(work, student, manifest["teacher"]["version"]), store)
    runner = Runner(folder, work.dataset, max_tokens)
    by = work.answered_by(manifest["model"]["digest"])
    return predict(runner, [task], SPLIT, store, model_digest=by)[task.name].scored()


def _kept_of(work: Work, student: str, version: str) -> Path:
    """Answers that the released student gave when it was the candidate."""
    return work.layout.student_predictions(student, version) / f"{CANDIDATE}.{SPLIT}.parquet"


def _begin_with(kept: Path, store: Path) -> None:
    """What was answered by other weights, or to other pairs, `predict` leaves out."""
    if kept.exists() and not store.exists():
        with atomic_file(store) as temporary:
            shutil.copyfile(kept, temporary)
