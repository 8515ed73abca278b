"""Canaries are drawn evenly, learned where they should be, and told by what they leave."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch

from stillhouse.audit.exposure import exposures
from stillhouse.config.dataset import Task
from stillhouse.lm.prompts import Encoder
from stillhouse.models.loading import load_model, load_tokenizer
from stillhouse.student.canaries import affordable, bits, invent, others, plant, received
from stillhouse.tasks.kinds import open_tasks
from tests.written import written_task

COUNTS = {1: 4, 4: 2}


def test_canaries_are_the_same_for_a_seed_and_differ_for_another(
    routing: Task, routing_dataset: Path
) -> None:
    kinds = open_tasks(routing_dataset, [routing, written_task()])
    found = invent(kinds, COUNTS, seed=7)
    assert found == invent(kinds, COUNTS, seed=7)
    assert {c.secret for c in found}.isdisjoint(c.secret for c in invent(kinds, COUNTS, seed=8))
    # As many in answers as in texts, of either form.
    assert Counter((c.written, c.repeats, c.form) for c in found) == {
        (written, often, form): COUNTS[often] // 2
        for written in (True, False) for often in COUNTS for form in ("digits", "name")
    }  # fmt: skip
    assert [c.written for c in invent(kinds[:1], COUNTS, seed=7)] == [False] * 6
    drawn = others(found[0], 300, seed=7)
    assert len(drawn) == 300 and found[0].secret not in drawn
    assert bits("digits") < 20 < 27 < bits("name") < 28


def test_canaries_stay_few_beside_the_pairs(routing: Task, routing_dataset: Path) -> None:
    kinds = open_tasks(routing_dataset, [routing, written_task()])
    canaries = invent(kinds, COUNTS, seed=7)
    found = affordable(canaries, {True: 250, False: 400}, 0.02)
    # Those that stand once first; one that stands 4 times no longer fits beside 5 in answers.
    assert Counter((c.written, c.repeats) for c in found) == {
        (True, 1): 4, (False, 1): 4, (False, 4): 1,
    }  # fmt: skip
    assert affordable(canaries, {True: 40}, 0.02) == []
    assert len(affordable(canaries, {True: 99, False: 99}, 1.0)) == len(canaries)


def test_each_canary_gets_the_loss_that_it_should(
    routing: Task, routing_dataset: Path, tiny_teacher: Path
) -> None:
    model = load_model(tiny_teacher, torch.device("cpu"), torch.float32)
    tokenizer = load_tokenizer(tiny_teacher)
    kinds = open_tasks(routing_dataset, [routing, written_task()])
    encoder = Encoder(tokenizer, 96)
    planted = plant(invent(kinds, COUNTS, seed=7), encoder)
    for one, found in zip(
        planted, received(model, planted, pad_id=tokenizer.pad_token_id), strict=True
    ):
        said = tokenizer.decode(one.example.ids[one.start : one.end])
        assert said.strip() == one.canary.secret
        assert found["tokens"] == one.end - one.start > 2 and found["whole"]
        if one.canary.written:
            assert found["with_loss"] == found["tokens"] and found["loss"] > 0
        else:
            assert (found["with_loss"], found["loss"]) == (0, None)
        assert one.canary.secret not in str(found)
    # A text that loses its end loses its secret.
    short = plant(invent(kinds, {1: 1}, seed=7)[1:], Encoder(tokenizer, 24))
    assert not received(model, short, pad_id=tokenizer.pad_token_id)[0]["whole"]


def test_a_model_that_never_saw_them_has_no_exposure(
    routing: Task, routing_dataset: Path, tiny_teacher: Path
) -> None:
    model = load_model(tiny_teacher, torch.device("cpu"), torch.float32)
    encoder = Encoder(load_tokenizer(tiny_teacher), 96)
    kinds = open_tasks(routing_dataset, [routing, written_task()])
    canaries = invent(kinds, {1: 15}, seed=7)
    found = exposures(model, encoder, canaries, candidates=60, seed=7)
    mean = sum(e.exposure.value for e in found) / len(found)
    assert 0.8 < mean < 2.2  # 1.44, give or take three standard errors
    assert all(e.exposure.low <= e.exposure.value <= e.exposure.high for e in found)
