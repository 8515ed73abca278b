import json

import numpy as np
import pytest

from stillhouse.metrics.extraction import micro_f1
from stillhouse.tasks.generative_scores import (
    ALL_RIGHT,
    ANSWER_TABLE,
    EXTRACTION_TABLE,
    NO_ANSWER,
    NO_JSON,
    NOTHING,
    OTHERS_RIGHT,
    SUMMARY_TABLE,
    difference,
    in_words,
    score_answers,
    score_extraction,
    score_summaries,
)

GOLD = [{"product": "Pump", "quantity": 3}, {"product": "Hose"}, {"product": "Valve"}]
SAID = [{"product": "Pump", "quantity": 4}, {"product": "Hose"}, None]


def whole(scored) -> None:
    """What the report relies on, whatever the kind."""
    assert len(scored.right) == scored.n
    assert set(scored.table.values()) <= scored.metrics.keys()
    assert scored.calibration_error == scored.metrics["ece"]
    assert all(isinstance(value, float) for value in scored.figures.values())
    json.dumps(scored.metrics, allow_nan=False)
    if scored.values is not None:
        assert scored.score == pytest.approx(scored.values.mean())
    if scored.counts is not None:
        assert scored.score == pytest.approx(float(micro_f1(scored.counts.sum(axis=0))))


def test_extraction():
    found = score_extraction(GOLD, SAID, fields=["quantity", "product"])
    whole(found)
    assert found.table is EXTRACTION_TABLE
    assert found.headline == "field F1"
    # Right: Pump, Hose; too many: 4; missed: 3, Valve.
    assert found.score == found.metrics["field_f1"] == pytest.approx(4 / 7)
    assert found.right.tolist() == [False, True, False]
    assert found.metrics["valid"] == pytest.approx(2 / 3)
    low, high = found.metrics["field_f1_ci"]
    assert 0 <= low < found.score < high <= 1
    assert found.metrics["ece"] is None
    assert "ece" not in found.figures
    assert found.detail.gold[0] == "quantity: 3\nproduct: Pump"
    assert found.detail.given == [f"quantity: 4\n{OTHERS_RIGHT}", ALL_RIGHT, NO_JSON]
    assert list(found.metrics["per_field"]) == ["quantity", "product"]


def test_extraction_is_calibrated_by_field_where_fields_have_confidences():
    sure = [{"product": 0.9, "quantity": 0.4}, {"product": 0.8}, {}]
    found = score_extraction(GOLD, SAID, field_confidence=sure)
    whole(found)
    confidence, right = found.detail.trusted
    assert confidence.tolist() == [0.9, 0.4, 0.8]
    assert right.tolist() == [True, False, True]
    # An answer is no surer than its least sure field; what is no JSON has no confidence.
    np.testing.assert_array_equal(found.detail.confidence, [0.4, 0.8, np.nan])
    assert found.metrics["ece"] == pytest.approx((0.1 + 0.4 + 0.2) / 3)
    by_answer = score_extraction(GOLD, SAID, confidence=[0.5, 0.9, 0.1])
    assert by_answer.detail.trusted[1].tolist() == [False, True, False]
    assert by_answer.metrics["ece"] == pytest.approx((0.5 + 0.1 + 0.1) / 3)


def test_nothing_that_has_a_confidence_is_no_error():
    found = score_extraction([{"a": 1}], [None], field_confidence=[{}])
    whole(found)
    assert found.calibration_error is None


def test_other_ways_of_decoding_stand_beside_the_figures():
    free = [None, {"product": "Hose"}, {"product": "Valve"}]
    found = score_extraction(GOLD, SAID, decodings={"free": free, "schema": SAID})
    modes = found.metrics["decodings"]
    assert modes["free"] == {
        "field_f1": pytest.approx(4 / 6),
        "exact_match": pytest.approx(2 / 3),
        "valid": pytest.approx(2 / 3),
    }
    assert modes["schema"]["field_f1"] == found.score


def test_answers():
    gold = ["Paris", "the blue valve", "", ""]
    found = score_answers(
        gold, ["paris.", "blue pump", "", "guess"], confidence=[0.9, 0.6, 0.7, 0.2]
    )
    whole(found)
    assert found.table is ANSWER_TABLE
    assert found.values.tolist() == pytest.approx([1, 0.5, 1, 0])
    assert found.right.tolist() == [True, False, True, False]
    assert found.metrics["abstention_precision"] == 1
    assert found.metrics["abstention_recall"] == 0.5
    assert found.metrics["ece"] == pytest.approx((0.1 + 0.6 + 0.3 + 0.2) / 4)
    assert found.detail.gold[2:] == [NO_ANSWER, NO_ANSWER]
    other = score_answers(gold, gold, decodings={"free": ["Paris", "x", "", "y"]})
    assert other.metrics["decodings"]["free"]["f1"] == pytest.approx(0.5)
    assert other.score == 1


def test_where_every_question_has_an_answer_abstention_is_not_measured():
    found = score_answers(["a b", "c d"], ["a b", "x"])
    whole(found)
    assert found.metrics["abstention_precision"] is None
    assert "abstention_precision" not in found.figures


@pytest.mark.parametrize("score", [score_answers, score_extraction])
def test_answers_of_unknown_confidence_are_not_calibrated(score):
    gold = ["a", "b"] if score is score_answers else [{"a": 1}, {"a": 2}]
    found = score(gold, gold, confidence=[0.75, np.nan])
    whole(found)
    assert found.calibration_error == pytest.approx(0.25)
    unknown = score(gold, gold, confidence=[np.nan] * 2)
    whole(unknown)
    assert unknown.calibration_error is None


def test_summaries():
    gold = ["police killed the gunman", "two words"]
    found = score_summaries(gold, ["police kill the gunman", "Two  words"], confidence=[0.1, 0.2])
    whole(found)
    assert found.table is SUMMARY_TABLE
    assert found.values.tolist() == pytest.approx([0.75, 1])
    assert found.right.tolist() == [False, True]
    assert 0.5 < found.metrics["chrf"] < 1
    assert (found.metrics["words"], found.metrics["words_gold"]) == (3, 3)
    assert found.calibration_error is None


@pytest.mark.parametrize("score", [score_answers, score_summaries])
def test_answers_that_are_not_as_many_are_refused(score):
    with pytest.raises(ValueError, match=r"shorter|longer"):
        score(["a", "b"], ["a"])


def test_objects_in_words():
    answer = {"b": True, "a": ["x", 2], "c": None, "d": [], "e": "", "f": 0, "g": False}
    assert in_words(answer, ["a", "z", "b"]) == "a: x, 2\nb: yes\nf: 0\ng: no"
    assert in_words({"a": None}) == NOTHING
    assert in_words(None) == NO_JSON


def test_what_an_answer_says_otherwise():
    gold = {"a": "x", "b": ["y", "z"], "c": 1}
    assert difference(gold, {"c": 1.0, "a": " x", "b": ["z", "y"], "d": None}) == ALL_RIGHT
    assert difference(gold, {"b": ["y"], "d": True}, ["d"]) == "d: yes\na: –\nb: y\nc: –"
    assert difference(gold, {"a": "x", "b": ["y"]}) == f"b: y\nc: –\n{OTHERS_RIGHT}"
    assert difference({}, {}) == ALL_RIGHT
    assert difference({}, None) == NO_JSON
