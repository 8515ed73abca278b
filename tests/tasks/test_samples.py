from types import SimpleNamespace

import numpy as np
import pytest

from stillhouse.tasks.results import Scored
from stillhouse.tasks.samples import ALL_ALIKE, BETTER_OR_WORSE, Given, sample_groups, won_and_lost


def given(answers: str, right: str | None = None, **more) -> Given:
    """One character an example; right where there is an x."""
    marks = None if right is None else np.array([c == "x" for c in right])
    return Given(list(answers), marks, **more)


def rows(group) -> list[str]:
    return [sample.text for sample in group.samples]


def test_right_answers_in_other_words_are_no_disagreement():
    groups = sample_groups(
        list("01234"),
        list("abcde"),
        {"Teacher": given("aBzye", "xx--x"), "Student": given("abzxq", "xx---")},
    )
    assert [(g.title.split(",")[0], rows(g)) for g in groups] == [
        ("Where the models disagree", ["3", "4"]),
        ("Where all are wrong alike", ["2"]),
        ("Where all are right", ["0", "1"]),
    ]


def test_confident_errors_come_first_and_right_answers_from_the_least_sure():
    sure = np.array([0.2, 0.9, np.nan, 0.8, 0.3])
    wrong, right = sample_groups(
        list("01234"), list("abcde"), {"Student": given("zzzde", "---xx", confidence=sure)}
    )
    assert rows(wrong) == ["1", "0", "2"]
    assert rows(right) == ["4", "3"]
    assert [s.answers[0].confidence for s in wrong.samples] == [0.9, 0.2, None]


def test_answers_that_are_better_or_worse_show_by_how_much():
    n = 40
    teacher, student = np.linspace(0, 1, n), np.linspace(0, 1, n)
    student[7] = 1.0
    groups = sample_groups(
        [str(i) for i in range(n)],
        ["gold"] * n,
        {
            "Teacher": Given(["t"] * n, None, values=teacher),
            "Student": Given(["s"] * n, None, values=student),
        },
    )
    assert [g.title for g in groups] == [title for title, _ in BETTER_OR_WORSE.values()]
    differ, worst, best = groups
    assert [g.total for g in groups] == [1, n, n]
    assert rows(differ)[0] == "7"
    assert rows(best)[0] == "39"
    shown = [row for group in groups for row in rows(group)]
    assert len(shown) == len(set(shown))
    first = differ.samples[0].answers[1]
    assert (first.right, first.score) == (None, 1.0)
    assert worst.samples[0].answers[0].score == pytest.approx(teacher[int(rows(worst)[0])])


def test_one_model_differs_from_nobody():
    values = np.array([0.5, 0.7])
    groups = sample_groups(
        ["a", "x"], ["b"] * 2, {"Student": Given(["c"] * 2, None, values=values)}
    )
    assert [g.title for g in groups] == ["Where all do worst"]


def test_where_all_do_equally_well_none_does_best_or_worst():
    given = {m: Given(["c"] * 3, None, values=np.ones(3)) for m in ("Teacher", "Student")}
    (only,) = sample_groups(list("abc"), ["c"] * 3, given)
    assert (only.title, only.total, rows(only)) == (ALL_ALIKE[0], 3, ["a", "b", "c"])


def test_texts_are_cut_and_keep_their_lines():
    (only,) = sample_groups(
        ["one\n\n" + "x" * 50], ["a\nb"], {"S": given("?", "-")}, text_length=10
    )
    (sample,) = only.samples
    assert sample.text == "one\nxxxxx…"
    assert sample.gold == "a\nb"


def scored(answers: str, right: str, gold: str = "abcd", **more) -> Scored:
    detail = SimpleNamespace(said=lambda: (list(gold), list(answers)))
    marks = np.array([c == "x" for c in right])
    return Scored(len(right), 0.5, marks, {}, {}, {}, None, detail, **more)


def test_what_one_of_two_models_wins_and_loses():
    answers = {"New": scored("abzz", "xx--"), "Old": scored("azcz", "x-x-")}
    won, lost = won_and_lost(list("0123"), answers)
    assert (won.title, won.total, rows(won)) == ("New does better", 1, ["1"])
    assert (lost.title, lost.total, rows(lost)) == ("Old does better", 1, ["2"])
    assert lost.samples[0].gold == "c"
    assert [(a.model, a.given, a.right) for a in lost.samples[0].answers] == [
        ("New", "z", False),
        ("Old", "c", True),
    ]
    assert won_and_lost(list("0123"), {"New": answers["Old"], "Old": answers["Old"]}) == []


def test_written_answers_win_by_how_good_they_are():
    values = {"New": np.array([0.1, 0.9, 0.5]), "Old": np.array([0.2, 0.3, 0.1])}
    answers = {name: scored("xyz", "---", values=of) for name, of in values.items()}
    won, lost = won_and_lost(list("012"), answers)
    assert (rows(won), rows(lost)) == (["1", "2"], ["0"])  # furthest apart first
    assert [(a.right, a.score) for a in lost.samples[0].answers] == [(None, 0.1), (None, 0.2)]
    # Of fields, of which an answer may have some right: found, too many, missed.
    counts = {"New": [[1, 0, 1], [2, 0, 0]], "Old": [[2, 0, 0], [1, 1, 1]]}
    answers = {name: scored("xy", "--", counts=np.array(of)) for name, of in counts.items()}
    won, lost = won_and_lost(list("01"), answers)
    assert (rows(won), rows(lost)) == (["1"], ["0"])
    assert won.samples[0].answers[1].score == pytest.approx(0.5)


def test_an_empty_answer_is_seen():
    (wrong,) = sample_groups(["0"], ["a"], {"Student": Given([" \n"], np.array([False]))})
    assert wrong.samples[0].answers[0].given == "(nothing)"
