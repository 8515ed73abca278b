"""What people say of a teacher's answers, put in force."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from stillhouse.config.project import Project, load_project
from stillhouse.dataset.pairs import pair_id
from stillhouse.dataset.review.sample import PAGE
from stillhouse.dataset.review.strata import SUREST
from stillhouse.facts import ReviewFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.tables import read_table, table_digest, write_table
from stillhouse.tasks.classification import class_token
from stillhouse.teacher.answers import TABLE, answers_schema
from stillhouse.teacher.reviewed import AS_ANSWERED, REJECTED, review_answers
from tests.made import MINIMAL

Row = dict[str, Any]
TOKENS = {name: class_token("routing", name) for name in ("billing", "hardware")}


def answered(n: int, **changes: Any) -> Row:
    return {
        **dict.fromkeys(answers_schema().names),
        "pair_id": f"u{n}",
        "task": "routing",
        "source": "tickets",
        "instruction": "Name the department.",
        "input": f"Where is bill {n}?",
        "response": TOKENS["billing"],
        "label": "billing",
        "origin": "teacher",
        "confidentiality": "internal",
        "wrote": False,
        "confidence": 0.55 if n % 2 else 0.95,
        "refused": "",
        "kept": True,
        **changes,
    }


class Answers:
    def __init__(self, project: Project, folder: Path, dataset: Path) -> None:
        self.project, self.folder, self.dataset = project, folder, dataset
        self.layout = Layout(project.data_path)

    def review(self, rows: list[Row]) -> ReviewFacts:
        """As `answer_pairs` leaves them, then reviewed."""
        write_table(self.folder / TABLE, pa.Table.from_pylist(rows, schema=answers_schema()))
        return review_answers(self.project, self.layout, self.folder, self.dataset)

    def now(self) -> dict[str, Row]:
        return {row["input"]: row for row in read_table(self.folder / TABLE).to_pylist()}

    def ids(self) -> dict[str, str]:
        rows = read_table(self.folder / AS_ANSWERED).to_pylist()
        return {row["input"]: f"answer-{row['pair_id']}" for row in rows}


@pytest.fixture
def answers(tmp_path: Path, routing_dataset: Path) -> Answers:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    return Answers(load_project(tmp_path), tmp_path / "answers", routing_dataset)


def fill_in(answers: Answers, *rows: str) -> None:
    answers.layout.reviews.mkdir(parents=True, exist_ok=True)
    text = "\n".join(["reviewer,pair_id,verdict,correction", *rows, ""])
    (answers.layout.reviews / "a.csv").write_text(text)


def test_reviewed_answers_are_what_is_learned_from(answers: Answers) -> None:
    rows = [*(answered(n) for n in range(20)), answered(20, kept=False, refused="not in the text")]
    facts = answers.review(rows)
    assert (facts.read, facts.reject_rate) == (0, None)
    assert list(answers.now().values()) == sorted(rows, key=lambda row: row["pair_id"])
    page = (answers.folder / PAGE).read_text()
    assert SUREST in page and "0.5 to 0.7" in page and "hardware" in page
    ids = answers.ids()
    assert len(ids) == 20  # what is not learned from is not shown
    wrong, other, fine = (f"Where is bill {n}?" for n in (1, 2, 3))
    fill_in(
        answers,
        f"Ann,{ids[wrong]},reject,",
        f"Ann,{ids[other]},correct,hardware",
        f"Ann,{ids[fine]},accept,",
        "Ann,pair-1,reject,",
    )
    facts = answers.review(rows)
    now = answers.now()
    assert (now[wrong]["kept"], now[wrong]["refused"]) == (False, REJECTED)
    assert (now[other]["label"], now[other]["response"]) == ("hardware", TOKENS["hardware"])
    assert now[other]["origin"] == "teacher" and now[other]["kept"]
    # What is kept by pairs' ids, such as soft labels, is made anew.
    assert now[other]["pair_id"] == pair_id(
        "routing", "Name the department.", other, TOKENS["hardware"]
    )
    assert [now[text]["reviewed"] for text in (wrong, other, fine)] == [
        *("rejected", "corrected", "accepted"),
    ]
    assert (facts.rejected, facts.corrected, facts.accepted, facts.unknown) == (1, 1, 1, 0)
    # One of ten sure ones was read, and two of ten others: each stands for its own.
    assert facts.reject_rate == pytest.approx((1.0 + 0.5) / 2)
    # The ids are those of what was answered, not of what reviews made of it.
    assert answers.ids() == ids


def test_another_answer_was_not_reviewed_and_the_same_one_was(answers: Answers) -> None:
    rows = [answered(n) for n in range(4)]
    answers.review(rows)
    fill_in(answers, *(f"Ann,{name},reject," for name in answers.ids().values()))
    other = {"response": TOKENS["hardware"], "label": "hardware"}
    facts = answers.review([rows[0], *(row | other for row in rows[1:])])
    assert (facts.decided, facts.unknown) == (1, 3)
    assert [row["kept"] for row in answers.now().values()] == [False, True, True, True]


def test_nothing_answered_is_nothing_to_review(answers: Answers) -> None:
    answers.review([answered(1)])
    assert answers.review([answered(1, kept=False, refused="x")]) == ReviewFacts()
    assert not (answers.folder / PAGE).exists()
    digest = table_digest(answers.folder / TABLE, ("pair_id", "response"), "kept")
    assert digest == table_digest(answers.folder / AS_ANSWERED, ("pair_id", "response"))
