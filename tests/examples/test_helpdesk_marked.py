"""The helpdesk's marked texts: they are what their script makes, and hold what is promised."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from stillhouse.corpus.pii_gold import read_gold

HELPDESK = Path(__file__).parents[2] / "examples" / "helpdesk"
GOLD = HELPDESK / "pii_gold.jsonl"

Row = dict


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    return [json.loads(line) for line in GOLD.read_text("utf-8").splitlines()]


def values(rows: list[Row], kind: str) -> list[str]:
    return [r["text"][s["start"] : s["end"]] for r in rows for s in r["spans"] if s["kind"] == kind]


# The script on another day than that on which the file was made.
LATER = """
import datetime, pathlib, runpy, sys
class Later(datetime.date):
    @classmethod
    def today(cls):
        return cls(2031, 3, 9)
datetime.date = Later
del sys.argv[0]
sys.path.insert(0, str(pathlib.Path(sys.argv[0]).parent))
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_the_committed_file_is_what_the_script_makes(tmp_path: Path) -> None:
    script = HELPDESK / "build" / "marked.py"
    command = [sys.executable, "-c", LATER, str(script), "--out", str(tmp_path)]
    subprocess.run(command, check=True, timeout=120)
    assert (tmp_path / GOLD.name).read_bytes() == GOLD.read_bytes()
    assert GOLD.stat().st_size < 250_000


def test_it_is_a_gold_set_of_many_people_kinds_and_forms(rows: list[Row]) -> None:
    gold = read_gold(GOLD)
    assert len(gold.texts) == len(rows) == 400
    assert gold.unmarked == 0
    kinds = Counter(kind for text in gold.texts for kind, _, _ in text.spans)
    assert min(kinds["PERSON"], kinds["ADDRESS"]) > 200
    assert min(kinds["PHONE_NUMBER"], kinds["EMAIL_ADDRESS"]) > 80
    assert min(kinds["IBAN_CODE"], kinds["ACCOUNT_NUMBER"]) > 30
    assert min(kinds["CREDIT_CARD"], kinds["US_SSN"], kinds["PASSPORT"]) > 10
    assert kinds.keys() >= {"NATIONAL_ID", "TAX_NUMBER", "IP_ADDRESS"}
    assert set(Counter(row["locale"] for row in rows).values()) == {10}
    assert len({row["locale"] for row in rows}) == 40
    assert sum(not row["spans"] for row in rows) == 60
    assert not [row for row in rows if re.search(r"\{\w+\}", row["text"])]


def test_what_is_marked_is_what_it_is_said_to_be(rows: list[Row]) -> None:
    assert all(re.fullmatch(r"[\w.]+@[\w.-]+", v) for v in values(rows, "EMAIL_ADDRESS"))
    assert all(
        v.endswith((".example", ".com", ".org", ".net")) for v in values(rows, "EMAIL_ADDRESS")
    )
    for value in values(rows, "IBAN_CODE"):
        plain = value.replace(" ", "")
        assert int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
    assert all(re.search(r"\d", v) for v in values(rows, "ADDRESS") if v.isascii())
    assert not [v for v in values(rows, "PERSON") if re.search(r"[\d@]", v)]


def test_telephone_numbers_are_kept_for_fiction(rows: list[Row]) -> None:
    ranges = (
        *(r"1?\d{3}55501\d\d", r"(44|0)2079460\d{3}", r"(44|0)7700900\d{3}", r"0161496\d{4}"),
        *(r"025550\d{4}", r"(61|0)491570(006|15\d)", r"(49|0)3023125\d{3}", r"0171392\d{4}"),
        *(r"4906990009\d{3}", r"(330?|0)1990?0\d{4}", r"(33|0)63998\d{4}", r"070174065\d"),
        *(r"46846500 ?4\d\d", r"03139006\d\d", r"(353|0)2091\d{5}"),
    )
    for value in values(rows, "PHONE_NUMBER"):
        digits = re.sub(r"\D", "", value)
        assert any(re.fullmatch(form, digits) for form in ranges), value


def test_nothing_marked_stands_unmarked_elsewhere(rows: list[Row]) -> None:
    """A full name that stands in a text twice is marked twice."""
    for row in rows:
        for span in row["spans"]:
            value = row["text"][span["start"] : span["end"]]
            if len(value) < 8:
                continue
            places = [m.start() for m in re.finditer(re.escape(value), row["text"])]
            covered = [s for s in row["spans"] if any(s["start"] <= p < s["end"] for p in places)]
            assert len(covered) >= len(places), value
