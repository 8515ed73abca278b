import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.metrics.extraction import extraction_metrics, micro_f1, right_fields

GOLD = [
    {"product": "Pump A7", "quantity": 3, "tags": ["urgent", "spare"]},
    {"product": "Valve", "quantity": 1},
    {"product": "Hose"},
]


def test_worked_example():
    found = extraction_metrics(
        GOLD,
        [
            {"product": "Pump  A7 ", "quantity": 4, "tags": ["spare", "urgent", "spare"]},
            None,
            {"product": "hose", "quantity": None},
        ],
        ["product", "quantity", "tags", "deadline"],
    )
    # Right, too many, missed: of the first, product and two tags; quantity is wrong, a tag is
    # said twice. The second is no JSON. The third differs in case.
    assert found.counts.tolist() == [[3, 2, 1], [0, 0, 2], [0, 1, 1]]
    assert found.precision == pytest.approx(3 / 6)
    assert found.recall == pytest.approx(3 / 7)
    assert found.field_f1 == pytest.approx(6 / 13)
    assert found.exact.tolist() == [False, False, False]
    assert found.valid == pytest.approx(2 / 3)
    assert list(found.per_field) == ["product", "quantity", "tags", "deadline"]
    product = found.per_field["product"]
    assert (product.precision, product.recall, product.support) == (0.5, pytest.approx(1 / 3), 3)
    tags = found.per_field["tags"]
    assert (tags.precision, tags.recall, tags.support) == (pytest.approx(2 / 3), 1, 2)
    assert (found.per_field["deadline"].f1, found.per_field["deadline"].support) == (1, 0)


@pytest.mark.parametrize(
    ("wanted", "said", "same"),
    [
        ("Pump A7", " Pump\n A7", True),
        ("Pump A7", "pump a7", False),
        ("e\u0301t\u00e9", "\u00e9t\u00e9", True),
        (3, 3.0, True),
        (3, "3", False),
        (1, True, False),
        (0, False, False),
        (["a", "b"], ["b", "a"], True),
        (["a"], "a", True),
        (["a"], ["a", "a"], False),
        ({"x": 1, "y": 2}, {"y": 2, "x": 1}, True),
        (None, [], True),
        (None, "  ", True),
        (None, [None, ""], True),
        (0, None, False),
        (False, None, False),
    ],
)
def test_when_values_are_the_same(wanted, said, same):
    found = extraction_metrics([{"f": wanted}], [{"f": said}])
    assert found.exact.tolist() == [same]
    assert (found.field_f1 == 1) == same
    missing = extraction_metrics([{"f": wanted}], [{}])
    assert missing.exact[0] == (wanted is None)


def test_an_answer_that_is_no_json_is_never_exact_and_claims_nothing():
    found = extraction_metrics([{}, {"a": 1}], [None, None])
    assert found.exact.tolist() == [False, False]
    assert found.counts.tolist() == [[0, 0, 0], [0, 0, 1]]
    assert (found.valid, found.precision, found.recall, found.field_f1) == (0, 0, 0, 0)


def test_a_field_of_no_schema_is_wrong():
    found = extraction_metrics([{"a": 1}], [{"a": 1, "made_up": 2}])
    assert found.per_field["made_up"].precision == 0
    assert not found.exact[0]


def test_nothing_to_find_and_nothing_claimed_is_right():
    found = extraction_metrics([{}], [{}])
    assert (found.field_f1, found.precision, found.recall, found.exact_match) == (1, 1, 1, 1)
    assert micro_f1(np.zeros((4, 3))).tolist() == [1, 1, 1, 1]


VALUES = st.one_of(st.none(), st.integers(0, 2), st.sampled_from("ab"), st.lists(st.just("a")))
ANSWERS = st.dictionaries(st.sampled_from("fgh"), VALUES)


@given(st.lists(st.tuples(ANSWERS, st.none() | ANSWERS), min_size=1, max_size=8))
def test_counts_by_request_and_by_field_sum_up_to_the_whole(pairs):
    gold, said = [p[0] for p in pairs], [p[1] for p in pairs]
    found = extraction_metrics(gold, said)
    assert found.field_f1 == pytest.approx(float(micro_f1(found.counts.sum(axis=0))))
    support = sum(scores.support for scores in found.per_field.values())
    assert support == found.counts[:, [0, 2]].sum()
    assert found.exact_match <= found.valid
    assert extraction_metrics(gold, gold).field_f1 == 1
    json.dumps(found.to_json(), allow_nan=False)


def test_right_fields_are_those_that_an_answer_fills():
    gold = {"product": "Pump", "tags": ["a", "b"]}
    said = {"product": "Pump", "tags": ["a"], "deadline": "May", "quantity": None}
    assert right_fields(gold, said) == {"product": True, "tags": False, "deadline": False}
    assert right_fields(gold, None) == {}


def test_refuses_what_is_not_aligned():
    for gold, said in (([], []), ([{}], [])):
        with pytest.raises(ValueError, match="as many"):
            extraction_metrics(gold, said)
