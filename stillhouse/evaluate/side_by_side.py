"""Several models, and a baseline, on the same held-out pairs: what a report compares."""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from stillhouse.config.dataset import Task
from stillhouse.config.teacher import TeacherPrompt
from stillhouse.endpoint.client import Access
from stillhouse.evaluate.predictions import Answers, lacking, predict, texts_per_second
from stillhouse.evaluate.together import Lack, fill
from stillhouse.storage.query import rows_in_batches
from stillhouse.tasks.common import Kind, Row, gold_of, quoted, rows_of, texts_of
from stillhouse.tasks.kinds import kind_of, open_tasks
from stillhouse.tasks.results import BASELINE, Scored
from stillhouse.tasks.running import Runner
from stillhouse.tasks.sections import Section

logger = logging.getLogger("stillhouse")

SPLIT = "test"


@dataclass(frozen=True)
class Candidate:
    """A model to compare: `name` is a key of `tasks.results.MODELS`, `store` the Parquet files that
    keep its answers, `digest` what they depend on beside the pair: its content, the code.
    `display` is what it is called in headings, if not as MODELS says; `prompt` says how weights as
    they came are asked, `tasks` names those that it answers (default: all); `access` is that of one
    which a server runs."""

    name: str
    folder: Path
    digest: str
    parameters: int | None
    bytes: int | None
    max_tokens: int
    store: Path
    prompt: TeacherPrompt | None = None
    display: str | None = None
    tasks: Sequence[str] | None = None
    access: Access | None = None


@dataclass(frozen=True)
class SideBySide:
    """By model the scored answers of each task, the baseline's first; by task what a report shows
    of them, what its baseline is, and the family of near-duplicates that each pair belongs to;
    and by model and task what its answers to the validation split teach of its confidence, those
    answers, scored by it, and the answers to the test split as they were before; and by task what
    its test split is too small or too narrow for, and which models answer all of it alike."""

    scored: dict[str, dict[str, Scored]]
    sections: dict[str, list[Section]]
    baselines: dict[str, str]
    families: dict[str, list[str]]
    calibrations: dict[str, dict[str, Any]]
    validation: dict[str, dict[str, Scored]] = field(default_factory=dict)
    before: dict[str, dict[str, Scored]] = field(default_factory=dict)
    test_sets: dict[str, dict[str, Any]] = field(default_factory=dict)


class Also(Protocol):
    """What else is asked of a model while it is there: it is given the model's answers to the test
    split and what was learned of its confidence, by task."""

    def __call__(
        self,
        candidate: Candidate,
        runner: Runner,
        answers: Mapping[str, Answers],
        calibrations: Mapping[str, Any],
    ) -> None: ...


Ahead = Callable[[Candidate, Runner], Sequence[Lack]]


def side_by_side(
    dataset: Path,
    tasks: Sequence[Task],
    candidates: Sequence[Candidate],
    also: Also | None = None,
    ahead: Ahead | None = None,
) -> SideBySide:
    """Let each candidate answer the test split of `dataset`; what it answered before is kept.
    `ahead` says what `also` will ask of it, so that all of it is asked together.

    How sure a written answer is, is calibrated on the validation split. The baselines have no
    weights, and answer anew each time. Raises `UserError` as `predict` does.
    """
    kinds = open_tasks(dataset, tasks)
    scored: dict[str, dict[str, Scored]] = {}
    calibrations: dict[str, dict[str, Any]] = {}
    validation: dict[str, dict[str, Scored]] = {}
    before: dict[str, dict[str, Scored]] = {}
    for c in candidates:
        asked = [task for task in tasks if c.tasks is None or task.name in c.tasks]
        # Nobody serves weights as they came, and to ask them is slow: classes are left as they are.
        held_out = [
            task
            for task in asked
            if kind_of(task).calibrates and not (c.prompt and kind_of(task).countable)
        ]
        runner = Runner(c.folder, dataset, c.max_tokens, c.prompt, c.access)
        lacks = [*_lacks(c, runner, held_out, "validation"), *_lacks(c, runner, asked, SPLIT)]
        fill(runner, [*lacks, *(ahead(c, runner) if ahead else ())])
        known = _answers(c, runner, held_out, "validation")
        learned = {task: x.kind.calibrate(x.gold, x.predictions) for task, x in known.items()}
        calibrations[c.name] = learned
        validation[c.name] = {task: x.scored(learned[task]) for task, x in known.items()}
        answers = _answers(c, runner, asked, SPLIT)
        before[c.name] = {task: answers[task].scored() for task in learned}
        scored[c.name] = {
            task: replace(x.scored(learned.get(task)), display=c.display)
            for task, x in answers.items()
        }
        if also is not None:
            also(c, runner, answers, learned)
    baselines, simple = _baselines(dataset, kinds)
    scored = {BASELINE: simple, **scored} if simple else scored
    return SideBySide(
        scored=scored,
        sections={
            kind.task.name: kind.sections(
                _of_task(scored, kind.task.name), texts_of(dataset, kind.task.name, SPLIT)
            )
            for kind in kinds
        },
        baselines=baselines,
        families={kind.task.name: _families(dataset, kind.task.name) for kind in kinds},
        test_sets={
            k.task.name: looked_at(dataset, k) | {"alike": _alike(_of_task(scored, k.task.name))}
            for k in kinds
        },
        calibrations=calibrations,
        validation=validation,
        before=before,
    )


