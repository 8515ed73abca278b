"""What answers are worth by what the log says of them, and what is not known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from stillhouse.config.dataset import ExtractionTask
from stillhouse.monitor.ab.metric import by_release
from stillhouse.monitor.ab.sample import Sampled
from stillhouse.monitor.ab.values import by_agreement, by_outcome
from stillhouse.monitor.traffic import traffic_schema
from stillhouse.storage.tables import write_table
from stillhouse.tasks.agreement import gold_as, rightness, said_as
from stillhouse.tasks.kinds import kind_of, open_tasks
from tests.monitor.test_drift import row as traffic_row


def write_traffic(folder: Path, rows: list[dict[str, Any]]) -> Path:
    table = pa.Table.from_pylist(rows, schema=traffic_schema())
    write_table(folder / "traffic.parquet", table)
    return folder / "traffic.parquet"


def asked(**known: Any) -> Sampled:
    return Sampled("r", "g", "text", **known)


@pytest.fixture
def kind(routing: Any, routing_dataset: Path) -> Any:
    return open_tasks(routing_dataset, [routing])[0]


def test_of_an_answer_that_was_not_given_nothing_is_made_up(kind: Any) -> None:
    served = {"answer": "billing", "release": "p-1"}
    rows = [
        asked(**served, score=1.0),  # both say it
        asked(**served, score=1.0),  # the candidate says something else: wrong
        asked(**served, score=0.0),  # the candidate says something else: who knows
        asked(**served, score=0.0, gold="hardware"),
        asked(**served, gold="nonsense"),
        asked(answer='{"queue":"billing"}', score=1.0),
    ]
    candidate = ["billing", "hardware", "hardware", "hardware", "hardware", "billing"]
    found = by_outcome(kind, rows, candidate, ["billing"] * 6)
    assert found.least.tolist() == [0, -1, 0, 1, -1, 0]
    assert found.most.tolist() == [0, -1, 1, 1, 1, 0]
    assert found.surely.tolist() == [True, True, False, True, False, True]
    assert found.right_or_wrong is None
    # Leaving out what is not known would make the served one look better than it is.
    assert found.least.mean() <= 0 <= found.most.mean()


def test_by_agreement_the_teacher_is_right(kind: Any) -> None:
    teacher = ["billing", "billing", "hardware", "hardware"]
    candidate, other = ["billing", "hardware"] * 2, ["billing", "hardware", "billing", "hardware"]
    found = by_agreement(kind, candidate, other, teacher)
    assert found.least.tolist() == found.most.tolist() == [0, 0, 0, 0]
    found = by_agreement(kind, candidate, ["billing"] * 4, teacher)
    assert found.least.tolist() == [0, -1, 0, 1]
    sides = found.right_or_wrong
    assert sides is not None and sides[0].tolist() == [True, False, False, True]
    against = by_agreement(kind, candidate, None, teacher)
    assert against.most.tolist() == [0, -1, -1, 0]


def test_written_answers_are_compared_as_their_kind_scores_them() -> None:
    task = ExtractionTask(
        name="order", kind="extraction", sources=["tickets"],
        fields={"color": {"values": ["red", "green"]}, "urgent": {"type": "boolean"}},
    )  # fmt: skip
    kind = kind_of(task).learned(task, None)  # type: ignore[arg-type]
    red, same = '{"color":"red","urgent":true}', '{"urgent": true, "color": "red"}'
    given = [red, same, '{"color":"green","urgent":true}', "nothing"]
    assert rightness(kind, [red] * 4, given).tolist() == [1, 1, 0.5, 0]
    assert said_as(kind, f" {red}\n") == red
    assert rightness(kind, [], []).shape == (0,)


def test_what_people_give_as_right_is_an_answer_of_the_task(kind: Any) -> None:
    assert gold_as(kind, " billing ") == "billing"
    assert gold_as(kind, "the moon") is None
    assert said_as(kind, '{"queue":"billing"}') == "billing"
    assert said_as(kind, "{no json") == "{no json"


def test_a_metric_is_compared_where_both_were_served(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [
        traffic_row(n, f"text {n}")
        | {"release": f"r-{n % 2}", "metric": float(rng.random() + n % 2)}
        for n in range(80)
    ]
    table = write_traffic(tmp_path, rows)
    found = by_release(table, "routing", ["r-1"])
    assert 0.7 < found["metric_low"] < 1 < found["metric_high"] < 1.3
    assert found["metric_candidate"] - found["metric_other"] == pytest.approx(1, abs=0.2)
    assert by_release(table, "routing", ["r-9"]) == {} == by_release(table, "routing", [])
