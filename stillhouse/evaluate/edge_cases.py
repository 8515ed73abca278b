"""Models on edge cases, side by side: what each answers, kept so that each input is asked once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from stillhouse.config.dataset import Task
from stillhouse.config.proof import EdgeCases
from stillhouse.evaluate.edge_file import OWN
from stillhouse.evaluate.kept import Known, read_kept, write_kept
from stillhouse.evaluate.predictions import Answers
from stillhouse.evaluate.together import Lack, fill
from stillhouse.metrics.classification import wilson_interval
from stillhouse.metrics.paired import mcnemar_exact
from stillhouse.metrics.selective import MISTAKEN, lower_bound, separation
from stillhouse.storage.files import digest
from stillhouse.tasks.common import Answered, Kind, Row, rows_of
from stillhouse.tasks.edge_cases import EXPECTS, EdgeCase, Edges, failed, generated
from stillhouse.tasks.kinds import edges_of, open_tasks
from stillhouse.tasks.results import shipped
from stillhouse.tasks.running import Runner
from stillhouse.tasks.samples import NOTHING
from stillhouse.tasks.sections import Answer, Sample, SampleGroup
from stillhouse.wording import plain_lines, shortened

# An answer that is written out costs as much as many that are chosen: so many fewer are asked for.
WRITTEN_SHARE = 3
# A token is seldom longer; with so many more, no model reads all of a text.
CHARACTERS_A_TOKEN = 8
# White space that is no single space, and how it is shown where it is all that was changed.
GAP, MARKS = re.compile(r"\s{2,}|[^\S ]"), {" ": "␣", "\n": "⏎", "\t": "⇥"}
MOST_EXAMPLES, LONGEST_EXAMPLE = 3, 300
ASKED_MODELS = ("teacher", "student", "student_quantized")


@dataclass
class TaskCases:
    """The cases of one task, and what models answered: by model, input -> answer. `inside` are the
    confidences of each model on the test split."""

    kind: Kind
    edges: Edges
    cases: list[EdgeCase]
    answers: dict[str, dict[str, Answered]] = field(default_factory=dict)
    inside: dict[str, list[float]] = field(default_factory=dict)


def plan(
    dataset: Path,
    tasks: Sequence[Task],
    how: EdgeCases,
    own: Mapping[str, Sequence[EdgeCase]],
    *,
    max_tokens: int,
) -> dict[str, TaskCases]:
    """What is to be asked of each task: cases made of its test pairs, and the project's `own`."""
    found = {}
    for kind in open_tasks(dataset, tasks):
        name = kind.task.name
        training = _rows(dataset, name, "train")
        if not training:  # all that it learns from, a teacher answers
            continue
        edges, rows = edges_of(kind, training), _rows(dataset, name, "test")
        most = how.per_kind if kind.countable else -(-how.per_kind // WRITTEN_SHARE)
        beyond = CHARACTERS_A_TOKEN * max_tokens
        made = generated(edges, rows, per_kind=most, seed=how.seed, beyond=beyond) if most else []
        found[name] = TaskCases(kind, edges, [*made, *own.get(name, ())])
    return found


def _rows(dataset: Path, task: str, split: str) -> list[Row]:
    return [row for batch in rows_of(dataset, task, split) for row in batch]


def ask_cases(
    planned: Mapping[str, TaskCases],
    store: Path,
    model: str,
    runner: Runner,
    answers: Mapping[str, Answers],
    calibrations: Mapping[str, Any],
    *,
    model_digest: str,
) -> None:
    """Let one model answer the cases, into `planned`; `answers` are its predictions of test pairs.

    `store`, a Parquet file, keeps what was answered by content of model and input: another student
    of the same teacher asks it nothing again.
    """
    own = {name: task for name, task in planned.items() if name in answers}
    fill(runner, cases_lacking(own, store, runner, model_digest=model_digest))
    known = read_kept(store, "key")
    kept: Known = {}
    for name, task in own.items():
        inputs = _inputs(runner, task)
        predicted = dict(zip(inputs, answers[name].predictions, strict=True))
        keys = _keys(runner, task, inputs, model_digest)
        kept |= {(name, key): known[name, key] for key in keys.values()}
        predicted |= {text: json.loads(known[name, key][1]) for text, key in keys.items()}
        texts = list(predicted)
        answered = task.kind.answers(
            texts, [predicted[text] for text in texts], calibrations.get(name)
        )
        task.answers[model] = dict(zip(texts, answered, strict=True))
        task.inside[model] = [task.edges.confidence(task.answers[model][text]) for text in inputs]
    others = {key: found for key, found in known.items() if key[0] not in planned}
    write_kept(store, others | kept, "key")


def cases_lacking(
    planned: Mapping[str, TaskCases], store: Path, runner: Runner, *, model_digest: str
) -> list[Lack]:
    """What `ask_cases` would ask; of an input that a test pair has, the answer is there."""
    known, found = read_kept(store, "key"), []
    for name, task in planned.items():
        keys = _keys(runner, task, _inputs(runner, task), model_digest)
        pairs = _texts(task)
        missing = {text: key for text, key in keys.items() if (name, key) not in known}
        rows = [_row(task.kind, text, pairs[text]) for text in missing]
        found.append(Lack(task.kind, rows, partial(_keep, store, name, rows, missing)))
    return found


def _inputs(runner: Runner, task: TaskCases) -> list[str]:
    return [row["input"] for row in _rows(runner.dataset, task.kind.task.name, "test")]


def _texts(task: TaskCases) -> dict[str, str]:
    """What the cases ask, each text once, with the test pair that it comes from."""
    found: dict[str, str] = {}
    for case in task.cases:
        for text in filter(None, (case.of, case.text)):
            found.setdefault(text, case.pair_id)
    return found


def _keys(
    runner: Runner, task: TaskCases, inputs: Iterable[str], model_digest: str
) -> dict[str, str]:
    """By text what an answer hangs on, of those that no test pair asks."""
    settings, asked = task.kind.task, set(inputs)
    what = [model_digest, runner.asks(task.kind), settings.kind, task.kind.meaning]
    what += [settings.name, settings.instruction]
    return {text: digest(*what, text) for text in _texts(task) if text not in asked}


def _keep(
    store: Path,
    task: str,
    rows: Sequence[Row],
    keys: Mapping[str, str],
    answers: Sequence[Any],
    seconds: float,  # noqa: ARG001 - how fast a model is, is measured on test pairs
) -> None:
    new = {
        (task, keys[row["input"]]): (row["pair_id"], json.dumps(answer))
        for row, answer in zip(rows, answers, strict=True)
    }
    write_kept(store, read_kept(store, "key") | new, "key")


def _row(kind: Kind, text: str, pair_id: str) -> Row:
    asked = {"instruction": kind.task.instruction, "input": text, "response": "", "label": None}
    return {"pair_id": pair_id, **asked}


def results(task: TaskCases) -> dict[str, Any]:
    """What came of it, JSON values: by kind and model how many fail, with 95 % intervals (Wilson);
    whether the shipped model fails more often than its teacher; and how well confidence tells test
    texts from texts that the task isn't for."""
    kinds: dict[str, dict[str, Any]] = {}
    for case, outcome in _outcomes(task):
        row = kinds.setdefault(
            _name(case), {"expect": EXPECTS[case.expect], "own": case.own, "n": 0, "failed": {}}
        )
        row["n"] += 1
        for model, bad in outcome.items():
            row["failed"][model] = row["failed"].get(model, 0) + bad
    for row in kinds.values():
        row["ci"] = {m: list(wilson_interval(k, row["n"])) for m, k in row["failed"].items()}
    return {
        "kinds": kinds,
        "out_of_scope": _out_of_scope(task),
        "against_teacher": _against_teacher(task),
    }


def _name(case: EdgeCase) -> str:
    return f"{case.kind} (own)" if case.own and case.kind != OWN else case.kind


def _outcomes(task: TaskCases) -> Iterable[tuple[EdgeCase, dict[str, bool]]]:
    """Each case that can fail, and which models do."""
    for case in task.cases:
        if case.expect == "out_of_scope":
            continue
        yield (
            case,
            {
                model: failed(case, task.edges, said[case.text], said[case.of] if case.of else None)
                for model, said in task.answers.items()
            },
        )


def _out_of_scope(task: TaskCases) -> dict[str, Any]:
    outside = [case.text for case in task.cases if case.expect == "out_of_scope"]
    if not outside:
        return {}
    return {
        model: asdict(
            separation(task.inside[model], [task.edges.confidence(said[text]) for text in outside])
        )
        for model, said in task.answers.items()
    }


def _against_teacher(task: TaskCases) -> dict[str, Any] | None:
    model = shipped(task.answers)
    outcomes = [found for _, found in _outcomes(task)]
    if model is None or "teacher" not in task.answers or not outcomes:
        return None
    test = mcnemar_exact([not x[model] for x in outcomes], [not x["teacher"] for x in outcomes])
    return {
        "n": test.n,
        "failed": sum(x[model] for x in outcomes),
        "failed_teacher": sum(x["teacher"] for x in outcomes),
        "p_value": test.p_value,
        "significant": test.significant,
    }


def samples(task: TaskCases, names: Mapping[str, str]) -> list[SampleGroup]:
    """Of each kind some cases that the shipped model fails, in the masked form that it saw."""
    model = shipped(task.answers)
    by_kind: dict[str, list[tuple[EdgeCase, dict[str, bool]]]] = {}
    for case, outcome in _outcomes(task):
        if model is not None and outcome[model]:
            by_kind.setdefault(_name(case), []).append((case, outcome))
    return [
        SampleGroup(
            f"Edge cases that fail: {kind}",
            len(found),
            [_sample(task, names, *one) for one in found[:MOST_EXAMPLES]],
        )
        for kind, found in by_kind.items()
    ]


def _sample(
    task: TaskCases, names: Mapping[str, str], case: EdgeCase, outcome: Mapping[str, bool]
) -> Sample:
    wanted = EXPECTS[case.expect]
    if case.answer is not None:
        wanted = case.answer[1] or case.answer[0]
    given = [
        Answer(
            names.get(model, model),
            "\n".join(
                _shown(said[text]) + note
                for text, note in ((case.of, " (as it was)"), (case.text, ""))
                if text is not None
            ),
            said[case.text].confidence,
            not outcome[model],
        )
        for model, said in task.answers.items()
    ]
    return Sample(shortened(_asked(case), LONGEST_EXAMPLE), wanted, given)


def _asked(case: EdgeCase) -> str:
    """The text as it is shown: where nothing but gaps was changed, with marks for what they are."""
    if case.of is None or case.text.split() != case.of.split():
        return plain_lines(case.text)
    marked = GAP.sub(lambda gap: "".join(MARKS.get(c, MARKS[" "]) for c in gap[0]), case.text)
    return plain_lines(marked)


def _shown(said: Answered) -> str:
    return shortened(plain_lines(said.label or said.response), LONGEST_EXAMPLE) or NOTHING


def too_many(values: Mapping[str, Any], limit: float) -> list[str]:
    """Kinds of which the shipped model surely fails more than a share of `limit`: so surely that
    among all kinds together one is named wrongly at most 5 times in 100 (Bonferroni)."""
    kinds, found = values["kinds"], []
    for kind, row in kinds.items():
        model = shipped(row["failed"])
        if model is None:
            continue
        low = lower_bound(row["failed"][model], row["n"], mistaken=MISTAKEN / len(kinds))
        if low > limit:
            found.append(kind)
    return found
