"""From what a project measured, and its price file, to the report."""

from __future__ import annotations

import base64
import csv
import datetime
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.project import load_project
from stillhouse.economics.measured import DISTILLED, measured
from stillhouse.economics.page import markdown
from stillhouse.economics.reckoned import reckon
from stillhouse.economics.tco import report
from stillhouse.errors import UserError
from stillhouse.outside import prices
from stillhouse.shapes import Where
from stillhouse.state import Artefact, State
from stillhouse.steps import STEPS
from stillhouse.storage.tables import write_table
from tests.made import MINIMAL, make_all

PROJECT = MINIMAL + "economics: {prices: prices.yaml}\nautomation: {redistill: {days: 73.05}}\n"
PRICES = """\
currency: THB
as_of: 2026-03-01
requests_per_month: {value: 100000, source: the log}
machines:
  student: &machine
    price: {value: 90000, source: an offer, date: 2026-02-01}
    years: {value: 5, source: finance}
    watts_busy: {value: 100, source: a meter}
    watts_idle: {value: 30, source: a meter}
    utilisation: {value: 0.5, source: assumed}
  teacher: *machine
  training: *machine
power: {per_kwh: {value: 4.2, source: the bill}, pue: {value: 1.6, source: facilities}}
staff:
  per_year: {value: 900000, source: payroll}
  student: {value: 0.1, source: assumed}
  teacher: {value: 0.1, source: assumed}
labelling: {per_hour: {value: 300, source: payroll}, hours_per_year: {value: 24, source: plan}}
api: [{name: some, per_million_input: {value: 5, source: "list price, 2026-03-01"}}]
"""


@pytest.fixture
def state(tmp_path: Path) -> State:
    """Measured: the student answers 40 texts a second, its teacher 4; each step took 6 minutes."""
    (tmp_path / "stillhouse.yaml").write_text(PROJECT)
    (tmp_path / "prices.yaml").write_text(PRICES)
    state = make_all(State(load_project(tmp_path)))
    for name in DISTILLED:
        timed(state, name, seconds=360.0)
    timed(state, "evaluation_report", texts_per_second={"student_quantized": 40.0, "teacher": 4.0})
    return state


def timed(state: State, name: str, seconds: float | None = 360.0, **facts: Any) -> None:
    artefact = Artefact(STEPS["evaluation_report"], "t-1", "router").beside(name)
    record = state.record(artefact)
    assert record is not None
    replace(record, seconds=seconds, facts={**record.facts, **facts}).write(state.folder(artefact))


def test_what_was_measured_goes_in_by_itself(state: State, tmp_path: Path) -> None:
    facts = report(state, "t-1", tmp_path / "out")
    assert (facts.version, facts.currency, facts.as_of) == ("t-1", "THB", "2026-03-01")
    (ways,) = facts.months.values()
    assert set(ways) == {"student", "teacher"}
    # 40 a second, half of the time: one machine, busy for 0.694 hours.
    busy = 100_000 / 40 / 3600
    power = (busy * 100 + (730.5 - busy) * 30) / 1000 * 1.6 * 4.2
    hour = 90_000 / (5 * 8766 * 0.5) + 0.1 * 1.6 * 4.2
    again = 5 / 12 * 0.6 * hour  # each 73.05 days, six steps of six minutes
    expected = 90_000 / 60 + power + 900_000 * 0.1 / 12 + again + 300 * 2
    assert ways["student"] == pytest.approx(expected)
    assert facts.break_even["router"].keys() == {"teacher"}
    assert facts.to_fill_in == [
        *("api.some.per_million_output", "staff.api", "tokens.input", "tokens.output"),
    ]
    page = (tmp_path / "out" / "tco.html").read_text()
    assert "Student, own hardware" in page and page.count("data:image/svg+xml") == 2
    pictures = re.findall(r"data:image/svg\+xml;base64,([^\"]+)", page)
    drawn = b"".join(map(base64.b64decode, pictures)).decode()
    assert "mathdefault" not in drawn and ">100 k<" in drawn
    assert "measured here" in page and "list price, 2026-03-01" in page
    rows = list(csv.DictReader((tmp_path / "out" / "costs.csv").open()))
    (total,) = [r for r in rows if (r["way"], r["item"]) == ("student", "all")]
    assert float(total["a month"]) == pytest.approx(expected, abs=0.01)
    assert len(list(csv.DictReader((tmp_path / "out" / "curve.csv").open()))) == 41


def test_a_student_is_as_fast_as_its_server_was_measured(state: State) -> None:
    name = "machines.student.requests_per_second"
    assert measured(state, "t-1", "router")[name].value == 40.0
    timed(state, "latency_profile", figures={"requests_per_second": 31.5})
    found = measured(state, "t-1", "router")
    assert found[name].value == 31.5 and "its server" in found[name].source
    assert found["machines.teacher.requests_per_second"].value == 4.0


