"""How far a dataset is from what students learned from, and when that is far enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
import yaml

from stillhouse.config.base import ConfigError
from stillhouse.config.project import load_project
from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.dataset.moved import moved_since
from stillhouse.definitions import build_defs
from stillhouse.moved import in_full, version_in_use, worth_another
from stillhouse.outside import open_state
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.provenance import read_provenance
from stillhouse.storage.tables import write_table
from stillhouse.teacher.answers import TABLE
from tests.made import MINIMAL, make_all

Pairs = dict[str, str | None]


def dataset(path: Path, train: Pairs) -> None:
    rows = [
        {"pair_id": pair, "split": "train", "task": "routing", "response": said}
        for pair, said in train.items()
    ]
    rows.append({"pair_id": "other", "split": "test", "task": "routing", "response": "a"})
    write_table(path, pa.Table.from_pylist(rows))


def learned(path: Path, pairs: list[str]) -> None:
    rows = [{"pair_id": pair, "split": "train", "task": "routing"} for pair in pairs]
    rows.append({"pair_id": "held", "split": "validation", "task": "routing"})
    write_table(path, pa.Table.from_pylist(rows))


def test_pairs_are_new_or_gone_and_asked_ones_are_neither(tmp_path: Path) -> None:
    learned(tmp_path / "l.parquet", ["p1", "p2", "p3", "u1"])
    write_table(tmp_path / "a.parquet", pa.table({"pair_id": ["u1", "u2"]}))
    dataset(tmp_path / "d.parquet", {"p1": "a", "p2": "a", "p4": "b", "u1": None, "u2": None})
    paths = (tmp_path / "l.parquet", tmp_path / "a.parquet", tmp_path / "d.parquet")
    moved = moved_since(*paths, ["routing"])
    assert (moved.learned, moved.new, moved.gone) == (4, 1, 1)  # p4; p3
    assert moved.share == 0.5
    assert str(moved) == "the dataset moved on: 1 pairs newer and 1 pairs gone"
    dataset(tmp_path / "d.parquet", {"p1": "a", "p2": "a", "p3": "c", "u1": None, "u3": None})
    assert str(moved_since(*paths, ["routing"])) == "the dataset moved on: 1 pairs newer"
    assert moved_since(*paths, ["other"]).learned == 0


@pytest.fixture
def distilled(tmp_path: Path) -> Callable[..., State]:
    """A project whose student learned from a hundred pairs, with settings of `automation`."""

    def make(**redistill: Any) -> State:
        (tmp_path / "t.jsonl").write_text("{}\n")
        values = yaml.safe_load(MINIMAL) | {"automation": {"redistill": redistill}}
        (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
        state = make_all(open_state(load_project(tmp_path)))
        checkpoint = state.folder(Artefact(STEPS["checkpoint"], "t-1", "router"))
        learned(checkpoint / LEARNED_FROM, [f"p{n}" for n in range(100)])
        answers = state.layout.teacher_answers("t-1") / TABLE
        write_table(answers, pa.table({"pair_id": pa.array([], pa.string())}))
        return state

    return make


def grow(state: State, by: int) -> None:
    table = state.layout.table("dataset_splits")
    dataset(table, {f"p{n}": "a" for n in range(100 + by)})
    record = read_provenance(table.parent)
    assert record is not None
    facts = {**record.facts, "digest": f"grown by {by}"}
    dataclasses.replace(record, facts=facts).write(table.parent)


def test_a_share_or_a_time_makes_another_distillation_worth_it(
    distilled: Callable[..., State],
) -> None:
    state = distilled(changed=0.05, days=30)
    grow(state, 0)
    later = datetime.now(UTC) + timedelta(days=31)
    assert version_in_use(state) == "t-1"
    assert worth_another(state, "t-1") == worth_another(state, "t-1", now=later) == {}
    grow(state, 4)
    assert worth_another(state, "t-1") == {}
    assert "30 days" in worth_another(state, "t-1", now=later)["router"]
    grow(state, 5)
    assert worth_another(state, "t-1")["router"].endswith("5% of what it learned from")
    student = Artefact(STEPS["checkpoint"], "t-1", "router")
    assert in_full(state, student, "stale") == "stale; the dataset moved on: 5 pairs newer"
    assert in_full(state, student, None) is None


def test_the_sensor_asks_once_a_dataset_for_the_version_in_use(
    distilled: Callable[..., State],
) -> None:
    state = distilled(changed=0.05)
    sensor = build_defs(state.project.file).resolve_sensor_def("dataset_moved")
    with dg.instance_for_test() as instance:

        def tick() -> Any:
            return sensor(dg.build_sensor_context(instance=instance))

        grow(state, 2)
        assert "far enough" in str(tick().skip_message)
        grow(state, 7)
        assert "not registered" in str(tick().skip_message)
        instance.add_dynamic_partitions("teacher_version", ["t-1"])
        (request,) = tick().run_requests
        assert (request.partition_key, sensor.job_name) == ("t-1", "distill")
        assert "7 pairs newer" in request.tags["stillhouse/why"]
        # The daemon runs a key once: it is the same as long as the dataset is.
        assert tick().run_requests[0].run_key == request.run_key
        grow(state, 8)
        assert tick().run_requests[0].run_key != request.run_key


def test_schedules_come_from_the_project_file(
    distilled: Callable[..., State], tmp_path: Path
) -> None:
    state = distilled()
    values = yaml.safe_load((tmp_path / "stillhouse.yaml").read_text())
    named = [
        {"name": "nightly", "cron": "30 1 * * *", "time_zone": "Asia/Bangkok"},
        {"name": "tidy", "cron": "0 4 * * 1", "does": "clear_caches"},
    ]
    values["automation"] = {"schedules": named}
    (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    defs = build_defs(state.project.file)
    nightly, tidy = (defs.resolve_schedule_def(name) for name in ("nightly", "tidy"))
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("30 1 * * *", "Asia/Bangkok")
    assert (nightly.job_name, tidy.job_name) == ("refresh", "clear_caches")

    with pytest.raises(ConfigError, match=r"schedules\[0\]\.cron: '61 1 \* \* \*' is no cron"):
        (tmp_path / "stillhouse.yaml").write_text(
            yaml.safe_dump(values).replace("30 1 * * *", "61 1 * * *")
        )
        build_defs(state.project.file)

    old = state.layout.cache("hidden") / "entry"
    old.mkdir(parents=True)
    (old / "x").write_bytes(b"x" * 1000)
    values["caches"] = {"days": 0.000001}
    (tmp_path / "stillhouse.yaml").write_text(yaml.safe_dump(values))
    with dg.instance_for_test() as instance:
        with dg.build_schedule_context(
            instance=instance, scheduled_execution_time=datetime(2026, 3, 2, 4, tzinfo=UTC)
        ) as context:
            found = tidy.evaluate_tick(context)
        assert len(found.run_requests or []) == 1
        assert defs.resolve_job_def("clear_caches").execute_in_process(instance=instance).success
    assert not old.exists()
