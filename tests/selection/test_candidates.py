"""Candidate teachers: who is asked, what is kept, in which order they stand."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.project import Project, load_project
from stillhouse.selection import candidates
from stillhouse.selection.candidates import compare_teachers
from stillhouse.selection.languages import stated_languages
from stillhouse.selection.machine import Machine
from stillhouse.selection.rows import FEW, UNABLE, ZERO, Asked, Candidate, read_candidates
from stillhouse.selection.shown import plot_of, refused_table, rows_of, table_of
from stillhouse.shapes import Where
from stillhouse.state import State
from stillhouse.steps import STEPS

PROJECT = """
name: small
sources: [{name: tickets, path: t.jsonl, kind: records, fields: {text: body, label: queue}}]
tasks: [{name: routing, kind: classification, sources: [tickets]}]
teachers:
  - {version: t-1, model: one, license: MIT, prompt: {shots: 2}}
  - {version: t-2, model: two, license: Apache-2.0, prompt: {shots: 2}}
  - {version: closed, model: closed, license: GPL-3.0-only}
  - {version: gone, model: gone, license: MIT}
students: [{name: router, tasks: [routing], init: {layers: 2}}]
"""


@pytest.fixture
def project(tmp_path: Path, tiny_base: Path) -> Project:
    for name in ("one", "two", "closed"):
        shutil.copytree(tiny_base, tmp_path / name)
    card = "---\nlanguage: [en, de, '<script>']\n---\n"
    (tmp_path / "two" / "README.md").write_text(card)
    (tmp_path / "stillhouse.yaml").write_text(PROJECT)
    return load_project(tmp_path)


def compared(project: Project, dataset: Path, memory: int = 1 << 40, **digests: str) -> Any:
    table = project.root / "table.parquet"
    content = {"t-1": "one", "t-2": "two", **digests}
    machine = Machine("a machine", memory, 0, 4, gpu=False)
    facts = compare_teachers(project, dataset, "pairs", content, table, lambda: machine)
    return facts, {one.version: one for one in read_candidates(table)}


def test_candidates_are_asked_both_ways_and_the_refused_never(
    project: Project, routing_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[Path] = []
    original = candidates.shape_of
    monkeypatch.setattr(
        candidates, "shape_of", lambda model, at: opened.append(at) or original(model, at)
    )
    facts, found = compared(project, routing_dataset)
    assert [path.name for path in opened] == ["one", "two"]
    assert facts.refused == ["closed"] and facts.unable == ["gone"]
    assert "GPL-3.0-only" in found["closed"].reason and not found["closed"].asked
    for version in ("t-1", "t-2"):
        one = found[version]
        assert [(a.task, a.how, a.n) for a in one.asked] == [
            ("routing", ZERO, 5), ("routing", FEW, 5)
        ]  # fmt: skip
        assert all(a.low <= a.score <= a.high for a in one.asked)
        assert one.fits and one.labelling > one.parameters * 4
    # The same weights answer alike: the one whose makers state languages stands first.
    assert list(found) == ["t-2", "t-1", "gone", "closed"]
    assert found["t-2"].languages == ("de", "en") and facts.best == "t-2"
    assert "| closed" in (refused_table(list(found.values())) or "")
    assert table_of(list(found.values())).count("GPL-3.0-only: refused") == 1
    assert (plot_of(list(found.values())) or "").startswith("![Candidates")


def test_only_what_is_new_costs(
    project: Project, routing_dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts, before = compared(project, routing_dataset)
    assert facts.asked == ["t-1", "t-2"] and facts.reused == 0
    again, after = compared(project, routing_dataset)
    assert again.asked == [] and again.reused == 2 and again.digest == facts.digest
    assert after == before
    changed, _ = compared(project, routing_dataset, **{"t-2": "other weights"})
    assert changed.asked == ["t-2"] and changed.reused == 1


def test_what_does_not_fit_is_not_run_but_told(project: Project, routing_dataset: Path) -> None:
    facts, found = compared(project, routing_dataset, memory=1000)
    assert facts.asked == [] and facts.best is None
    said = refused_table(list(found.values())) or ""
    assert said.count("more memory than there is") == 2


def test_the_order_is_licence_score_size_languages() -> None:
    def one(version: str, score: float, **values: Any) -> Candidate:
        asked = (Asked("routing", FEW, "accuracy", 9, score, None, None, []),)
        usual = {"memory": 10, "labelling": 5, "serving": 5}
        return Candidate(version, "allowed", "MIT", asked=asked, **{**usual, **values})

    ranked = [
        one("best", 0.9, labelling=50),
        one("fits", 0.504),
        one("more-languages", 0.501, labelling=7, languages=("de", "en")),
        one("fewer-languages", 0.503, labelling=7),
        one("too-large", 0.504, labelling=50),
        replace(one("unable", 1.0), verdict=UNABLE),
    ]
    shuffled = [ranked[i] for i in (4, 2, 5, 0, 3, 1)]
    assert sorted(shuffled, key=candidates._order) == ranked


def test_what_is_asked_is_its_recipe_and_nobody_misses_it(project: Project) -> None:
    def settings(old: str, new: str) -> dict[str, Any]:
        (project.root / "stillhouse.yaml").write_text(PROJECT.replace(old, new))
        return STEPS["teacher_comparison"].settings(Where(load_project(project.root)))

    before = settings("", "")
    for old, new in (
        ("{shots: 2}", "{shots: 1}"),
        ("license: GPL", "license: LGPL"),
        ("init: {layers: 2}", "init: {layers: 1}"),
        ("sources: [tickets]}", "sources: [tickets], classes: {billing: invoices}}"),
    ):
        assert settings(old, new) != before, old
    assert settings("teachers:", "review: {pairs: 9}\nteachers:") == before
    names = [artefact.name for artefact in State(project).artefacts()]
    assert "teacher_comparison" not in names


def test_cards_are_untrusted(tmp_path: Path) -> None:
    for text, said in (
        ("---\nlanguage: en\n---\n", ["en"]),
        ("---\nlanguage: [zh, pt-BR, 5, '](x)']\n---\n", ["pt-BR", "zh"]),
        ("---\nlanguage: [\n---\n", []),
        ("no card", []),
    ):
        (tmp_path / "README.md").write_text(text)
        assert stated_languages(tmp_path) == said
    assert rows_of([Candidate("v", "refused", "GPL")])[0][0] == "v"