def test_the_same_report_has_the_same_digest(state: State, tmp_path: Path) -> None:
    first, again = (report(state, "t-1", tmp_path / name).digest for name in ("a", "b"))
    (tmp_path / "prices.yaml").write_text(PRICES.replace("value: 4.2", "value: 4.3"))
    assert first == again != report(state, "t-1", tmp_path / "c").digest


def test_a_step_that_was_not_timed_leaves_the_hours_open(state: State, tmp_path: Path) -> None:
    timed(state, "soft_labels", seconds=None)
    assert "distillation.hours" not in measured(state, "t-1", "router")
    facts = report(state, "t-1", tmp_path / "out")
    assert "distillation.hours" in facts.to_fill_in and "student" not in facts.months["router"]


def test_without_prices_or_a_measured_student_nothing_is_reckoned(
    state: State, tmp_path: Path
) -> None:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    bare = replace(state, project=load_project(tmp_path))
    for facts in (report(bare, "t-1", tmp_path / "out"), report(state, None, tmp_path / "out")):
        assert facts.months == {} and facts.to_fill_in == []
    assert "No price file is named" in (tmp_path / "out" / "tco.html").read_text()


def test_requests_are_as_long_as_the_held_out_ones(state: State, tmp_path: Path) -> None:
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0, "a": 1, "b": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(state.layout.teacher_weights("t-1") / "tokenizer.json"))
    rows = [("p1", "test", "routing", "a b"), ("p2", "train", "routing", "b " * 99)]
    rows += [("p3", "test", "other", "b " * 99)]
    names = ("pair_id", "split", "task", "input")
    columns: dict[str, Any] = dict(zip(names, zip(*rows, strict=True), strict=True))
    columns |= {"instruction": ["a"] * 3, "response": ["b"] * 3}
    table = pa.table({name: list(values) for name, values in columns.items()})
    write_table(state.layout.table("dataset_splits"), table)
    found = measured(state, "t-1", "router")
    assert (found["tokens.input"].value, found["tokens.output"].value) == (3.0, 1.0)
    assert "1 held-out pairs" in found["tokens.input"].source


def test_other_prices_or_another_release_make_it_stale(state: State, tmp_path: Path) -> None:
    where = Where(state.project)
    before = prices(state, where)
    link = state.layout.channel("router", "production")
    link.parent.mkdir(parents=True)
    link.symlink_to("../../releases/router/t-1-abc")
    released = prices(state, where)
    (tmp_path / "prices.yaml").write_text(PRICES + "# looked at again\n")
    assert len({before, released, prices(state, where)}) == 3
    (tmp_path / "prices.yaml").unlink()
    assert prices(state, where) is None  # what was recorded counts
    with pytest.raises(UserError, match=r"prices\.yaml"):
        report(state, "t-1", tmp_path / "out")


def test_the_command_writes_a_file_to_fill_in_and_prints_the_table(
    state: State, tmp_path: Path
) -> None:
    run = CliRunner().invoke
    (tmp_path / "prices.yaml").unlink()
    assert run(app, ["tco", "--init", "-p", str(tmp_path)]).exit_code == 0
    text = (tmp_path / "prices.yaml").read_text()
    again = run(app, ["tco", "--init", "-p", str(tmp_path)])
    assert isinstance(again.exception, UserError) and "exists already" in again.exception.message
    assert (tmp_path / "prices.yaml").read_text() == text
    printed = run(app, ["tco", "-p", str(tmp_path)])
    assert printed.exit_code == 0 and "Not compared" in printed.stdout
    (tmp_path / "prices.yaml").write_text(PRICES)
    printed = run(app, ["tco", "-p", str(tmp_path), "--teacher", "t-1"])
    assert "Student, own hardware" in printed.stdout
    # The teacher needs a second machine then: 4 a second, half of the time.
    assert "from 5,259,600 requests a month on" in printed.stdout


def test_old_prices_and_those_of_days_to_come_are_told(state: State) -> None:
    file = state.project.root / "prices.yaml"
    today = datetime.date.today()  # noqa: DTZ011 - as the report takes it

    def told(*changes: tuple[str, str]) -> str:
        text = PRICES.replace("2026-03-01\nrequests", f"{today}\nrequests")
        text = text.replace("date: 2026-02-01", f"date: {today}")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file.write_text(text)
        return markdown(reckon(state, "t-1"))

    fresh = told()
    assert "more than a year ago" not in fresh and "still to come" not in fresh
    before, after = today - datetime.timedelta(days=400), today + datetime.timedelta(days=9)
    found = told(("the bill}", f"the bill, date: {before}}}"), ("plan}", f"plan, date: {after}}}"))
    assert "1 figure is of more than a year ago, and may no longer hold: power.per_kwh" in found
    assert "1 figure is of a day that is still to come: labelling.hours_per_year" in found
    assert "3 figures are of more than" in told((f"date: {today}", f"date: {before}"))
