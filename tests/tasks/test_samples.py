import numpy as np
import pytest

from stillhouse.tasks.samples import BETTER_OR_WORSE, Given, sample_groups


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
    assert all(g.total == n for g in groups)
    differ, worst, best = groups
    assert rows(differ)[0] == "7"
    assert rows(best)[0] == "39"
    shown = [row for group in groups for row in rows(group)]
    assert len(shown) == len(set(shown))
    first = differ.samples[0].answers[1]
    assert (first.right, first.score) == (None, 1.0)
    assert worst.samples[0].answers[0].score == pytest.approx(teacher[int(rows(worst)[0])])


def test_one_model_differs_from_nobody():
    groups = sample_groups(["a"], ["b"], {"Student": Given(["c"], None, values=np.array([0.5]))})
    assert [g.title for g in groups] == ["Where all do worst"]


def test_texts_are_cut_and_keep_their_lines():
    (only,) = sample_groups(
        ["one\n\n" + "x" * 50], ["a\nb"], {"S": given("?", "-")}, text_length=10
    )
    (sample,) = only.samples
    assert sample.text == "one\nxxxxx…"
    assert sample.gold == "a\nb"
