"""The A/B test of a student: from traffic to looks, task by task.

What texts say stands in the tables of answers alone, masked; facts and record are numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.code_of_parts import code_version
from stillhouse.config.dataset import Task
from stillhouse.config.monitor import AbTest
from stillhouse.errors import UserError
from stillhouse.facts import AbTaskFacts, AbTestFacts
from stillhouse.metrics.paired import mcnemar_exact, paired_bootstrap
from stillhouse.monitor.ab.asked import Kept, Side
from stillhouse.monitor.ab.looks import LEAST, OPEN, due, look, needed, verdict_of
from stillhouse.monitor.ab.metric import by_release
from stillhouse.monitor.ab.record import Record
from stillhouse.monitor.ab.sample import (
    REQUESTS,
    Sampled,
    known_requests,
    requests_schema,
    sample,
)
from stillhouse.monitor.ab.values import Compared, by_agreement, by_outcome
from stillhouse.storage.files import digest
from stillhouse.storage.tables import table_writer
from stillhouse.tasks.agreement import said_as
from stillhouse.tasks.common import Kind
from stillhouse.tasks.kinds import open_tasks

logger = logging.getLogger("stillhouse")

PRODUCTION, TEACHER, CANDIDATE = "production", "teacher", "candidate"
SAME = "the candidate is what production serves: there is nothing to compare"


@dataclass(frozen=True)
class Sides:
    """The candidate, the teacher, and what is in production, where something is: the `release`."""

    candidate: Side
    teacher: Side
    production: Side | None = None
    release: str | None = None

    def other(self, terms: AbTest) -> tuple[str, Side]:
        if terms.against == PRODUCTION and self.production is not None:
            return PRODUCTION, self.production
        return TEACHER, self.teacher


@dataclass(frozen=True)
class _Seen:
    """What a task's requests gave; `said` has both models' answers, in two rows."""

    kind: Kind
    rows: list[Sampled]
    mirrored: list[bool]
    said: tuple[list[str], list[str]]
    compared: Compared


def terms_of(terms: AbTest) -> dict[str, float]:
    """What is fixed before a test, in numbers."""
    return {n: float(getattr(terms, n)) for n in ("margin", "requests", "alpha", "power")}


def run_test(
    traffic: Path,
    dataset: Path,
    tasks: Sequence[Task],
    student: str,
    sides: Sides,
    terms: AbTest,
    folder: Path,
    before: Path,
) -> AbTestFacts:
    """Compare on what traffic there is, take a look where one is due, and write to `folder`.

    `before` is the folder of the last test, whose answers and looks go on. A task whose models
    can't be asked is left out, and why is said.
    """
    against, other = sides.other(terms)
    record, found = Record(before), []
    why: dict[str, str] = {}
    if other.model.digest == sides.candidate.model.digest:
        why[""] = SAME
    asked = {name: Kept(before, folder, name) for name in (CANDIDATE, PRODUCTION, TEACHER)}
    with table_writer(folder / REQUESTS, requests_schema()) as write:
        for task in tasks if not why else ():
            rows = sample(traffic, task.name, student, known_requests(before, task.name), terms)
            if not rows:
                continue
            try:
                seen = _seen(sides, against, dataset, task, rows, terms, asked)
            except UserError as error:
                logger.warning("A/B test of %s: %s", task.name, error.message)
                why[task.name] = error.message
                continue
            write(_table(task.name, seen))
            figures = by_release(traffic, task.name, sides.candidate.releases)
            identity = _identity(sides, against, task, terms)
            found.append(_looked(record, identity, task.name, seen, terms, len(tasks), figures))
    record.write(folder)
    return AbTestFacts(
        digest=digest([asdict(task) for task in found], why, against, terms_of(terms)),
        against=against if found else None,
        release=sides.release if found and against == PRODUCTION else None,
        measure=terms.measure,
        terms=terms_of(terms),
        tasks=found,
        why=why,
    )


def _seen(
    sides: Sides,
    against: str,
    dataset: Path,
    task: Task,
    rows: list[Sampled],
    terms: AbTest,
    asked: Mapping[str, Kept],
) -> _Seen:
    """Both models' answers: those of production where both gave one, as they were asked alike then;
    else both are asked the masked text."""
    other = sides.other(terms)[1]
    (kind,) = open_tasks(dataset, [task])
    there = [(sides.candidate.answer(row), other.answer(row)) for row in rows]
    mirrored = [against == PRODUCTION and None not in pair for pair in there]
    replayed = [row for row, known in zip(rows, mirrored, strict=True) if not known]
    # One model after the other.
    own = asked[CANDIDATE].ask(sides.candidate, dataset, task, replayed)
    others = asked[against].ask(other, dataset, task, replayed)
    both = iter(zip(own, others, strict=True))
    pairs = [
        (said_as(kind, str(pair[0])), said_as(kind, str(pair[1]))) if known else next(both)
        for pair, known in zip(there, mirrored, strict=True)
    ]
    candidate, opponent = [one for one, _ in pairs], [one for _, one in pairs]
    if terms.measure == "outcome":
        compared = by_outcome(kind, rows, candidate, opponent)
    elif against == TEACHER:
        compared = by_agreement(kind, candidate, None, opponent)
    else:
        judge = asked[TEACHER].ask(sides.teacher, dataset, task, rows)
        compared = by_agreement(kind, candidate, opponent, judge)
    return _Seen(kind, rows, mirrored, (candidate, opponent), compared)


def _identity(sides: Sides, against: str, task: Task, terms: AbTest) -> tuple[str, str]:
    """What tells this test from another one, and what its two models from others."""
    models = digest(sides.candidate.model.digest, sides.other(terms)[1].model.digest)
    judge = sides.teacher.model.digest if terms.measure == "agreement" else ""
    fixed = (terms.measure, terms.margin, terms.requests, terms.alpha, terms.seed)
    return digest(models, against, judge, task.name, *fixed, code_version("ab_test")), models


def _looked(
    record: Record,
    identity: tuple[str, str],
    task: str,
    seen: _Seen,
    terms: AbTest,
    tasks: int,
    figures: Mapping[str, float],
) -> AbTaskFacts:
    """Take a look where one is due and none has decided yet, and say what is known now."""
    compared, groups = seen.compared, [row.group for row in seen.rows]
    test = record.test(identity[0], task, identity[1])
    if test.verdict == OPEN and due(len(groups), test.looks, terms):
        new = look(compared.least, compared.most, groups, test.looks, terms, tasks)
        test.looks += [new] if new else []
        test.verdict = verdict_of(test.looks, terms)
    answers = compared.right_or_wrong
    exact = mcnemar_exact(*answers) if answers else None
    once = [
        paired_bootstrap(values, [0.0] * len(groups), groups=groups, seed=terms.seed)
        for values in (compared.least, compared.most)
    ]
    enough = once[0].groups >= LEAST
    return AbTaskFacts(
        task=task,
        verdict=test.verdict,
        looks=test.looks,
        sampled=len(groups),
        mirrored=sum(seen.mirrored),
        needed=needed(test.looks[-1], terms) if test.looks else None,
        once=[once[0].low, once[1].high] if enough else [],
        p=once[0].p_value if enough and compared.surely.all() else None,
        better=exact.only_first if exact else None,
        worse=exact.only_second if exact else None,
        p_exact=exact.p_value if exact else None,
        alike=float(compared.alike.mean()),
        unknown=float(1 - compared.surely.mean()),
        earlier=record.earlier(test),
        figures={**figures, **(_outcomes(seen) if terms.measure == "agreement" else {})},
    )


def _outcomes(seen: _Seen) -> dict[str, float]:
    """Beside agreement, what the log says of outcomes: no part of the verdict."""
    places = [i for i, row in enumerate(seen.rows) if row.gold or row.score is not None]
    if len(places) < LEAST:
        return {}
    rows = [seen.rows[i] for i in places]
    candidate, other = ([side[i] for i in places] for side in seen.said)
    found = by_outcome(seen.kind, rows, candidate, other)
    low, high = (
        paired_bootstrap(values, [0.0] * len(rows), groups=[row.group for row in rows])
        for values in (found.least, found.most)
    )
    return {"outcomes": len(rows), "outcome_low": low.low, "outcome_high": high.high}


def _table(task: str, seen: _Seen) -> list[dict[str, Any]]:
    return [
        {
            "task": task,
            "request": row.request,
            "least": float(seen.compared.least[place]),
            "most": float(seen.compared.most[place]),
            "alike": bool(seen.compared.alike[place]),
            "mirrored": seen.mirrored[place],
        }
        for place, row in enumerate(seen.rows)
    ]
