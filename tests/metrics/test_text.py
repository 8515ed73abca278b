import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.metrics.text import (
    abstention,
    chrf,
    corpus_chrf,
    exact_match,
    longest_common_subsequence,
    normalise_answer,
    rouge_l,
    token_f1,
)


@pytest.mark.parametrize(
    ("text", "normalised"),
    [
        ("The  Eiffel Tower.", "eiffel tower"),
        ("an apple a day", "apple day"),
        ("Theory, then!", "theory then"),  # articles are whole words
        ("$1,000 (U.S.)", "1000 us"),
        ("“Zürich’s” trams – fast…", "zürichs trams fast"),
        ("The", "the"),  # nothing else would be left of it
        ("+", "+"),
        (" \n", ""),
    ],
)
def test_normalised_answers(text, normalised):
    assert normalise_answer(text) == normalised
    assert normalise_answer(normalised) == normalised


def test_exact_match_and_f1_of_worked_examples():
    assert exact_match("The Eiffel tower!", "eiffel  Tower")
    assert not exact_match("Eiffel tower in Paris", "Eiffel Tower")
    # Two words in common: of four said, of two wanted.
    assert token_f1("Eiffel tower in Paris", "Eiffel Tower") == pytest.approx(2 * 0.5 / 1.5)
    # What is said three times and wanted once is right once.
    assert token_f1("no no no", "no") == pytest.approx(0.5)
    assert token_f1("dog", "cat") == 0


def test_no_answer_is_right_only_where_there_is_none():
    assert token_f1("", "") == 1
    assert token_f1("", "Paris") == token_f1("Paris", "") == 0
    for answer in ("A", "+", "the"):  # of which nothing is left without articles and marks
        assert token_f1("", answer) == token_f1("-", answer) == 0
        assert not exact_match("", answer) and not exact_match("-", answer)
        assert token_f1(answer, answer) == exact_match(answer, answer) == 1
    assert exact_match(" ", "")


# Lin 2004, section 3.1: the candidates against "police killed the gunman", with beta = 1.
@pytest.mark.parametrize(
    ("candidate", "score"),
    [
        ("police kill the gunman", 3 / 4),
        ("the gunman kill police", 2 / 4),
        ("the gunman police killed", 2 / 4),
        ("police killed the gunman", 1),
    ],
)
def test_rouge_l_of_lins_examples(candidate, score):
    assert rouge_l(candidate, "police killed the gunman") == pytest.approx(score)


def test_rouge_l_as_the_package_rouge_score_gives_it():
    # The example of its README: the quick brown jumps the, 5 words of 8 and of 9.
    found = rouge_l(
        "The quick brown dog jumps on the log.", "The quick brown fox jumps over the lazy dog"
    )
    assert found == pytest.approx(0.5882352941176471)
    # Of its tests: precision 1, recall 1/3.
    assert rouge_l("testing", "testing one two") == pytest.approx(0.5)


def test_rouge_l_of_other_words():
    assert rouge_l("Größe: 4 µm", "größe 4 µm") == 1
    assert rouge_l("a_b-c", "A b C") == 1
    assert rouge_l("", "") == rouge_l("...", "x") == 0


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.lists(st.sampled_from("abcd")))
def test_longest_common_subsequence_is_that_of_the_textbook(first, second):
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            table[i + 1, j + 1] = (
                table[i, j] + 1 if a == b else max(table[i, j + 1], table[i + 1, j])
            )
    assert longest_common_subsequence(first, second) == table[-1, -1]


@given(st.text(max_size=60), st.text(max_size=60))
def test_scores_lie_within_0_and_1_and_do_not_depend_on_which_is_which(a, b):
    for score in (token_f1, rouge_l):
        assert 0 <= score(a, b) <= 1
        assert score(a, b) == pytest.approx(score(b, a))
    assert 0 <= chrf(a, b) <= 1


def test_chrf_by_hand():
    # "abc" against "abd": unigrams 2 of 3, bigrams 1 of 2, trigrams 0 of 1; both texts are as long,
    # so F2 is precision, and the mean over the three orders is taken of precision and recall.
    assert chrf("abc", "abd") == pytest.approx((2 / 3 + 1 / 2 + 0) / 3, abs=1e-6)
    assert chrf("same words", "same words") == pytest.approx(1)


def test_corpus_chrf_counts_all_texts_together():
    candidates, references = ["abc", "a longer text here"], ["xyz", "a longer text here"]
    whole = corpus_chrf(candidates, references)
    assert np.mean([chrf(c, r) for c, r in zip(candidates, references, strict=True)]) < whole < 1
    with pytest.raises(ValueError, match="as many"):
        corpus_chrf(candidates, references[:1])


def test_abstention():
    found = abstention(["", " ", "x", "y", "z"], ["", "a", "", "y", ""])
    assert (found.without_answer, found.left_unanswered) == (3, 2)
    assert found.precision == pytest.approx(1 / 2)
    assert found.recall == pytest.approx(1 / 3)
    assert abstention(["x"], ["x"]).precision is None
    assert abstention(["x"], ["x"]).recall is None
    assert abstention(["x"], [""]).recall == 0
