"""The price file: what is wrong with it is told by line and field."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from stillhouse.config.base import ConfigError
from stillhouse.economics.inputs import Input, inputs_of, values_of
from stillhouse.economics.page import markdown
from stillhouse.economics.prices import read_prices
from stillhouse.economics.reckoned import compare
from stillhouse.economics.tco import render_html

TEMPLATE = (files("stillhouse.economics") / "templates" / "prices.yaml").read_text("utf-8")


def written(folder: Path, *changes: tuple[str, str]) -> Path:
    text = TEMPLATE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "prices.yaml").write_text(text)
    return folder / "prices.yaml"


def test_the_template_compares_nothing_and_says_what_to_fill_in(tmp_path: Path) -> None:
    given = inputs_of(read_prices(written(tmp_path)), {})
    found = compare("router", "t-1", "EUR", "2026-01-01", given)
    assert found.costs == {} and found.reference is None and not found.break_evens
    assert "requests_per_month" in found.lacking["student"]
    text = markdown([found])
    assert "Of no way enough is known" in text and "per\\_million\\_input" not in text
    assert "7 figures are still the template's examples" in text
    # No price of anything is built in.
    money = ("price", "per_kwh", "per_year", "per_hour", "per_million_input", "per_million_output")
    assert not [name for name in values_of(given) if name.rpartition(".")[2] in money]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "as_of: 2026-01-01",
            "as_of: yesterday",
            r"prices.yaml:\d+: as_of: 'yesterday' is no date",
        ),
        ("currency: EUR", "currency: euros", r"currency: write its ISO 4217 code"),
        ("per_kwh: {value: null}", "per_kwh: {value: 0.3}", r"power.per_kwh.source: a value needs"),
        ("per_kwh: {value: null}", "per_kw: {value: null}", "did you mean `per_kwh`"),
        ("per_kwh: {value: null}", "per_kwh: {value: -1, source: x}", "power.per_kwh.value"),
        ("per_kwh: {value: null}", "per_kwh: {value: .inf, source: x}", "power.per_kwh.value"),
        ("per_kwh: {value: null}", "per_kwh: {value: 3, low: 4, source: x}", "`low` and `high`"),
        (
            "student: {value: null}",
            "student: {value: 5, source: x}",
            "staff.student.value: it is a",
        ),
        ("years: {value: 4", "years: {value: 0", "machines.student.years.value"),
        ("  - name: your-api", "  - {name: your-api}\n  - name: your-api", "more than once"),
    ],
)
def test_what_is_wrong_is_told_with_its_field(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        read_prices(written(tmp_path, (old, new)))
    assert caught.value.remedy and str(tmp_path / "prices.yaml") in caught.value.message


def test_a_building_uses_at_least_what_its_machines_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"power\.pue\.value: no building"):
        read_prices(written(tmp_path, ("pue: {value: 1.5", "pue: {value: 0.5"), ("low: 1.2, ", "")))


def test_the_file_goes_before_what_was_measured(tmp_path: Path) -> None:
    measured = {
        n: Input(n, 7.0, source="measured here", measured=True)
        for n in ("tokens.input", "tokens.output")
    }
    filled = ("input: {value: null}", "input: {value: 300, source: our logs, date: 2026-02-03}")
    given = inputs_of(read_prices(written(tmp_path, filled)), measured)
    assert (given["tokens.input"].value, given["tokens.input"].measured) == (300, False)
    assert given["tokens.input"].source == "our logs, 2026-02-03"
    assert given["tokens.output"] == measured["tokens.output"]


def test_names_of_the_file_cannot_break_out(tmp_path: Path) -> None:
    name = '"<script>alert(1)</script>|[x](http://x)"'
    changes = ("name: your-api", f"name: {name}")
    given = inputs_of(read_prices(written(tmp_path, changes)), {})
    found = compare("router", "t-1", "EUR", "2026-01-01", given)
    assert "<script>" not in render_html([found])
    text = markdown([found])
    assert "<script>" not in text and "[x](" not in text and "\\[x\\](" in text
