"""What people say of models' outputs: blind, one output at a time, and how far they agree.

Outputs of student and teacher lie on the page among each other, in an order that a seed decides and
that tells nothing; where both say the same it is one output. They are judged as pairs are reviewed
(dataset/review), under ids of their own that are of content.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.dataset.review.filled_in import ACCEPT, Row, read_reviews
from stillhouse.evaluate.predictions import kept
from stillhouse.metrics.agreement import (
    Preference,
    cohens_kappa,
    krippendorffs_alpha,
    preference,
)
from stillhouse.metrics.spans import Estimate, wilson
from stillhouse.storage.files import digest
from stillhouse.tasks.common import Answered, rows_of
from stillhouse.tasks.results import shipped

# What ids of outputs begin with where people see them.
OUTPUT = "output"
PAGE = "outputs.html"
SPLIT = "test"
TEACHER = "teacher"


@dataclass(frozen=True)
class Output:
    """An answer to the held-out pair `pair`. `models` are those that gave it, each with whether the
    automatic metric finds it right; `label` is its class, or `answer` its words."""

    id: str
    pair: str
    task: str
    instruction: str
    input: str
    label: str | None
    answer: str | None
    models: Mapping[str, bool]

    def shown(self) -> dict[str, str | None]:
        """As the review page takes it: nothing in it tells whose it is."""
        said = {name: getattr(self, name) for name in ("task", "instruction", "input")}
        told = {"pair_id": self.id, "label": self.label, "answer": self.answer}
        return {**dict.fromkeys(("source", "confidentiality", "confidence")), **said, **told}


@dataclass(frozen=True)
class Graded:
    """What was said of a task's outputs. `accepted` is by model the share of its outputs that
    people accept, with its interval; `preferred` counts texts of which both outputs were judged.
    `alpha` is how far people agree, over `read_twice` outputs, `kappa` how far they do with the
    automatic metric, over `judged`."""

    task: str
    judged: int
    reviewers: int
    accepted: dict[str, Estimate]
    preferred: Preference
    read_twice: int
    alpha: Estimate | None
    kappa: Estimate | None


def outputs(
    dataset: Path, tasks: Sequence[Task], stores: Mapping[str, Path], texts: int, seed: int
) -> list[Output]:
    """Of each task `texts` held-out pairs, always the same ones, with what each model of `stores`
    (where its answers to the split are kept) said; shuffled.

    Raises `UserError` where a model was not asked yet.
    """
    found: list[Output] = []
    answers = {model: kept(dataset, tasks, SPLIT, store) for model, store in stores.items()}
    for task in tasks:
        rows = [row for batch in rows_of(dataset, task.name, SPLIT) for row in batch]
        chosen = sorted(range(len(rows)), key=lambda i: _hash(rows[i]["pair_id"]))[:texts]
        said = {}
        for model, by_task in answers.items():
            one = by_task[task.name]
            answered = one.kind.answers([row["input"] for row in rows], one.predictions)
            said[model] = (answered, one.scored().right)
        for i in chosen:
            by_answer: dict[tuple[str | None, str | None], dict[str, bool]] = defaultdict(dict)
            for model, (answered, right) in said.items():
                by_answer[_told(answered[i])][model] = bool(right[i])
            about = (rows[i]["pair_id"], task.name, task.instruction, rows[i]["input"])
            for told, models in by_answer.items():
                found.append(Output(digest(about[1:], told), *about, *told, models))
    return sorted(found, key=lambda one: _hash(f"{seed} {one.id}"))


def _told(answered: Answered) -> tuple[str | None, str | None]:
    """A class, or an answer in words or JSON."""
    if answered.label is not None:
        return answered.label, None
    if answered.value is not None:
        return None, json.dumps(answered.value, ensure_ascii=False)
    return None, answered.response


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def graded(found: Sequence[Output], rows: Iterable[Row]) -> list[Graded]:
    """What the rows of people's files say of these outputs, by task; rows of others don't count.

    Of several verdicts on an output the strictest counts, as on pairs.
    """
    said: dict[str, dict[str, bool]] = defaultdict(dict)
    for row in rows:
        if row.pair_id.startswith(f"{OUTPUT}-"):
            by = said[row.pair_id.removeprefix(f"{OUTPUT}-")]
            by[row.reviewer] = by.get(row.reviewer, True) and row.verdict == ACCEPT
    tasks = dict.fromkeys(sorted(one.task for one in found))
    return [_of_task(task, [o for o in found if o.task == task], said) for task in tasks]


def said_of_outputs(
    dataset: Path, tasks: Sequence[Task], stores: Mapping[str, Path], reviews: Path
) -> dict[str, Any]:
    """By task what the files in `reviews` say of any output of the held-out pairs, as JSON values;
    tasks of which nothing was judged are left out. See `outputs` and `Graded`."""
    rows = [row for row in read_reviews(reviews)[0] if row.pair_id.startswith(f"{OUTPUT}-")]
    if not rows:
        return {}
    found = graded(outputs(dataset, tasks, stores, sys.maxsize, 0), rows)
    return {one.task: asdict(one) for one in found if one.judged}


def _of_task(task: str, found: Sequence[Output], said: Mapping[str, Mapping[str, bool]]) -> Graded:
    judged = [one for one in found if said.get(one.id)]
    good = {one.id: all(said[one.id].values()) for one in judged}
    by_model: dict[str, list[bool]] = defaultdict(list)
    by_pair: dict[str, dict[str, bool]] = defaultdict(dict)
    for one in judged:
        for model in one.models:
            by_model[model].append(good[one.id])
            by_pair[one.pair][model] = good[one.id]
    student = shipped(by_model) or ""
    both = [by for by in by_pair.values() if {student, TEACHER} <= by.keys()]
    twice = [list(said[one.id].values()) for one in judged if len(said[one.id]) > 1]
    return Graded(
        task=task,
        judged=len(judged),
        reviewers=len({reviewer for one in judged for reviewer in said[one.id]}),
        accepted={model: _share(verdicts) for model, verdicts in sorted(by_model.items())},
        preferred=preference([(by[student], by[TEACHER]) for by in both]),
        read_twice=len(twice),
        alpha=krippendorffs_alpha(twice),
        kappa=cohens_kappa(
            [(str(good[one.id]), str(all(one.models.values()))) for one in judged]
        ),
    )  # fmt: skip


def _share(verdicts: Sequence[bool]) -> Estimate:
    share = sum(verdicts) / len(verdicts)
    return Estimate(share, *wilson(share, len(verdicts)))
