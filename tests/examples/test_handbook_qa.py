"""Passages and records of examples/handbook-qa, from a piece of the real manuals."""

import importlib.util
import json
import re
import sys
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stillhouse.config.dataset import QuestionAnsweringTask, SummarizationTask
from stillhouse.config.project import load_project

HANDBOOK = Path(__file__).parents[2] / "examples" / "handbook-qa"
EXTRACT = HANDBOOK / "extract"
MISSING = "debian-reference#_purging_removed_packages_for_good"


def load(file: str, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HANDBOOK / file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def passages() -> ModuleType:
    return load("passages.py", "passages")  # as the builder imports it


@pytest.fixture(scope="module")
def build(passages: ModuleType) -> ModuleType:
    module = load("build.py", "handbook_qa_build")
    assert module.passages_of is passages.passages_of
    return module


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    return records(HANDBOOK / "questions.jsonl")


@pytest.fixture(scope="module")
def summaries() -> list[dict[str, Any]]:
    return records(HANDBOOK / "summaries.jsonl")


def test_passages_of_both_manuals(passages: ModuleType) -> None:
    found = passages.passages_of(EXTRACT)
    assert Counter(p.section.partition("#")[0] for p in found) == {
        "debian-reference": 6,
        "developers-reference": 4,
    }
    assert len({p.key for p in found}) == 10
    by_section = {p.section: p for p in found}
    precautions = next(p for p in found if p.section.endswith("#_basic_precautions"))
    assert precautions.heading == "Basic precautions"
    # A warning is prose although DocBook lays it out as a table; what lies in a list says so.
    assert precautions.text.startswith("Do not install packages from random mixture of suites.")
    assert '\n- Do not create "/etc/apt/preferences".' in precautions.text
    # The listing between two paragraphs stands on a line of its own, the prompt included.
    purging = by_section[MISSING]
    assert "\n# aptitude search '~c'\n" in purging.text
    lintian = by_section["developers-reference#lintian"]
    assert lintian.heading == "lintian"
    assert all(50 <= len(p.text.split()) <= 150 for p in found)


def test_tables_and_what_belongs_to_other_sections_are_no_part(passages: ModuleType) -> None:
    page = (EXTRACT / "debian-reference" / "ch02.en.html").read_text(encoding="utf-8")
    assert "List of Debian package management tools" in page
    found = passages.passages_of(EXTRACT)
    assert not [p for p in found if "List of Debian package management tools" in p.text]
    # Subsections' paragraphs are theirs alone.
    whole = "\n".join(p.text for p in found)
    assert whole.count("dissects Debian packages and emits information") == 1


def test_blocks_are_joined_but_never_cut(passages: ModuleType) -> None:
    def words(n: int) -> str:
        return " ".join(["word"] * n)

    assert list(passages.cut([words(80), words(70), words(60)])) == [
        f"{words(80)}\n{words(70)}",
        words(60),
    ]
    assert list(passages.cut([words(151), words(49)])) == []
    assert list(passages.cut([])) == []


def test_a_key_is_of_the_words(passages: ModuleType) -> None:
    one = passages.Passage("m#a", "A", "Use apt, not dpkg.")
    assert one.key == passages.Passage("m#a", "B", "use  apt\nnot dpkg").key
    assert one.key != passages.Passage("m#a", "A", "Use apt, not aptitude.").key
    assert one.key != passages.Passage("m#b", "A", one.text).key


def test_manuals_that_are_missing_are_said(passages: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"no page of debian-reference; README\.md says where"):
        passages.passages_of(tmp_path)


def test_the_place_of_newer_packages_is_known(passages: ModuleType, tmp_path: Path) -> None:
    newer = tmp_path / "doc" / "debian-reference-common" / "docs"
    newer.parent.mkdir(parents=True)
    newer.symlink_to(EXTRACT / "debian-reference")
    (tmp_path / "developers-reference").symlink_to(EXTRACT / "developers-reference")
    assert passages.passages_of(tmp_path) == passages.passages_of(EXTRACT)


def test_records(build: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    build.main(["--manuals", str(EXTRACT), "--out", str(tmp_path)])
    qa, sections = records(tmp_path / "qa.jsonl"), records(tmp_path / "sections.jsonl")
    assert len(qa) == 18
    assert len({r["id"] for r in qa}) == 18
    assert all(r["answer"] in r["passage"] for r in qa)
    assert sum(not r["answer"] for r in qa) == 4
    texts = {r["text"] for r in sections}
    assert {r["passage"] for r in qa} <= texts
    assert len(sections) == 10
    assert sum("summary" in r for r in sections) == 6
    asked = next(r for r in qa if "removed but left configuration behind" in r["question"])
    assert asked["answer"] == "aptitude search '~c'"
    assert asked["id"].startswith(MISSING)

    said = capsys.readouterr().err
    assert "18 questions, 4 of them without an answer; 10 passages, 6 of them with a" in said
    # 498 questions and 166 summaries less those that are here.
    assert "160 passages; left out with them: 640 questions and summaries" in said
    before = [(tmp_path / name).read_bytes() for name in ("qa.jsonl", "sections.jsonl")]
    build.main(["--manuals", str(EXTRACT), "--out", str(tmp_path)])
    assert before == [(tmp_path / n).read_bytes() for n in ("qa.jsonl", "sections.jsonl")]


def test_an_edited_passage_takes_its_questions_along(
    build: ModuleType, passages: ModuleType, questions: list[dict], summaries: list[dict]
) -> None:
    before = passages.passages_of(EXTRACT)
    edited = [
        passages.Passage(p.section, p.heading, p.text.replace("purge", "wipe"))
        if p.section == MISSING
        else p
        for p in before
    ]
    was, now = (build.join(p, questions, summaries) for p in (before, edited))
    gone = {r["id"] for r in was.qa} - {r["id"] for r in now.qa}
    assert len(gone) == 3
    assert all(key.startswith(f"{MISSING}/") for key in gone)
    assert now.unknown_passages == was.unknown_passages + 1
    assert now.left_out == was.left_out + 4

    # Punctuation is no part of a key, but an answer with it no longer stands there.
    quoted = [
        passages.Passage(p.section, p.heading, p.text.replace("'~c'", '"~c"')) for p in before
    ]
    marked = build.join(quoted, questions, summaries)
    assert marked.unknown_passages == was.unknown_passages
    lost = [r for r in was.qa if r["id"] not in {m["id"] for m in marked.qa}]
    assert [r["answer"] for r in lost] == ["aptitude search '~c'"]


def test_nothing_of_ours_in_the_manuals_is_said(build: ModuleType, tmp_path: Path) -> None:
    page = "<div class='chapter'><h1><a id='x'></a>X</h1><p>" + "word " * 60 + "</p></div>"
    for name in ("debian-reference/ch01.en.html", "developers-reference/pkgs.html"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(page)
    with pytest.raises(SystemExit, match="none of the passages of our questions is in there"):
        build.main(["--manuals", str(tmp_path), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_what_was_written_is_what_the_readme_says(
    questions: list[dict], summaries: list[dict]
) -> None:
    readme = (HANDBOOK / "README.md").read_text(encoding="utf-8")
    by_passage = defaultdict(list)
    for question in questions:
        assert set(question) == {"passage", "question", "answer"}
        by_passage[question["passage"]].append(question)
    without = sum(not q["answer"] for q in questions)
    counts = f"{len(questions)} questions to {len(by_passage)} passages, three each; {without} have"
    assert counts in readme
    assert {len(of_one) for of_one in by_passage.values()} == {3}
    assert set(by_passage) == {s["passage"] for s in summaries}
    assert len(summaries) == len(by_passage)
    assert 0.12 < without / len(questions) < 0.2

    asked = [q["question"] for q in questions]
    assert len(set(asked)) == len(asked)
    assert all(text.endswith(("?", ".")) for text in asked)
    openings = Counter(" ".join(text.split()[:2]) for text in asked)
    assert openings.most_common(1)[0][1] < len(asked) / 10  # of no one template
    lengths = [len(q["answer"].split()) for q in questions if q["answer"]]
    assert max(lengths) <= 18
    assert all(4 <= len(s["summary"].split()) <= 25 for s in summaries)
    assert all(s["summary"].endswith(".") for s in summaries)


def test_questions_are_not_copied_from_their_passage(build: ModuleType) -> None:
    joined = build.join(
        build.passages_of(EXTRACT),
        records(HANDBOOK / "questions.jsonl"),
        records(HANDBOOK / "summaries.jsonl"),
    )
    for record in joined.qa:
        passage = " ".join(re.findall(r"\w+", record["passage"].casefold()))
        words = re.findall(r"\w+", record["question"].casefold())
        runs = [" ".join(words[i : i + 5]) for i in range(len(words) - 4)]
        assert not [run for run in runs if run in passage]


def test_the_project_file_reads_what_is_built(build: ModuleType, tmp_path: Path) -> None:
    build.main(["--manuals", str(EXTRACT), "--out", str(tmp_path / "data")])
    project = load_project(HANDBOOK)
    question, summary = project.tasks
    assert isinstance(question, QuestionAnsweringTask)
    assert isinstance(summary, SummarizationTask)
    for task in (question, summary):
        source = project.source(task.sources[0])
        assert source.fields is not None
        found = records(tmp_path / source.path)
        columns = {source.fields.text, source.fields.id, *task.columns}
        assert columns <= set().union(*found)
    assert question.grounded
    assert question.retrieval is None
    assert project.students[0].tasks == ["question", "summary"]


def test_the_extract_keeps_its_licence() -> None:
    notice = (EXTRACT / "README.md").read_text(encoding="utf-8")
    assert "Version 2, June 1991" in (EXTRACT / "COPYING").read_text(encoding="utf-8")
    for page in EXTRACT.glob("*/*.html"):
        assert page.relative_to(EXTRACT).as_posix() in notice
        head = page.read_text(encoding="utf-8")[:600]
        assert "Cut on 2026-11-24" in head
        assert "GPL, version 2 or later" in head
