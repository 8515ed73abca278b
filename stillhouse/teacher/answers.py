"""What a teacher answers where there is no gold answer, and the pairs that it writes itself.

Every answer is kept once by teacher and pair, whatever becomes of it: a killed run goes on, and
another `min_confidence` asks nothing again. Learned from are those that the teacher is sure of and
that stand in their text where they have to.
"""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.dataset import Task
from stillhouse.dataset.pairs import pair_schema
from stillhouse.errors import UserError
from stillhouse.facts import ReviewFacts, TeacherAnswersFacts
from stillhouse.storage.files import digest
from stillhouse.storage.query import counts, one_row, query, rows_in_batches
from stillhouse.storage.tables import (
    Finished,
    Increment,
    Inputs,
    table_digest,
    table_writer,
    update_table,
)
from stillhouse.tasks.common import Kind, Row, quoted, training_rows
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("stillhouse")

TABLE = "answers.parquet"
# Pairs that are answered between two writes. The last answers of each lot are written a few at a
# time, and a step for a few takes as long as one for many; so lots grow, up to the second number,
# while a kill would cost no more than so many seconds.
LOTS, LOT_SECONDS = (128, 1024), 120.0
# A task's teacher has to reach this score on gold validation pairs before it writes pairs itself.
WRITERS_SCORE = 0.5
# Fewer answers than this say nothing of a teacher; if not one in so many is worth learning from, it
# answers nonsense.
ENOUGH_TO_JUDGE, LEAST_KEPT = 50, 0.02

SHOTS = 4

UNSURE = "below `min_confidence`"


def answered_schema() -> pa.Schema:
    """A pair as the teacher answered it, by the id of the pair that it was asked; `wrote` says that
    the input is its own as well. `refused` is empty for a good answer."""
    import pyarrow as pa

    return pa.schema(
        [
            *pair_schema(),
            ("wrote", pa.bool_()),
            ("confidence", pa.float64()),
            ("refused", pa.string()),
            ("version", pa.string()),
        ]
    )


def answers_schema() -> pa.Schema:
    """`answered_schema`, whether the answer is kept to learn from, and what a person who reviewed
    it made of it: "accepted", "corrected", "rejected", or null where nobody did."""
    import pyarrow as pa

    return pa.schema([*answered_schema(), ("kept", pa.bool_()), ("reviewed", pa.string())])


def answer_pairs(
    folder: Path,
    dataset: Path,
    tasks: Sequence[Task],
    runner: Callable[[], Runner],
    *,
    teacher_digest: str,
    scores: Mapping[str, float],
    staging: Path,
    review: Callable[[], ReviewFacts] = ReviewFacts,
) -> TeacherAnswersFacts:
    """Let the teacher answer the pairs of `dataset` without an answer; write `answers.parquet`.

    `runner` loads the teacher, where there is anything to ask. `teacher_digest` stands for its
    content and for whatever else shapes an answer; `scores` are its validation scores by task,
    which decide whether it writes pairs itself. What was answered before is not asked again.
    `review` is called when the table is written, and may change it.

    Raises `UserError` when hardly an answer of a task is worth learning from.
    """
    kinds = open_tasks(dataset, tasks)
    loaded = cache(runner)
    increments: list[Increment] = []
    not_written: dict[str, str] = {}
    for kind in kinds:
        task, score = kind.task, scores.get(kind.task.name, 0.0)
        if getattr(task, "written", 0) and score < WRITERS_SCORE:
            not_written[task.name] = (
                f"no pairs written: the teacher scores {score:.2f} on gold validation pairs, and "
                f"{WRITERS_SCORE} is asked for"
            )
            logger.info("Task %s: %s", task.name, not_written[task.name])
        version = digest(teacher_digest, task.kind, kind.meaning)
        increments.append(
            update_table(
                folder / "asked" / f"{task.name}.parquet",
                staging / task.name,
                answered_schema(),
                key="pair_id",
                version=version,
                inputs=_inputs(dataset, task, writes=task.name not in not_written),
                compute=partial(_answer, kind, loaded, dataset, version),
                description=f"Teacher's answers, {task.name}",
                batch_rows=1,
            )
        )
    _forget_others(folder / "asked", tasks)
    _write(folder, tasks)
    facts = _facts(folder / TABLE, dataset, tasks, increments, not_written, review())
    _refuse_nonsense(facts, folder / TABLE, tasks)
    return facts


def _forget_others(asked: Path, tasks: Sequence[Task]) -> None:
    """The answers to tasks that are no more: they hold texts that nothing else clears away."""
    known = {f"{task.name}.parquet" for task in tasks}
    for file in asked.glob("*.parquet"):
        if file.name not in known:
            file.unlink()


def _inputs(dataset: Path, task: Task, *, writes: bool) -> Inputs:
    """The pairs without an answer, and as many passages as pairs are to be written from."""
    where = f"task = {quoted([task.name])} AND response IS NULL"
    wanted = getattr(task, "written", 0) if writes else 0
    # The lowest hashes, so that a new passage moves few of them.
    chosen = f"""SELECT pair_id FROM inputs WHERE {where} AND origin = 'passage'
                 ORDER BY md5(pair_id) LIMIT {wanted}"""
    return Inputs(
        dataset,
        ["* EXCLUDE (split)"],
        f"{where} AND (origin <> 'passage' OR pair_id IN ({chosen}))",
        order="len(input) DESC, pair_id",
    )