def _answers(
    c: Candidate, runner: Runner, tasks: Sequence[Task], split: str
) -> Mapping[str, Answers]:
    if not tasks:
        return {}
    return predict(runner, tasks, split, _store(c, split), model_digest=c.digest)


def _lacks(c: Candidate, runner: Runner, tasks: Sequence[Task], split: str) -> list[Lack]:
    if not tasks:
        return []
    return lacking(runner, tasks, split, _store(c, split), model_digest=c.digest)


def _store(c: Candidate, split: str) -> Path:
    return c.store.with_stem(f"{c.store.stem}.{split}")


def speeds(tasks: Sequence[Task], candidates: Sequence[Candidate]) -> dict[str, float]:
    """Texts of the test split a second, by the name of each candidate that answers all `tasks`."""
    names = [task.name for task in tasks]
    found = {c.name: texts_per_second(_store(c, SPLIT), names) for c in candidates}
    return {name: speed for name, speed in found.items() if speed is not None}


def _of_task(scored: Mapping[str, Mapping[str, Scored]], task: str) -> dict[str, Scored]:
    return {name: answers[task] for name, answers in scored.items() if task in answers}


def _baselines(dataset: Path, kinds: Sequence[Kind]) -> tuple[dict[str, str], dict[str, Scored]]:
    """By task, what the baseline is called, and its scored answers."""
    names: dict[str, str] = {}
    scored: dict[str, Scored] = {}
    for kind in kinds:
        task = kind.task.name
        training = _gold(dataset, task)
        if not training:
            continue
        rows = [row for batch in rows_of(dataset, task, SPLIT) for row in batch]
        names[task], predictions = kind.baseline(training, rows)
        scored[task] = kind.score([gold_of(row) for row in rows], predictions)
        logger.info("Baseline of %s, %s: %.3f", task, names[task], scored[task].score)
    return names, scored


def _gold(dataset: Path, task: str) -> list[Row]:
    """The training pairs whose answers come with the documents: what a teacher answered would make
    the baseline its student."""
    rows = rows_in_batches(
        f"""SELECT pair_id, instruction, input, response, label FROM dataset
            WHERE task = {quoted([task])} AND split = 'train' AND origin = 'gold'
            ORDER BY pair_id""",
        dataset=dataset,
    )
    return [row for batch in rows for row in batch]


def _families(dataset: Path, task: str) -> list[str]:
    """Of each pair of the split, in the order of `Scored`."""
    rows = rows_in_batches(
        f"""SELECT group_id FROM dataset
            WHERE task = {quoted([task])} AND split = {quoted([SPLIT])} ORDER BY pair_id""",
        dataset=dataset,
    )
    return [row["group_id"] for batch in rows for row in batch]


def _alike(scored: Mapping[str, Scored]) -> list[str]:
    """The models that answer all pairs alike, of more than one."""
    return [
        m for m, found in scored.items() if found.n > 1 and len(set(found.detail.said()[1])) == 1
    ]


def looked_at(dataset: Path, kind: Kind) -> dict[str, Any]:
    """What a task's test split is too small or too narrow for: how many pairs it has, those whose
    text a training pair has too (case and spacing aside), and where answers are few and come again,
    how many different ones it has, how many of its pairs have one that was never learned, and how
    many that were learned it has no pair of; and which."""
    said = "lower(trim(regexp_replace(input, '\\s+', ' ', 'g')))"
    ((found,),) = rows_in_batches(
        f"""WITH of_task AS (
                SELECT *, coalesce(label, response) AS answer, {said} AS said FROM dataset
                WHERE task = {quoted([kind.task.name])} AND response IS NOT NULL),
            test AS (SELECT * FROM of_task WHERE split = {quoted([SPLIT])}),
            train AS (SELECT * FROM of_task WHERE split = 'train')
            SELECT (SELECT count(*) FROM test) AS n,
                (SELECT count(DISTINCT answer) FROM test) AS answers,
                (SELECT count(*) FROM test WHERE answer NOT IN (SELECT answer FROM train))
                    AS unseen,
                (SELECT list_sort(list(DISTINCT answer)) FROM test
                    WHERE answer NOT IN (SELECT answer FROM train)) AS unseen_answers,
                (SELECT list_sort(list(DISTINCT answer)) FROM train
                    WHERE answer NOT IN (SELECT answer FROM test)) AS untested_answers,
                (SELECT count(*) FROM test WHERE said IN (SELECT said FROM train))
                    AS in_training""",
        dataset=dataset,
    )
    if not kind.countable:
        # Every answer is another one, and says what its document says.
        return {**found, "unseen": 0, "untested": 0, "unseen_answers": [], "untested_answers": []}
    named = {name: found[name] or [] for name in ("unseen_answers", "untested_answers")}
    return {**found, **named, "untested": len(named["untested_answers"])}
