import numpy as np
import pytest

from stillhouse.metrics.classification import wilson_interval
from stillhouse.metrics.spans import BETA, clustered_share, f_beta, span_scores

#         0         1         2         3         4
#         0123456789012345678901234567890123456789012345
FIRST = "Ann Lee, Hill St. 4, call 555 0100 or Bob now."
WANTED = [("PERSON", 0, 7), ("ADDRESS", 9, 19), ("PHONE_NUMBER", 26, 34), ("PERSON", 38, 41)]
FOUND = [
    ("PERSON", 0, 3),  # half of Ann Lee ...
    ("PERSON", 4, 7),  # ... and the other half: together she is covered
    ("PERSON", 9, 13),  # "Hill" of the address, as another kind
    ("ACCOUNT_NUMBER", 26, 34),  # the phone number, as another kind
    ("PERSON", 42, 45),  # "now" is nobody
]


def test_worked_example():
    everything, *kinds = span_scores([(FIRST, WANTED, FOUND), ("Nobody here.", [], [])])
    by_kind = {found.kind: found for found in kinds}
    # Covered: Ann Lee and the phone number; a part of the address; Bob stands there.
    assert everything.counts == {
        "spans": 4,
        "covered": 2,
        "touched": 1,
        "covered_by_kind": 1,  # the phone number was taken for an account
        "characters": 6 + 7 + 7 + 3,
        "characters_covered": 6 + 4 + 7,
        "findings": 5,
        "correct": 4,
        "correct_by_kind": 2,
    }
    assert everything.texts == 1
    assert everything.recall.value == 0.5
    assert everything.precision.value == 0.8
    assert everything.f2.value == pytest.approx(5 * 0.8 * 0.5 / (4 * 0.8 + 0.5))
    assert everything.strict_recall.value == 0.25
    assert everything.strict_precision.value == 0.4
    assert everything.strict_f2.value == pytest.approx(5 * 0.4 * 0.25 / (4 * 0.4 + 0.25))
    assert sorted(by_kind) == ["ACCOUNT_NUMBER", "ADDRESS", "PERSON", "PHONE_NUMBER"]
    assert by_kind["PERSON"].recall.value == by_kind["PERSON"].strict_recall.value == 0.5
    assert by_kind["PERSON"].precision.value == 0.75
    assert by_kind["PERSON"].strict_precision.value == 0.5
    assert by_kind["ADDRESS"].recall.value == 0
    assert by_kind["ADDRESS"].precision is None
    assert by_kind["PHONE_NUMBER"].recall.value == 1
    assert by_kind["PHONE_NUMBER"].strict_recall.value == 0
    assert by_kind["ACCOUNT_NUMBER"].recall is None
    assert by_kind["ACCOUNT_NUMBER"].f2 is None
    assert by_kind["ACCOUNT_NUMBER"].precision.value == 1


@pytest.mark.parametrize(
    ("found", "covered"),
    [((0, 13), 1), ((1, 12), 1), ((1, 6), 0), ((2, 12), 0)],
)
def test_letters_and_digits_are_what_has_to_be_covered(found, covered):
    everything, *_ = span_scores([("(Ann,\nStr. 1)", [("ADDRESS", 0, 13)], [("X", *found)])])
    assert everything.counts["covered"] == covered
    assert everything.counts["touched"] == 1 - covered


def test_a_finding_that_swallows_a_sentence_is_not_correct():
    text = "tell Ann that the pump is late"
    everything, *_ = span_scores([(text, [("PERSON", 5, 8)], [("PERSON", 0, len(text))])])
    assert everything.recall.value == 1
    assert everything.precision.value == 0


def test_where_nothing_is_marked_there_is_no_recall():
    (everything,) = span_scores([("Nobody here.", [], [])])
    assert everything.recall is None
    assert everything.f2 is None


def test_spans_of_single_texts_give_wilsons_interval():
    found = clustered_share(np.array([1.0] * 18 + [0.0] * 2), np.ones(20))
    assert found.value == 0.9
    assert (found.low, found.high) == pytest.approx(wilson_interval(18, 20), abs=1e-6)


def test_spans_of_one_text_are_worth_less_than_as_many_of_many():
    """All five spans of a text stand or fall together: 10 texts count, not 50 spans."""
    together = clustered_share(np.array([5.0] * 8 + [0.0] * 2), np.full(10, 5.0))
    apart = clustered_share(np.array([1.0] * 40 + [0.0] * 10), np.ones(50))
    assert together.value == apart.value == 0.8
    assert together.low < 0.52 < 0.65 < apart.low


def test_few_texts_without_a_miss_are_no_certainty():
    found = clustered_share(np.full(10, 3.0), np.full(10, 3.0))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(10 / (10 + 1.959964**2))
    nothing = clustered_share(np.zeros(10), np.ones(10))
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(1 - found.low)


def test_recall_weighs_more_than_precision():
    assert BETA == 2
    missed = f_beta(np.array([5, 10, 10, 10]))  # recall 0.5, precision 1
    blurred = f_beta(np.array([10, 10, 5, 10]))
    assert missed == pytest.approx(5 * 0.5 / 4.5)
    assert blurred == pytest.approx(5 * 0.5 / 3)
    assert f_beta(np.array([0, 10, 0, 0])) == 0
    assert np.isnan(f_beta(np.array([0, 0, 0, 3])))