def _answer(
    kind: Kind,
    loaded: Callable[[], Runner],
    dataset: Path,
    version: str,
    rows: Iterator[Row],
) -> Iterator[Finished]:
    """Rows of `answered_schema`: pairs answered, and passages of which the teacher asked first."""
    size, most = LOTS
    while block := list(itertools.islice(rows, size)):
        started = time.monotonic()
        posed = [row for row in block if row["origin"] != "passage"]
        passages = [row for row in block if row["origin"] == "passage"]
        if passages:
            gold = itertools.chain.from_iterable(training_rows(dataset, kind.task.name))
            shots = list(itertools.islice(gold, SHOTS))
            inputs = kind.write(loaded().model, loaded().encoder, passages, shots)
            posed += [{**r, "input": text} for r, text in zip(passages, inputs, strict=True)]
        answers = kind.answers([r["input"] for r in posed], loaded().predict(kind, posed))
        yield Finished(
            len(block),
            [
                {
                    **row,
                    "response": answer.response,
                    "label": answer.label,
                    "wrote": row["origin"] == "passage",
                    "origin": "teacher",
                    "confidence": answer.confidence,
                    "refused": answer.refused or "",
                    "version": version,
                }
                for row, answer in zip(posed, answers, strict=True)
            ],
        )
        if time.monotonic() - started < LOT_SECONDS / 2:
            size = min(2 * size, most)


def _write(folder: Path, tasks: Sequence[Task]) -> None:
    """All tasks' answers in one table, and which of them are kept."""
    schema = answers_schema()
    with table_writer(folder / TABLE, schema) as write:
        for task in sorted(tasks, key=lambda task: task.name):
            for rows in rows_in_batches(
                f"""SELECT * REPLACE (
                        CASE WHEN wrote THEN md5(pair_id || input) ELSE pair_id END AS pair_id),
                        refused = '' AND confidence >= {task.min_confidence} AS kept,
                        NULL AS reviewed
                    FROM answered ORDER BY pair_id""",
                answered=folder / "asked" / f"{task.name}.parquet",
            ):
                write(rows)


def _facts(
    table: Path,
    dataset: Path,
    tasks: Sequence[Task],
    increments: Sequence[Increment],
    not_written: dict[str, str],
    reviewed: ReviewFacts,
) -> TeacherAnswersFacts:
    size = one_row("SELECT count(*) AS n, count(*) FILTER (kept) AS kept FROM t", t=table)
    origins = counts(
        f"""SELECT task || ':' || origin, count(*) FROM (
                SELECT task, origin FROM t WHERE kept
                UNION ALL SELECT task, origin FROM dataset
                WHERE split = 'train' AND response IS NOT NULL
                    AND task IN ({quoted(t.name for t in tasks)}))
            GROUP BY ALL ORDER BY 1""",
        t=table,
        dataset=dataset,
    )
    shares: dict[str, dict[str, float]] = {}
    for task in tasks:
        found = {o: origins.get(f"{task.name}:{o}", 0) for o in ("gold", "teacher")}
        total = max(1, sum(found.values()))
        shares[task.name] = {origin: n / total for origin, n in found.items()}
    return TeacherAnswersFacts(
        digest=table_digest(table, ("pair_id", "response"), "kept"),
        asked=size["n"],
        kept=size["kept"],
        dropped=counts(
            f"""SELECT task || ': ' || coalesce(nullif(refused, ''), '{UNSURE}'), count(*)
                FROM t WHERE NOT kept GROUP BY ALL ORDER BY 1""",
            t=table,
        ),
        shares=shares,
        mean_confidence={
            row["task"]: row["mean"]
            for row in query(
                "SELECT task, avg(confidence) AS mean FROM t GROUP BY task ORDER BY task", t=table
            ).to_pylist()
        },
        not_written=not_written,
        computed=sum(i.computed for i in increments),
        reused=sum(i.reused for i in increments),
        **vars(reviewed),
    )


def _refuse_nonsense(facts: TeacherAnswersFacts, table: Path, tasks: Sequence[Task]) -> None:
    for task in tasks:
        found = one_row(
            f"""SELECT count(*) AS n, count(*) FILTER (kept) AS kept, avg(confidence) AS confidence
                FROM t WHERE task = {quoted([task.name])}""",
            t=table,
        )
        if found["n"] >= ENOUGH_TO_JUDGE and found["kept"] < LEAST_KEPT * found["n"]:
            reasons = [
                f"{n} {why}" for why, n in facts.dropped.items() if why.startswith(f"{task.name}: ")
            ]
            raise UserError(
                f"task {task.name}: of {found['n']:,} answers of the teacher {found['kept']} are "
                f"worth learning from (mean confidence {found['confidence']:.2f}; "
                f"{'; '.join(reasons)})",
                remedy="take a stronger teacher, adapt it (`teachers[].adapt`), lower "
                "`tasks[].min_confidence`, or set `tasks[].unlabelled: ignore`.",
            )
