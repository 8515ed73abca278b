"""Models on edge cases, a project's own, and test sets that say little, up to the report."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.dataset import ClassificationTask
from stillhouse.config.proof import EdgeCases
from stillhouse.config.student import Gates
from stillhouse.errors import UserError
from stillhouse.evaluate.cascade import cascade
from stillhouse.evaluate.edge_cases import TaskCases, ask_cases, plan, results, samples, too_many
from stillhouse.evaluate.edge_file import FILE, file_digest, read_cases
from stillhouse.evaluate.side_by_side import Candidate, _alike, side_by_side
from stillhouse.evaluate.trust import all_worth, served
from stillhouse.report.assemble import make_report
from stillhouse.report.results import ModelResult
from stillhouse.report.summary import markdown_of
from stillhouse.storage.tables import read_table
from stillhouse.tasks.common import Answered
from stillhouse.tasks.edge_cases import EdgeCase
from stillhouse.tasks.kinds import open_tasks
from stillhouse.tasks.running import Runner

MODELS = ("teacher", "student", "student_quantized")


def also(planned: dict[str, TaskCases], c: Candidate, runner: Runner, *rest: Any) -> None:
    store = c.store.with_stem(f"{c.store.stem}.edge_cases")
    ask_cases(planned, store, c.name, runner, *rest, model_digest=c.digest)


@pytest.fixture
def report(
    tiny_teacher: Path, routing: ClassificationTask, tmp_path: Path
) -> Callable[..., dict[str, Any]]:
    """All that a report asks and says of a dataset; its three models have the same weights."""

    def call(dataset: Path, per_kind: int = 1, own: Any = None) -> dict[str, Any]:
        planned = plan(dataset, [routing], EdgeCases(per_kind=per_kind), own or {}, max_tokens=64)
        candidates = [
            Candidate(m, tiny_teacher, "one", 10, 20, 64, tmp_path / f"{m}.parquet") for m in MODELS
        ]
        found = side_by_side(dataset, [routing], candidates, partial(also, planned))
        worth = all_worth(found.scored, found.before, found.validation, found.families, 0.9)
        for of in worth.values():
            for model, values in of.items():
                values["fitted"] = served(found.calibrations[model]["routing"], values)
        held = [found.validation[m]["routing"] for m in ("student_quantized", "teacher")]
        pair = cascade(
            found.scored["student_quantized"]["routing"],
            found.scored["teacher"]["routing"],
            (held[0], held[1]),
            found.families["routing"],
            cost_ratio=0.1,
            threshold=None,
        )
        edges = {}
        for name, task in planned.items():
            values = results(task)
            edges[name] = {**values, "limit": 0.2, "too_many": too_many(values, 0.2)}
        proof = {
            "test_sets": found.test_sets,
            "calibration": worth,
            "cascade": {"routing": pair},
            "edge_cases": edges,
        }
        make_report(
            folder=tmp_path / "report",
            project="p",
            student="s",
            teacher_version="t",
            kinds={"routing": "classification"},
            results=[
                ModelResult(m, 10, 20, answers)
                if m in MODELS
                else ModelResult(m, None, None, answers)
                for m, answers in found.scored.items()
            ],
            sections=found.sections,
            limits=Gates(),
            learning_curve=[],
            provenance={},
            families=found.families,
            proof=proof,
            more={name: samples(task, {}) for name, task in planned.items()},
        )
        return json.loads((tmp_path / "report" / "evaluation.json").read_text())

    return call


def test_models_are_asked_once_and_shown_side_by_side(
    report: Callable[..., Any],
    routing_dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = report(routing_dataset, 2)
    edges = found["edge_cases"]["routing"]
    assert {"typos", "very long", "injection", "negation"} <= set(edges["kinds"])
    for row in edges["kinds"].values():
        assert set(row["failed"]) == set(MODELS)
        assert len(set(row["failed"].values())) == 1  # the same weights
    assert edges["against_teacher"]["p_value"] == 1
    assert 0 <= edges["out_of_scope"]["student"]["auroc"] <= 1
    page = (tmp_path / "report" / "report.html").read_text()
    summary = markdown_of(tmp_path / "report")
    for said in ("Edge cases", "AUROC", "What this evaluation"):
        assert said in page
        assert said in summary

    def never(*_: Any) -> Any:
        raise AssertionError("asked again")

    monkeypatch.setattr(Runner, "predict", never)
    assert report(routing_dataset, 2) == found
    # What comes of a pair can go with it; what no pair gave names none.
    kept = read_table(tmp_path / "teacher.edge_cases.parquet")["pair_id"].to_pylist()
    assert "" in kept
    assert all(pair.startswith("test-") for pair in kept if pair)


DEGENERATE = {
    "three examples": "3 test examples tell little",
    "one class": "All test examples have the same answer",
    "unseen labels": "has an answer that no training example has",
    "duplicates": "have the text of a training example",
}


@pytest.mark.parametrize("what", DEGENERATE)
def test_a_report_says_what_its_test_set_cannot(
    what: str,
    report: Callable[..., Any],
    routing_pairs: list[dict[str, Any]],
    write_dataset: Callable[..., Path],
    tmp_path: Path,
) -> None:
    test = [dict(r) for r in routing_pairs if r["split"] == "test"]
    if what == "three examples":
        test = test[:3]
    if what == "one class":
        test = [r for r in test if r["label"] == "hardware"]
    if what == "unseen labels":
        test[0] |= {"label": "legal", "response": "<|routing:legal|>"}
    if what != "duplicates":
        test = [r | {"input": f"{r['input']} And more."} for r in test]
    rest = [r for r in routing_pairs if r["split"] != "test"]
    found = report(write_dataset(tmp_path / "d", [*rest, *test]))
    summary = markdown_of(tmp_path / "report")
    assert DEGENERATE[what] in summary
    others = {k: v for k, v in DEGENERATE.items() if k not in (what, "three examples")}
    assert not [said for said in others.values() if said in summary]
    assert "too few" in summary
    assert found["cascade"]["routing"]["recommended"] is None
    gate = next(g for g in found["gates"] if g["name"] == "calibrated")
    assert not (gate["passed"] and gate["proven"])
    assert DEGENERATE[what] in (tmp_path / "report" / "report.html").read_text()


def read(root: Path, kinds: Any, *lines: Any) -> Any:
    texts = [x if isinstance(x, str) else json.dumps(x) for x in lines]
    (root / FILE).write_text("\n".join(texts), encoding="utf-8")
    return read_cases(root, kinds, ["routing", "other"], lambda text, _: text.replace("Ann", "N"))


def test_a_projects_own_cases_are_masked_and_counted_apart(
    report: Callable[..., Any], routing: ClassificationTask, routing_dataset: Path, tmp_path: Path
) -> None:
    kinds = open_tasks(routing_dataset, [routing])
    assert file_digest(tmp_path) == "none"
    own = read(
        tmp_path,
        kinds,
        {"task": "routing", "text": "Ann was charged.", "answer": "billing", "kind": "names"},
        {"task": "routing", "text": "Bill?", "expect": "same_as", "as": "Where is my bill?"},
        {"task": "routing", "text": "How tall is it?", "expect": "out_of_scope"},
        {"task": "other", "text": "left out", "answer": "x"},
        "",
    )
    assert [case.text for case in own["routing"]] == ["N was charged.", "Bill?", "How tall is it?"]
    assert file_digest(tmp_path) != "none"
    kinds_found = report(routing_dataset, 0, own)["edge_cases"]["routing"]["kinds"]
    assert {name: row["n"] for name, row in kinds_found.items()} == {
        "names (own)": 1,
        "own": 1,
    }


def test_bad_lines_are_told_by_number_without_what_they_say(
    routing: ClassificationTask, routing_dataset: Path, tmp_path: Path
) -> None:
    kinds = open_tasks(routing_dataset, [routing])
    bad = [
        "SECRET",
        {"task": "SECRET", "text": "x", "answer": "billing"},
        {"task": "routing", "text": "x", "answer": "SECRET"},
        {"task": "routing", "text": "x"},
        {"task": "routing", "text": "x", "expect": "SECRET"},
        {"task": "routing", "text": "x", "expect": "same_as"},
        {"task": "routing", "text": "", "answer": "billing"},
        {"task": "routing", "text": "x", "answer": "billing", "SECRET": 1},
        {"task": "routing", "text": "x", "answer": "billing", "kind": "<SECRET>"},
        {"task": "routing", "text": ["x"], "answer": "billing"},
    ]
    with pytest.raises(UserError) as told:
        read(tmp_path, kinds, {"task": "routing", "text": "x", "answer": "billing"}, *bad)
    message = told.value.message
    assert all(f"{FILE}:{number}: " in message for number in range(2, 10))
    assert "and 2 more lines" in message
    assert "SECRET" not in f"{message} {told.value.remedy}"
    (tmp_path / FILE).write_bytes(b"\xff\xfe{")
    with pytest.raises(UserError, match="can't be read as UTF-8"):
        read_cases(tmp_path, kinds, ["routing"], lambda text, _: text)


def test_one_failure_is_not_too_many() -> None:
    def row(failed: int, n: int) -> dict[str, Any]:
        return {"failed": {"student_quantized": failed}, "n": n}

    kinds = {"a": row(1, 1), "b": row(3, 3), "c": row(8, 10), "d": row(3, 10), "e": row(0, 10)}
    assert too_many({"kinds": kinds}, 0.2) == ["b", "c"]
    more = kinds | {str(i): row(0, 5) for i in range(10)}
    assert too_many({"kinds": more}, 0.2) == ["c"]


def test_a_sample_whose_gaps_alone_were_changed_shows_them(
    routing: ClassificationTask, routing_dataset: Path
) -> None:
    (task,) = plan(routing_dataset, [routing], EdgeCases(per_kind=2), {}, max_tokens=64).values()
    task.cases.append(EdgeCase("tabs", "a\tb\n\nc d", "same_as", of="a b c d", own=True))
    before = {case.of for case in task.cases}
    texts = {text for case in task.cases for text in (case.text, case.of) if text}
    task.answers["student_quantized"] = {
        text: Answered("", "billing" if text in before else "hardware", 0.5) for text in texts
    }
    shown = {g.title.split(": ")[1]: [s.text for s in g.samples] for g in samples(task, {})}
    assert shown["white space"] and all("␣␣" in text for text in shown["white space"])
    assert shown["tabs (own)"] == ["a⇥b⏎⏎c d"]
    assert shown["typos"] and not any("␣" in text for text in shown["typos"])


def test_models_that_answer_all_pairs_alike_are_named(
    routing: ClassificationTask, routing_dataset: Path
) -> None:
    (kind,) = open_tasks(routing_dataset, [routing])
    gold = ["billing", "hardware", "hardware"]
    scored = {
        "teacher": kind.score(gold, [[0.9, 0.1], [0.2, 0.8], [0.2, 0.8]]),
        "student": kind.score(gold, [[0.4, 0.6], [0.2, 0.8], [0.3, 0.7]]),
    }
    assert _alike(scored) == ["student"]
    assert _alike({"student": kind.score(gold[:1], [[0.4, 0.6]])}) == []
