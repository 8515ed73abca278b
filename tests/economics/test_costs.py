"""The formulas: against the examples of docs/economics.md, and against what must always hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from stillhouse.economics.compared import (
    MOST_MACHINES,
    break_even,
    curve,
    lacking,
    reference,
    tornado,
    ways,
)
from stillhouse.economics.costs import (
    VOLUME,
    amortisation,
    capacity,
    cost,
    machines_for,
    training_hour,
)
from stillhouse.economics.inputs import Input, Inputs

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "economics.md").read_text()
SOME = "api.some"


@pytest.fixture(scope="module")
def values() -> dict[str, float]:
    (block,) = [b for b in re.findall(r"```yaml\n(.*?)```", DOCS, re.S) if VOLUME in b]
    found: dict[str, float] = yaml.safe_load(block)
    return found


def inputs(values: dict[str, float]) -> Inputs:
    return {name: Input(name, value, source="x") for name, value in values.items()}


def test_the_examples_of_the_documentation_are_what_comes_out(values: dict[str, float]) -> None:
    rows = re.findall(r"^\| ([\w ,-]+) \|.*\*\*([\d.]+)\*\* \|$", DOCS, re.M)
    student, teacher, api = (cost(way, values) for way in ("student", "teacher", SOME))
    found = {
        "capacity": capacity("student", values),
        "machines": machines_for("student", values, values[VOLUME]),
        "hardware": amortisation("student", values),
        "training hour": training_hour(values),
        "tokens": api.items["tokens"],
        **{name: student.items[name] for name in ("power", "staff", "distillation", "labelling")},
        "student": student.month,
        "teacher": teacher.month,
        "API": api.month,
        "per 1,000": student.per_thousand,
        "break-even": break_even(values, SOME).volume,
    }
    assert {name: f"{value:.2f}" for name, value in found.items()} == dict(rows)
    assert student.machines == teacher.machines == 1 and api.machines == 0


def test_at_the_break_even_both_cost_the_same(values: dict[str, float]) -> None:
    found = break_even(values, SOME)
    assert found.volume is not None and "requests a month on" in found.says
    own, theirs = (cost(way, values, found.volume).month for way in ("student", SOME))
    assert own == pytest.approx(theirs)
    for factor, cheaper in ((0.99, False), (1.01, True)):
        volume = found.volume * factor
        assert (cost("student", values, volume).month < cost(SOME, values, volume).month) == cheaper


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"staff.student": 0.0, "labelling.per_hour": 0, "machines.student.price": 0,
          "machines.student.watts_idle": 0, "distillation.hours": 0, "staff.api": 0.5},
         "from the first request on"),
        # A machine in full use costs more than the tokens.
        ({"api.some.per_million_input": 0.0, "api.some.per_million_output": 0.0},
         "never: even a machine in full use"),
        # It would, but not with as many machines as are looked at.
        ({"machines.student.requests_per_second": 1e-4, "staff.per_year": 1e9,
          "api.some.per_million_input": 1e5}, f"never: not with up to {MOST_MACHINES:,}"),
    ],
)  # fmt: skip
def test_where_there_is_no_break_even_it_says_why(
    values: dict[str, float], changes: dict[str, float], says: str
) -> None:
    found = break_even(values | changes, SOME)
    assert found.says.startswith(says)
    assert found.volume == (0.0 if says.startswith("from") else None)


def test_one_more_machine_may_make_it_dearer_again(values: dict[str, float]) -> None:
    # A machine is full at 78,894 requests, and the student is just cheaper by then.
    slow = {"machines.student.requests_per_second": 0.1, "machines.student.price": 4000}
    slow |= {"staff.student": 0.009, "staff.api": 0.01, "labelling.per_hour": 0}
    found = break_even(values | slow | {"api.some.per_million_input": 3.0}, SOME)
    assert found.volume is not None
    (since,) = re.findall(r"dearer again for a while from ([\d,]+) on", found.says)
    step = float(since.replace(",", ""))
    now = values | slow | {"api.some.per_million_input": 3.0}
    before, after = (
        cost("student", now, v).month - cost(SOME, now, v).month for v in (step - 1, step + 1)
    )
    assert before < 0 < after and found.volume < step


def test_machines_are_bought_when_one_is_full(values: dict[str, float]) -> None:
    full = capacity("teacher", values)
    assert [machines_for("teacher", values, full * x) for x in (0.0, 1, 1.001, 3)] == [1, 1, 2, 3]
    one, two = (cost("teacher", values, full * x).items["hardware"] for x in (1, 1.5))
    assert two == 2 * one
    assert cost("student", values, 10).per_thousand > cost("student", values, 1000).per_thousand


def test_the_tornado_is_sorted_and_moves_one_figure_at_a_time(values: dict[str, float]) -> None:
    given = inputs(values)
    given["power.per_kwh"] = Input("power.per_kwh", 0.3, low=0.3, high=0.3, source="a contract")
    found = tornado(given, SOME)
    assert [one.swing for one in found] == sorted((one.swing for one in found), reverse=True)
    by_name = {one.name: one for one in found}
    assert by_name["power.per_kwh"].swing == 0
    price = by_name["api.some.per_million_input"]
    assert (price.low, price.high) == (0.8, 1.2)
    assert price.saved_high - price.saved_low == pytest.approx(400 * 0.4)
    saving = cost(SOME, values).month - cost("student", values).month
    assert (price.saved_high + price.saved_low) / 2 == pytest.approx(saving)
    # A share stays one.
    given["staff.student"] = Input("staff.student", 0.95, source="x")
    assert {o.name: o for o in tornado(given, SOME)}["staff.student"].high == 1.0
    assert not any(one.name.startswith("machines.teacher") for one in found)


def test_the_curve_goes_through_the_volume(values: dict[str, float]) -> None:
    rows = curve(values, ["student", SOME])
    volumes = [row[VOLUME] for row in rows]
    assert volumes[0] == pytest.approx(1e4) and volumes[-1] == pytest.approx(1e8)
    (middle,) = [row for row in rows if row[VOLUME] == values[VOLUME]]
    assert middle["student"] == cost("student", values).per_thousand


def test_what_lacks_is_named_and_the_cheapest_other_is_the_reference(
    values: dict[str, float],
) -> None:
    given = inputs({n: v for n, v in values.items() if n != "tokens.output"})
    given["tokens.output"] = Input("tokens.output", None)
    assert ways(given) == ["student", "teacher", SOME]
    assert {way: lacking(way, given) for way in ways(given)} == {
        "student": [], "teacher": [], SOME: ["tokens.output"]
    }  # fmt: skip
    assert reference(values, ["teacher", SOME]) == SOME
    assert reference(values | {"staff.api": 1.0}, ["teacher", SOME]) == "teacher"
    assert reference(values, []) is None
