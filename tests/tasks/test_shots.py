"""Which pairs are shown to a model before it is asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stillhouse.tasks.shots import Shots

Rows = list[dict[str, Any]]
CHOICES = ("balanced", "nearest", "random")
WORDS = ("screen", "keyboard", "mouse", "cable", "battery", "charger", "speaker", "printer")


@pytest.fixture
def rows(routing_pairs: Rows) -> Rows:
    """Sixteen training pairs of two answers, one three times as frequent; one more in each other
    split, with a text that is in none of them."""
    found = [
        routing_pairs[0]
        | {
            "pair_id": f"p{n:02}",
            "group_id": f"g{n // 2}",  # families of two
            "input": f"The {word} is broken, number {n}",
            "label": "billing" if n % 4 == 0 else "hardware",
            "split": "train",
        }
        for n, word in enumerate(WORDS * 2)
    ]
    held = [
        found[0] | {"pair_id": s, "group_id": s, "input": f"A {w} and the screen", "split": s}
        for s, w in (("validation", "monitor"), ("test", "tablet"))
    ]
    return [*found, *held]


Make = Callable[..., Shots]


@pytest.fixture
def make(rows: Rows, write_dataset: Callable[..., Path], tmp_path: Path) -> Make:
    def call(choose: str, count: int = 4, pairs: Rows | None = None) -> Shots:
        dataset = write_dataset(tmp_path / "d.parquet", pairs or rows)
        return Shots(dataset, "routing", count, choose)  # type: ignore[arg-type]

    return call


def asked(rows: Rows, name: str) -> dict[str, Any]:
    return next(r for r in rows if r["pair_id"] == name)


@pytest.mark.parametrize("choose", CHOICES)
def test_shots_are_gold_pairs_of_the_training_split(make: Make, rows: Rows, choose: str) -> None:
    taught = [r | {"origin": "teacher"} if r["pair_id"] == "p05" else r for r in rows]
    other = [r | {"task": "other", "pair_id": f"o-{r['pair_id']}"} for r in rows]
    (found,) = make(choose, 99, [*taught, *other]).of([asked(rows, "test")])
    assert sorted(s["pair_id"] for s in found) == [f"p{n:02}" for n in range(16) if n != 5]
    assert [s["label"] for s in found] == [asked(rows, s["pair_id"])["label"] for s in found]


@pytest.mark.parametrize("choose", CHOICES)
def test_a_training_pair_sees_neither_its_family_nor_its_own_text(
    make: Make, rows: Rows, choose: str
) -> None:
    copied = [
        r | {"input": asked(rows, "p03")["input"].upper() + "  "} if r["pair_id"] == "p09" else r
        for r in rows
    ]
    shots = make(choose, 99, copied)
    for row in (asked(rows, "p03"), asked(rows, "p03") | {"pair_id": "new", "group_id": "g1"}):
        (found,) = shots.of([row])
        assert {f"p{n:02}" for n in range(16)} - {s["pair_id"] for s in found} == {
            *("p02", "p03", "p09")
        }


def test_balanced_shots_take_turns_and_are_the_same_for_all(make: Make, rows: Rows) -> None:
    first, second = make("balanced").of([asked(rows, "test"), asked(rows, "validation")])
    assert first == second
    assert [s["label"] for s in first] == ["hardware", "billing"] * 2
    # A pair that is itself among them gets the next of its answer instead.
    (own,) = make("balanced").of([asked(rows, first[1]["pair_id"])])
    assert [s["label"] for s in own] == ["hardware", "billing"] * 2
    assert first[1] not in own


def test_the_nearest_come_first(make: Make, rows: Rows) -> None:
    (found,) = make("nearest", 2).of([asked(rows, "test")])
    assert [s["pair_id"] for s in found] == ["p00", "p08"]  # both screens
    (own,) = make("nearest", 1).of([asked(rows, "p08")])
    assert [s["pair_id"] for s in own] == ["p00"]


def test_random_shots_are_drawn_by_the_pairs_id(make: Make, rows: Rows) -> None:
    first, second = make("random").of([asked(rows, "test"), asked(rows, "validation")])
    again = make("random").of([asked(rows, "validation"), asked(rows, "test")])
    assert again == [second, first]
    assert first != second
    drawn = {
        s["pair_id"]
        for n in range(40)
        for s in make("random").of([{"pair_id": str(n), "input": ""}])[0]
    }
    assert drawn == {f"p{n:02}" for n in range(16)}


def test_the_digest_is_that_of_what_is_chosen_from_and_how(make: Make, rows: Rows) -> None:
    base = make("nearest").digest
    held = [r for r in rows if r["split"] == "train"]
    assert make("nearest", pairs=held).digest == base
    assert make("nearest", pairs=rows[1:]).digest != base
    assert make("random").digest != base
    assert make("nearest", 3).digest != base


@pytest.mark.parametrize("choose", CHOICES)
def test_none_are_chosen_where_none_are_asked_for(make: Make, rows: Rows, choose: str) -> None:
    assert make(choose, 0).of([asked(rows, "test")]) == [[]]
    lonely = [r for r in rows if r["split"] == "test"]
    assert make(choose, 4, lonely).of([asked(rows, "test")]) == [[]]
