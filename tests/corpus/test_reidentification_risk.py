"""k, l and t of small corpora, against the same counted by hand."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillhouse.config.corpus import Privacy
from stillhouse.corpus.reidentification_risk import (
    KNOWN,
    WORST_COMBINATIONS,
    K,
    measure_risk,
    too_risky,
)
from stillhouse.facts import ReidentificationRiskFacts
from stillhouse.storage.layout import Layout
from stillhouse.storage.query import query
from stillhouse.storage.tables import read_table, write_table

Measure = Callable[..., tuple[ReidentificationRiskFacts, list[dict[str, Any]]]]


def measured(
    layout: Layout, texts: list[str], labels: list[str | None] | None = None, **privacy: Any
) -> tuple[ReidentificationRiskFacts, list[dict[str, Any]]]:
    count = len(texts)
    documents = {
        "doc_id": [f"{n:03}" for n in range(count)],
        "title": pa.nulls(count, pa.string()),
        "text": texts,
        "label": pa.array(labels or [None] * count, pa.string()),
    }
    write_table(layout.table("unique_documents"), pa.table(documents))
    facts = measure_risk(Privacy(**privacy), layout)
    return facts, read_table(layout.table("reidentification_risk")).to_pylist()


def test_who_is_one_of_many_and_who_is_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    many = ["The dentist in Berlin called."] * 9 + ["It rains."]
    alone = "The only beekeeper of Leeds, Person-kuvora, wrote on 12 May 2024."
    facts, rows = measured(layout, [*many, alone])
    assert [row["k"] for row in rows] == [9] * 9 + [11, 1]
    assert rows[9]["items"] == 0 and rows[9]["worst"] is None
    assert (facts.documents, facts.documents_with_any, facts.unique_documents) == (11, 10, 1)
    assert facts.unique_share == pytest.approx(1 / 11) == facts.below_5_share
    assert facts.k == 1 and facts.l is None and facts.t is None
    # One known thing is enough; of what is known no name is told.
    table = query(WORST_COMBINATIONS, t=layout.table("reidentification_risk")).to_pylist()
    assert [(row["k"], row["documents"]) for row in table] == [(1, 1)]
    assert table[0]["combination"] == "date 2024"
    assert "leeds" not in str(table).casefold()


def test_two_things_tell_apart_what_neither_does(tmp_path: Path) -> None:
    texts = [f"The {role} in {place} called." for role in ("dentist", "baker") for place in
             ("Berlin", "Leeds") for _ in range(5)]  # fmt: skip
    texts.append("The dentist in Lyon called, and the baker in Lyon.")
    texts += ["The judge in Lyon called."] * 5
    facts, rows = measured(Layout(tmp_path), texts, quasi_identifiers=["place", "role"])
    assert [row["k"] for row in rows] == [5] * 20 + [1] + [5] * 5
    assert rows[20]["worst"] in ("place ····, role dentist", "place ····, role baker",
                                 "role baker, role dentist")  # fmt: skip
    assert facts.below_5_share == facts.unique_share == pytest.approx(1 / 26)


def test_labels_that_are_all_alike_tell_what_nobody_was_to_know(tmp_path: Path) -> None:
    texts = ["The dentist called."] * 4 + ["The baker called."] * 4
    labels = ["ill", "ill", "ill", "ill", "ill", "well", "well", None]
    facts, rows = measured(Layout(tmp_path), texts, labels, quasi_identifiers=["role"])
    assert [row["l"] for row in rows] == [1] * 4 + [2] * 4
    # Of all 7 labels 5 are "ill"; of the dentists' all, of the bakers' one in three.
    assert [row["t"] for row in rows] == pytest.approx([2 / 7] * 4 + [5 / 7 - 1 / 3] * 4)
    assert facts.one_label_share == 0.5 and facts.k == 4 and facts.l == 1


def test_words_count_where_few_have_them_and_beside_somebody(tmp_path: Path) -> None:
    many = [f"Person-kuvora called about the printer {n}." for n in range(6)]
    one = ["Person-bimelo plays the ophicleide.", "The ophicleides are out of tune."]
    facts, rows = measured(Layout(tmp_path), [*many, *one])
    assert [row["k"] for row in rows] == [8] * 6 + [1, 8]
    assert rows[6]["k_without_words"] == 8 and rows[6]["worst"].startswith("rare_word ·")
    assert (facts.unique_share, facts.unique_share_without_words) == (1 / 8, 0.0)
    without, _ = measured(Layout(tmp_path), [*many, *one], quasi_identifiers=["role", "date"])
    assert without.unique_share == 0.0 and without.computed == 0  # looked for once
    assert K == 5


ROLES, PLACES = ("dentist", "baker", "judge"), ("Berlin", "Leeds", "Lyon")


@given(
    st.lists(
        st.tuples(
            st.sets(st.sampled_from(ROLES), max_size=2),
            st.sets(st.sampled_from(PLACES), max_size=3),
            st.sampled_from(["x", "y", "z", None]),
        ),
        min_size=1,
        max_size=12,
    )
)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_against_counting_by_hand(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: list[tuple[set[str], set[str], str | None]],
) -> None:
    texts = [
        " ".join(
            [*(f"the {role}," for role in sorted(r)), *(f"in {place}." for place in sorted(p))]
        )
        or "-"
        for r, p, _ in drawn
    ]
    labels = [label for *_, label in drawn]
    _, rows = measured(
        Layout(tmp_path_factory.mktemp("risk")), texts, labels, quasi_identifiers=["role", "place"]
    )
    items = [r | p for r, p, _ in drawn]
    labelled = [label for label in labels if label]
    for row, own in zip(rows, items, strict=True):
        combinations = [
            set(c) for size in range(1, KNOWN + 1) for c in itertools.combinations(own, size)
        ]
        groups = [[n for n, other in enumerate(items) if c <= other] for c in combinations]
        assert row["k"] == min(map(len, groups), default=len(drawn))
        told = [[label for n in group if (label := labels[n])] for group in groups]
        found = [len(set(group)) for group in told if group]
        assert row["l"] == min(found, default=None)
        distances = [
            sum(
                abs(group.count(x) / len(group) - labelled.count(x) / len(labelled))
                for x in set(labelled)
            )
            / 2
            for group in told
            if group
        ]
        assert (row["t"] is None) == (not distances)
        if distances:
            assert row["t"] == pytest.approx(max(distances))


def test_limits_are_compared(tmp_path: Path) -> None:
    facts, _ = measured(Layout(tmp_path), ["The dentist called."] * 3 + ["The baker called."])
    assert (facts.unique_share, facts.below_5_share) == (0.25, 1.0)
    assert too_risky(facts, Privacy()) == []
    assert too_risky(facts, Privacy(max_unique=0.25)) == []
    assert too_risky(facts, Privacy(max_unique=0.2, max_below_5=0.5)) == [
        "max_unique",
        "max_below_5",
    ]


def test_no_documents(tmp_path: Path) -> None:
    facts, rows = measured(Layout(tmp_path), [])
    assert (facts.documents, facts.unique_share, facts.k) == (0, 0.0, None) and not rows
