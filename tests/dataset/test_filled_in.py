"""CSV files as people save them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.dataset.review.filled_in import (
    ACCEPT,
    CORRECT,
    REJECT,
    Reviewed,
    Row,
    Settled,
    guarded,
    read_reviews,
    reviews_digest,
    settle,
    unguarded,
)
from stillhouse.dataset.review.strata import ANSWER, GOLD

HEADER = "reviewer,pair_id,verdict,correction,comment\n"
PAIRS = {
    name: Reviewed("gist", "It rained all day.", "It rained.") for name in ("p1", "p2", "p3", "p4")
}


def corrected(pair: Reviewed, said: str) -> tuple[str, str | None]:
    if said == "?":
        raise ValueError("no answer")
    return said, None


def settled(*rows: tuple[str, str, str, str]) -> Settled:
    found = [Row("r.csv", n, *row) for n, row in enumerate(rows, start=2)]
    return settle(found, PAIRS, "pair", corrected)


@given(st.text())
def test_guarding_loses_nothing_and_leaves_no_formula(text: str) -> None:
    written = guarded(text)
    assert unguarded(written) == text
    assert not written.strip().startswith(("=", "+", "-", "@"))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\uff1d1", "'=1", " =1"])
def test_formulas_are_guarded(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEADER + 'Ann,pair-p1,correct,"\'=Sum, of ""it""\r\nand more",\n', "utf-8"),
        (HEADER + '"Ann","pair-p1","correct","\'=Sum, of ""it""\r\nand more",""\r\n', "utf-8-sig"),
        (
            "Pair_ID ;Verdict;Reviewer;Correction\n"
            'pair-p1;Corrected;  Ann ;"\'=Sum, of ""it""\r\nand more"\n',
            "utf-8",
        ),
    ],
    ids=["plain", "as the page saves it", "as a spreadsheet saves it"],
)
def test_files_are_read_however_they_were_saved(tmp_path: Path, text: str, encoding: str) -> None:
    (tmp_path / "r.csv").write_bytes(text.encode(encoding))
    rows, problems = read_reviews(tmp_path)
    assert not problems
    (row,) = rows
    assert (row.reviewer, row.pair_id, row.verdict) == ("ann", "pair-p1", CORRECT)
    assert row.correction == '=Sum, of "it"\r\nand more'


def test_what_is_wrong_is_told_with_its_place_and_costs_nothing_else(tmp_path: Path) -> None:
    lines = [
        "Ann,p1,accept,,",
        "Ann,p2,perhaps,,",
        ",p2,accept,,",
        "Ann,,accept,,",
        "Ann,p2,correct,,",
        "Ann,p2,accept,secret,",
        "Ann,p3,,,not read yet",
        "",
        "Ann,p4,reject,,",
    ]
    (tmp_path / "a.csv").write_text(HEADER + "\n".join(lines) + "\n")
    (tmp_path / "b.csv").write_text("who,what\nAnn,p1\n")
    (tmp_path / "c.csv").write_bytes(HEADER.encode() + b"Ann,p1,accept,\xff,\n")
    (tmp_path / "d.csv").write_text("")
    (tmp_path / "e.txt").write_text("no review")
    (tmp_path / "f.csv").write_text(
        'verdict,reviewer,pair_id,comment\nreject,Bob,p2,"two\nlines"\naccept\n'
        'accept,Bob,p3,"not closed\nreject,Bob,p4,\n'
    )
    rows, problems = read_reviews(tmp_path)
    assert [(row.pair_id, row.verdict) for row in rows] == [
        *(("p1", ACCEPT), ("p4", REJECT), ("p2", REJECT)),
    ]
    assert [(p.file, p.line, p.field) for p in problems] == [
        ("a.csv", 3, "verdict"),
        ("a.csv", 4, "reviewer"),
        ("a.csv", 5, "pair_id"),
        ("a.csv", 6, "correction"),
        ("a.csv", 7, "correction"),
        ("b.csv", 1, "reviewer"),
        ("c.csv", 2, "file"),
        ("d.csv", 1, "reviewer"),
        ("f.csv", 4, "reviewer"),
        ("f.csv", 5, "file"),
    ]
    assert all(p.remedy for p in problems)
    assert "secret" not in " ".join(map(str, problems))


def test_the_digest_is_that_of_what_files_say(tmp_path: Path) -> None:
    def now() -> tuple[str, str]:
        return reviews_digest(tmp_path, GOLD), reviews_digest(tmp_path, ANSWER)

    (tmp_path / "a.csv").write_text(HEADER)
    (tmp_path / "pii_to_mark.jsonl").write_text("{}")
    assert reviews_digest(tmp_path / "nowhere", GOLD) == "none"
    assert now() == ("none", "none")
    (tmp_path / "a.csv").write_text(HEADER + "Ann,p1,accept,,\nAnn,pair-p2,reject,,\n")
    gold, answers = now()
    assert gold != "none" and answers == "none"
    (tmp_path / "b.csv").write_text(HEADER + "Ann,pair-p2,reject,,of this\nAnn,p1,Accept,,\n")
    (tmp_path / "a.csv").unlink()
    assert now() == (gold, answers)
    (tmp_path / "a.csv").write_text(HEADER + "Ann,answer-p1,accept,,\n")
    assert now()[0] == gold and now()[1] != answers


def test_the_stricter_of_two_reviewers_wins(tmp_path: Path) -> None:
    found = settled(
        ("ann", "pair-p1", ACCEPT, ""),
        ("bob", "p1", REJECT, ""),
        ("ann", "pair-p2", CORRECT, "It snowed."),
        ("bob", "pair-p2", ACCEPT, ""),
        ("ann", "pair-p3", CORRECT, "It snowed."),
        ("bob", "pair-p3", CORRECT, "It hailed."),
        ("ann", "pair-p4", CORRECT, "It rained."),  # what stands there already
        ("bob", "pair-p4", ACCEPT, ""),
        ("bob", "answer-p4", REJECT, ""),  # of another population
    )
    verdicts = {pair: (d.verdict, d.response) for pair, d in found.decisions.items()}
    assert verdicts == {
        "p1": (REJECT, None),
        "p2": (CORRECT, "It snowed."),
        "p3": (REJECT, None),
        "p4": (ACCEPT, None),
    }
    assert [d.contested for d in found.decisions.values()] == [True, True, True, False]
    assert (found.reviewers, found.read_twice, found.unknown) == (2, 4, 0)
    assert not found.problems


def test_one_reviewers_two_rows_are_told_unless_they_say_the_same() -> None:
    found = settled(
        ("ann", "p1", ACCEPT, ""),
        ("ann", "p1", ACCEPT, ""),
        ("ann", "p2", REJECT, ""),
        ("ann", "p2", ACCEPT, ""),
        ("ann", "p3", CORRECT, "?"),
        ("ann", "p9", ACCEPT, ""),
    )
    assert {pair: d.verdict for pair, d in found.decisions.items()} == {"p1": ACCEPT, "p2": REJECT}
    assert [(p.line, p.field, p.what) for p in found.problems] == [
        (5, "pair_id", "this reviewer decided otherwise before"),
        (6, "correction", "no answer"),
    ]
    assert (found.unknown, found.kappa) == (1, None)
