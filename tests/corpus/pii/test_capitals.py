from __future__ import annotations

import pytest

from stillhouse.corpus.pii.capitals import names_in_runs, recased
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.offline import go_offline


@pytest.fixture(scope="module")
def masker() -> Masker:
    go_offline()
    return Masker(MaskSettings(), b"a key of more than sixteen bytes")


def found(masker: Masker, text: str) -> list[str]:
    return [text[e.start : e.end] for e in masker.mask(text).entities]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("JOHN LEE called.", ["JOHN LEE"]),
        ("Please ask JOHN LEE about it", ["JOHN LEE"]),
        ("DEAR JOHN LEE", ["JOHN LEE"]),
        ("MR. JOHN LEE CALLED ABOUT THE PUMP", ["JOHN LEE"]),
        ("Mr LEE called", ["LEE"]),
        ("Ask Dr. IAN", ["IAN"]),
        ("Maria GONZALEZ asked again", ["Maria GONZALEZ"]),
        ("Invoice for LEE, JOHN", ["LEE", "JOHN"]),
        ("It works.\n\nRegards, ANA DIAZ", ["ANA DIAZ"]),
        ("Mr Lee is away. Is LEE back on Monday?", ["Lee", "LEE"]),
        ("Fiona Haddadin has left. FIONA HADDADIN! fiona haddadin?", ["Fiona Haddadin"] * 3),
    ],
)
def test_names_in_capitals_are_found(masker: Masker, text: str, names: list[str]) -> None:
    assert [name.casefold() for name in found(masker, text)] == [n.casefold() for n in names]


@pytest.mark.parametrize(
    "text",
    [
        "Dear HR, the VPN and the API KEY for SAP are gone",
        "HTTP API GATEWAY TIMEOUT on SQL SERVER",
        "Hello IT TEAM, the PC of the QA LAB is slow",
        "NET WEIGHT 12 KG, GROSS WEIGHT 14 KG",
        "INTERNAL USE ONLY",
        "DO NOT DELETE. OUT OF OFFICE.",
        "PURCHASE ORDER",
    ],
)
def test_other_words_in_capitals_are_no_names(masker: Masker, text: str) -> None:
    assert found(masker, text) == []


def test_a_text_wholly_in_capitals_does_not_lose_its_words(masker: Masker) -> None:
    text = "HELLO, JOHN SAID THE PUMP IS LATE. HE SAID IT TWICE. I SAID NOTHING. CALL JOHN LEE."
    assert found(masker, text).count("SAID") <= 1
    assert "JOHN LEE" in found(masker, text)


def test_capitals_and_lower_case_share_a_pseudonym(masker: Masker) -> None:
    capital, usual = masker.mask("Ask JOHN LEE."), masker.mask("Ask John Lee.")
    assert capital.text == usual.text


@pytest.mark.parametrize("text", ["ANA DIAZ", "Ana O'NEIL-DIAZ, STRAẞE İZMİR", "SEÑOR ÇELİK"])
def test_recased_keeps_places(text: str) -> None:
    reading = recased(text)
    assert len(reading.text) == len(text)
    assert reading.runs


def test_recased_writes_names_as_names_and_leaves_acronyms() -> None:
    assert recased("ask ANA O'NEIL-DIAZ of the VPN").text == "ask Ana O'Neil-Diaz of the VPN"
    assert recased("the API KEY and the VPN").runs == []
    assert recased("Dear Ana, the VPN").runs == []


def test_what_is_also_written_in_lower_case_is_a_heading_but_for_addresses() -> None:
    def kept(text: str) -> list[tuple[int, int]]:
        return names_in_runs(text, [(0, 8)], [(0, 8)])

    assert kept("SEAL KIT: the seal and its (kit).") == []
    assert kept("SEAL KIT: the seal is new.") == [(0, 8)]
    assert kept("JOHN LEE, john.lee@acme.example") == [(0, 8)]
    assert kept("JOHN LEE <lee-john@acme.example>") == [(0, 8)]
    assert kept("DEAR LEE, hello") == [(5, 8)]
