"""Candidate teachers as they come, side by side on the project's own validation pairs.

Each is asked in words, without and with examples, the same pairs; nothing is trained. What was
asked once, of the same weights, pairs and prompts, is kept: only a new candidate costs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stillhouse.code_of_parts import code_version
from stillhouse.config.base import compared_by, settings_of
from stillhouse.config.dataset import Task
from stillhouse.config.project import Project
from stillhouse.config.teacher import Teacher, TeacherPrompt
from stillhouse.corpus.cleanse.language import language_of
from stillhouse.errors import UserError
from stillhouse.facts import TeacherComparisonFacts
from stillhouse.models.admission import admit
from stillhouse.models.importing import import_teacher
from stillhouse.models.licence import LicenceError
from stillhouse.models.weights import weight_files
from stillhouse.selection.languages import stated_languages
from stillhouse.selection.machine import Machine
from stillhouse.selection.plan import labelling_of, serving_of, start_of
from stillhouse.selection.rows import (
    ALLOWED,
    FEW,
    REFUSED,
    UNABLE,
    ZERO,
    Asked,
    Candidate,
    read_candidates,
    write_candidates,
)
from stillhouse.selection.shape import shape_of
from stillhouse.storage.files import digest
from stillhouse.storage.layout import Layout
from stillhouse.tasks.common import Kind, Row, gold_of, rows_of
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner

logger = logging.getLogger("stillhouse")

NAME = "teacher_comparison"

MOST_PAIRS = 100  # of a task: the interval of a share is then 20 points wide at most
USUAL_SHOTS = 4  # of candidates that the project file asks without any
LEAST_OF_LANGUAGE = 5  # pairs, to say anything of one
CODE = ("tasks", "prompts", "evaluation", "selection")


def compare_teachers(
    project: Project,
    dataset: Path,
    dataset_digest: str,
    digests: Mapping[str, str | None],
    table: Path,
    machine: Callable[[], Machine],
) -> TeacherComparisonFacts:
    """Ask every candidate of the project, and write a row for each to `table`, the best first.

    `digests` are those of the candidates' content, `dataset_digest` that of the pairs to train and
    to validate on. What `table` has of the
    same content, pairs and prompts is taken over. A candidate that the licence gate refuses is not
    opened.
    """
    kinds = open_tasks(dataset, project.tasks)
    pairs = {kind.task.name: _sample(kind, dataset) for kind in kinds}
    known = {row.key: row for row in read_candidates(table) if row.key}
    found, asked = [], []
    here: list[Machine] = []
    for teacher in project.teachers:
        try:
            one, source = _admitted(teacher, project)
            if source is not None:
                here = here or [machine()]
                one = _sized(one, teacher, project, source, here[0])
        except UserError as error:
            one, source = Candidate(teacher.version, UNABLE, teacher.license, error.message), None
        one = replace(one, reason=one.reason.replace(f"{project.root}/", ""))
        if source is not None and one.verdict == ALLOWED and one.fits:
            key = digest(
                digests.get(teacher.version), dataset_digest, _prompts(teacher),
                _meant(project.tasks), {part: code_version(part) for part in CODE},
            )  # fmt: skip
            if key in known:
                one = replace(one, key=key, asked=known[key].asked)
            else:
                try:
                    one = replace(
                        one, key=key, asked=_asked(teacher, project, source, kinds, pairs, dataset)
                    )
                    asked.append(teacher.version)
                except UserError as error:
                    one = replace(one, verdict=UNABLE, reason=error.message)
        found.append(one)
    found.sort(key=_order)
    write_candidates(table, found)
    able = [one for one in found if one.asked]
    return TeacherComparisonFacts(
        digest=digest([asdict(replace(one, reason="", memory=None)) for one in found]),
        candidates=len(found),
        refused=[one.version for one in found if one.verdict == REFUSED],
        unable=[one.version for one in found if one.verdict == UNABLE or (not one.asked
                and one.verdict == ALLOWED)],
        asked=asked,
        reused=len(able) - len(asked),
        pairs=sum(map(len, pairs.values())),
        best=able[0].version if able else None,
        best_score=able[0].score if able else None,
    )  # fmt: skip


def _order(one: Candidate) -> tuple[Any, ...]:
    """Licence, score (to a hundredth, as more is chance), what fits, the smaller, languages."""
    return (
        (ALLOWED, UNABLE, REFUSED).index(one.verdict),
        -round(-1.0 if one.score is None else one.score, 2),
        not one.fits,
        one.serving or 0,
        one.labelling or 0,
        -len(one.languages),
        one.version,
    )


def _sample(kind: Kind, dataset: Path) -> list[Row]:
    """The same pairs for every candidate: those that come first by a digest of their ids."""
    rows = [row for batch in rows_of(dataset, kind.task.name, "validation") for row in batch]
    return sorted(rows, key=lambda row: digest(row["pair_id"]))[:MOST_PAIRS]


def _prompts(teacher: Teacher) -> list[Any]:
    return [(how, settings_of(prompt)) for how, prompt in _ways(teacher)]


def _ways(teacher: Teacher) -> Iterator[tuple[str, TeacherPrompt]]:
    asked = teacher.prompt
    yield ZERO, asked.without_shots()
    yield FEW, asked if asked.shots else asked.model_copy(update={"shots": USUAL_SHOTS})


def _meant(tasks: Sequence[Task]) -> list[Any]:
    """What is asked of a candidate beside the pairs."""
    left_out = {"sources", "unlabelled", "min_confidence"}
    return [{k: v for k, v in compared_by(t).items() if k not in left_out} for t in tasks]


def _admitted(teacher: Teacher, project: Project) -> tuple[Candidate, Path | None]:
    """What the licence gate says; where its weights lie, if they may be opened."""
    try:
        found = admit(teacher, project, None)
    except LicenceError as error:
        return Candidate(teacher.version, REFUSED, teacher.license, error.message), None
    licence = found.licence
    return Candidate(teacher.version, ALLOWED, licence.licence, licence.allowed_by), found.source


def _sized(
    one: Candidate, teacher: Teacher, project: Project, source: Path, machine: Machine
) -> Candidate:
    shape = shape_of(teacher.model, source)
    return replace(
        one,
        parameters=shape.parameters,
        labelling=labelling_of(project, teacher, shape, machine),
        serving=min(
            (serving_of(student, start, machine) for student in project.students
             for start in [start_of(project, student, shape)]
             if student.init.layers == "all" or student.init.layers <= start.layers),
            default=None,
        ),
        memory=machine.memory - machine.taken,
        languages=tuple(stated_languages(source)),
    )  # fmt: skip


def _asked(
    teacher: Teacher,
    project: Project,
    source: Path,
    kinds: Sequence[Kind],
    pairs: dict[str, list[Row]],
    dataset: Path,
) -> tuple[Asked, ...]:
    found = []
    with _imported(teacher, project, source) as folder:
        model = None
        for how, prompt in _ways(teacher):
            runner = Runner(folder, dataset, prompt.max_tokens, prompt)
            if model is not None:
                runner.model = model  # read once for both ways
            for kind in kinds:
                rows = pairs[kind.task.name]
                if rows:
                    logger.info("%s, %s: asking %d pairs of %s", teacher.version, how, len(rows),
                                kind.task.name)  # fmt: skip
                    found.append(_scored(kind, how, runner, rows))
            model = runner.model
    return tuple(found)


@contextmanager
def _imported(teacher: Teacher, project: Project, source: Path) -> Iterator[Path]:
    """The weights as an import left them, or imported for as long as they are asked."""
    layout = Layout(project.data_path)
    weights = layout.teacher_weights(teacher.version)
    if weight_files(weights):
        yield weights
        return
    scratch = layout.staging(NAME)
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch) as folder:
        import_teacher(teacher.model, source, Path(folder))
        yield Path(folder)


def _scored(kind: Kind, how: str, runner: Runner, rows: list[Row]) -> Asked:
    import numpy as np

    scored = kind.score([gold_of(row) for row in rows], runner.predict(kind, rows))
    column = next(iter(scored.table.values()), "")
    low, high = scored.metrics.get(f"{column}_ci") or (None, None)
    values = np.asarray(scored.right if scored.values is None else scored.values, dtype=float)
    languages = [language_of(row["input"]) or "?" for row in rows]
    by_language = [
        [name, len(of), round(float(values[of].mean()), 4)]
        for name in sorted(set(languages))
        if len(of := [i for i, x in enumerate(languages) if x == name]) >= LEAST_OF_LANGUAGE
    ]
    return Asked(
        kind.task.name, how, scored.headline, scored.n, float(scored.score), low, high, by_language
    )
