"""Rows that come and go write what they write alone."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from stillhouse.lm import continuous, decoder
from stillhouse.lm.continuous import Continuous, Row, Step
from stillhouse.lm.generation import generate
from stillhouse.models.loading import load_model

VOCABULARY, END = 256, 60


@pytest.fixture(scope="module")
def model(tiny_base: Path):
    return load_model(tiny_base, torch.device("cpu"), torch.float32)


def asked(seed: int, count: int = 12) -> list[Row]:
    drawn = random.Random(seed)
    return [
        Row(
            [drawn.randrange(VOCABULARY) for _ in range(drawn.randint(1, 30))],
            drawn.randint(1, 20),
            alternatives=drawn.choice([0, 3]),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("seed", [0, 1])
def test_rows_that_join_and_leave_write_what_is_written_alone(
    model, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In room for 16 tokens at first, which is made larger and smaller on the way."""
    monkeypatch.setattr(decoder, "SHORT", 16)
    rows = asked(seed)
    wanted = generate(
        model,
        [row.prompt for row in rows],
        end_ids=[END],
        max_new_tokens=[row.limit for row in rows],
        vocabulary=VOCABULARY,
    )
    writer = Continuous(model, end_ids=[END], vocabulary=VOCABULARY, rows=4)
    drawn, waiting = random.Random(seed), list(rows)
    steps: dict[Row, list[Step | None]] = {row: [] for row in rows}
    while waiting or writer.rows:
        joining = waiting[: writer.fitting(waiting[: drawn.randint(0, 3)])]
        del waiting[: len(joining)]
        told = writer.admit(joining) if joining else []
        for row, step in [*told, *(writer.step() if writer.rows else [])]:
            steps[row].append(step)
        assert len(writer.rows) <= 4
    for row, alone in zip(rows, wanted, strict=True):
        assert row.ids == alone.ids and row.ended == alone.ended
        assert row.log_probs == pytest.approx(alone.log_probs, abs=1e-4)
        assert [s.token for s in steps[row] if s and not s.ends] == row.ids
        for step in steps[row]:
            assert step is not None and len(step.likeliest) == row.alternatives
            if row.alternatives:  # greedily, the first of them is what was written
                assert step.likeliest[0][0] == step.token


def test_rows_that_nobody_waits_for_leave_the_others_as_they_are(model) -> None:
    rows = asked(2, 4)
    for row in rows:
        row.limit = 20
    writer = Continuous(model, end_ids=[END], vocabulary=VOCABULARY, rows=4)
    writer.admit(rows)
    writer.step()
    gone = set(writer.rows[:2])
    kept = [row for row in writer.rows if row not in gone]
    writer.leave(gone)
    while writer.rows:
        writer.step()
    alone = generate(
        model, [r.prompt for r in kept], end_ids=[END], max_new_tokens=20, vocabulary=VOCABULARY
    )
    assert [row.ids for row in kept] == [found.ids for found in alone]


def test_long_rows_wait_for_room(model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoder, "SHORT", 16)
    held = continuous.bytes_a_token(model) * 16 * 4
    monkeypatch.setattr(continuous, "HELD", held)
    writer = Continuous(model, end_ids=[END], vocabulary=VOCABULARY, rows=8)
    short, long = [Row([1, 2], 8) for _ in range(6)], Row([1] * 40, 8)
    assert writer.fitting(short) == 4
    writer.admit(short[:2])
    assert writer.fitting([long]) == 0  # only one of its length is ever written
    writer.leave(set(short))
    assert writer.fitting([long, *short]) == 1


class Allowed:
    """A grammar that leaves some tokens, the same at each step."""

    def __init__(self, *tokens: int) -> None:
        self.tokens = list(tokens)

    def allowed(self) -> np.ndarray:
        found = np.zeros(VOCABULARY, dtype=bool)
        found[self.tokens] = True
        return found

    def advance(self, token: int) -> None:
        assert token in self.tokens


def test_rows_side_by_side_draw_what_they_draw_alone_whatever_their_grammars_leave(model) -> None:
    """One is stuck at once, which ends no other."""

    def rows() -> list[Row]:
        return [
            Row([1, 2, 3], 6, 1.5, 0.9, random.Random(1), constraint=Allowed(5, 7, 9)),
            Row([4, 5], 6, 1.5, 0.9, random.Random(2), constraint=Allowed()),
            Row([4, 5], 6, constraint=Allowed(11)),
            Row([6], 6, 0.7, 1.0, random.Random(3)),
            Row([6], 6),
        ]

    def write(rows: list[Row]) -> list[tuple[list[int], bool]]:
        writer = Continuous(model, end_ids=[END], vocabulary=VOCABULARY, rows=5)
        writer.admit(rows)
        while writer.rows:
            writer.step()
        return [(row.ids, row.stuck) for row in rows]

    found = write(rows())
    assert found == [write([row])[0] for row in rows()]
    assert set(found[0][0]) <= {5, 7, 9} and found[1] == ([], True) and found[2][0] == [11] * 6
    assert [stuck for _, stuck in found] == [False, True, False, False, False]


def test_draws_keep_to_the_likeliest_and_come_again(model) -> None:
    def drawn(seed: int, temperature: float, top_p: float) -> list[int]:
        row = Row([1, 2, 3], 12, temperature, top_p, random.Random(seed))
        writer = Continuous(model, end_ids=[END], vocabulary=VOCABULARY, rows=1)
        writer.admit([row])
        while writer.rows:
            writer.step()
        return row.ids

    greedy = Row([1, 2, 3], 12)
    writer = Continuous(model, end_ids=[END], vocabulary=VOCABULARY, rows=1)
    writer.admit([greedy])
    while writer.rows:
        writer.step()
    assert drawn(1, 2.0, 1e-9) == greedy.ids
    assert drawn(1, 2.0, 1.0) == drawn(1, 2.0, 1.0)
    assert len({tuple(drawn(seed, 2.0, 1.0)) for seed in range(5)}) > 1
