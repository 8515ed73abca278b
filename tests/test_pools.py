"""Steps that run a model share a pool, daemon or not, and no killed run keeps a place."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext

from stillhouse import instance as stillhouse_instance
from stillhouse.cli.runs import run_job
from stillhouse.config.project import Project, load_project
from stillhouse.definitions import build_defs
from stillhouse.instance import open_instance
from stillhouse.step import POOL
from stillhouse.steps import STEPS
from stillhouse.storage.layout import Layout
from stillhouse.storage.locks import exclusive, one_of
from tests.forked import FORKED
from tests.made import MINIMAL


def write(root: Path, more: str = "") -> Project:
    (root / "stillhouse.yaml").write_text(MINIMAL + more)
    return load_project(root)


def defs_of(log: Path, seconds: float) -> dg.Definitions:
    """A step of the pool that writes a line when it begins, and takes its time."""

    @dg.asset(pool=POOL)
    def model() -> None:
        with log.open("a") as stream:
            stream.write("began\n")
        time.sleep(seconds)

    return dg.Definitions(assets=[model], jobs=[dg.define_asset_job("distill")])


def run_for_a_minute(root: str, log: str) -> None:
    project = load_project(root)
    with open_instance(project) as instance:
        run_job(defs_of(Path(log), 60), instance, Layout(project.data_path), "distill")


def lines(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def test_a_second_run_waits_for_its_place_and_gets_that_of_a_run_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setattr(stillhouse_instance, "LOOK_EVERY_SECONDS", 0.3)
    project, log = write(tmp_path), tmp_path / "log"
    first = FORKED.Process(target=run_for_a_minute, args=(str(tmp_path), str(log)))
    first.start()
    deadline = time.monotonic() + 120
    while lines(log) < 1:
        assert first.is_alive() and time.monotonic() < deadline
        time.sleep(0.05)
    outcome, asked = [], []
    claim = InstanceConcurrencyContext.claim

    def counted(*what: Any) -> bool:
        asked.append(what)
        return claim(*what)

    monkeypatch.setattr(InstanceConcurrencyContext, "claim", counted)

    def second() -> None:
        layout = Layout(project.data_path)
        outcome.append(run_job(defs_of(log, 0), instance, layout, "distill"))

    with open_instance(project) as instance, caplog.at_level(logging.INFO, logger="stillhouse"):
        thread = threading.Thread(target=second)
        thread.start()
        while "waiting for a place to run a model, after run" not in caplog.text:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert lines(log) == 1  # the second has not begun
        first.kill()
        first.join()
        thread.join(120)
        assert outcome and outcome[0].success and lines(log) == 2
        assert 1 < len(asked) < 150  # it sleeps in between: else tens of thousands a second
        assert not instance.event_log_storage.get_concurrency_info(POOL).claimed_slots
    monkeypatch.delenv("DAGSTER_HOME")


def test_the_project_file_says_how_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    for places, more in ((1, ""), (2, "automation: {models_at_once: 2}\n")):
        with open_instance(write(tmp_path, more)) as instance:
            limits = {p.name: p.limit for p in instance.event_log_storage.get_pool_limits()}
        assert limits == {POOL: places}
    monkeypatch.delenv("DAGSTER_HOME")


def test_every_step_that_runs_a_model_and_no_other_is_in_the_pool(tmp_path: Path) -> None:
    write(tmp_path)
    heavy = {step.name for step in STEPS.values() if step.heavy}
    assert "checkpoint" in heavy and "masked_documents" not in heavy
    graph = build_defs(tmp_path / "stillhouse.yaml").resolve_asset_graph()
    pooled = {
        node.key.path[-1]
        for node in graph.asset_nodes
        if node.is_materializable and node.pools == {POOL}
    }
    assert pooled == heavy


def test_so_many_as_there_are_places_hold_one_each(tmp_path: Path) -> None:
    places = Layout(tmp_path).models(2)
    entered = threading.Event()

    def third() -> None:
        with one_of(places, "a third"):
            entered.set()

    with one_of(places, "one"):
        with one_of(places, "two"):
            assert sorted(Layout(tmp_path).all_models) == sorted(places)
            thread = threading.Thread(target=third)
            thread.start()
            assert not entered.wait(0.3)
        assert entered.wait(30)
        thread.join()
        with exclusive(places[1], "the second is free"):
            pass
