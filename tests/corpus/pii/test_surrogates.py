from __future__ import annotations

import ipaddress
import re
from datetime import date

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillhouse.corpus.pii import fiction, invented
from stillhouse.corpus.pii.keyed import Keyed
from stillhouse.corpus.pii.surrogates import FORMS, Surrogates

KEY = b"a key of more than sixteen bytes"
OTHER = b"another key of sixteen bytes"

# Of each kind whose values have a likeness, some.
VALUES = {
    "PERSON": [f"First{n} Last{n}" for n in range(60)],
    "EMAIL_ADDRESS": [f"first{n}.last@acme{n}.test" for n in range(60)],
    "PHONE_NUMBER": [f"+49 30 901820 {n:02d}" for n in range(60)],
    "IBAN_CODE": [f"GB{n:02d} NWBK 6016 1331 9268 19" for n in range(60)],
    "CREDIT_CARD": [f"4111 1111 1111 11{n:02d}" for n in range(60)],
    "US_SSN": [f"536-22-87{n:02d}" for n in range(60)],
    "IP_ADDRESS": [f"10.20.30.{n}" for n in range(40)] + [f"fe80::{n}" for n in range(20)],
    "URL": [f"https://acme.test/{n}" for n in range(60)],
    "LOCATION": [f"Town of {n}" for n in range(60)],
    "ORGANIZATION": [f"Firm no. {n}" for n in range(60)],
    "ACCOUNT_NUMBER": [f"BW-7118{n:02d}-3" for n in range(60)],
}


@pytest.fixture(scope="module")
def mine() -> Surrogates:
    return Surrogates(Keyed(KEY))


@pytest.mark.parametrize("kind", VALUES)
def test_the_key_draws_another_value_for_each(mine: Surrogates, kind: str) -> None:
    same, theirs = Surrogates(Keyed(KEY)), Surrogates(Keyed(OTHER))
    drawn = [mine.of(kind, value, "") for value in VALUES[kind]]
    assert None not in drawn
    # The document is no matter.
    assert drawn == [same.of(kind, value, "elsewhere") for value in VALUES[kind]]
    # 60 values: two that share one are expected in 0.3 pairs of the smallest range (accounts).
    assert len(set(drawn)) >= 58
    assert not set(drawn) & set(VALUES[kind])
    others = [theirs.of(kind, value, "") for value in VALUES[kind]]
    assert sum(a == b for a, b in zip(drawn, others, strict=True)) <= 1


@pytest.mark.parametrize("kind", FORMS)
def test_what_is_nobodys_has_a_form_by_which_it_is_known(mine: Surrogates, kind: str) -> None:
    form = re.compile(FORMS[kind])
    for value in VALUES[kind]:
        sentence = f"Of {mine.of(kind, value, '')}, and {value}."
        found = [match[0] for match in form.finditer(sentence)]
        assert found == [mine.of(kind, value, "")]


def test_what_belongs_together_still_does(mine: Surrogates) -> None:
    first, last = str(mine.of("PERSON", "Maria Gonzalez", "")).split()
    assert mine.of("PERSON", "MARIA", "") == first
    assert mine.of("PERSON", "gonzalez,  maria", "") == f"{last}, {first}"
    assert mine.of("PERSON", "Anna-Maria Gonzalez", "") == (
        f"{mine.of('PERSON', 'Anna', '')}-{first} {last}"
    )
    mail = mine.of("EMAIL_ADDRESS", "Maria.Gonzalez@acme.com", "")
    assert str(mail).startswith(f"{first}.{last}@".lower()) and str(mail).endswith(".example")
    colleague = mine.of("EMAIL_ADDRESS", "tom_99@acme.com", "")
    assert str(colleague).split("@")[1] == str(mail).split("@")[1]
    elsewhere = mine.of("EMAIL_ADDRESS", "maria.gonzalez@acme.org", "")
    assert str(elsewhere).split("@")[0] == str(mail).split("@")[0] and elsewhere != mail


@pytest.mark.parametrize(
    "name",
    [
        "J.R. Smith",
        "O'Rourke",
        "Đặng Thị Hà",
        "प्रिया शर्मा",
        "王小明",
        "김 민수",
        "van der Berg",
        "Ödön",
    ],
)
def test_nothing_of_a_name_stays(mine: Surrogates, name: str) -> None:
    drawn = str(mine.of("PERSON", name, ""))
    words = re.split(r"[\s.\-]+", drawn)
    assert all(re.fullmatch(f"{invented.WORD}|[A-Z]", word) for word in words), drawn
    theirs = {part.casefold() for part in re.split(r"[\s.]+", name)}
    assert not theirs & {word.casefold() for word in words}


def test_one_word_names_seldom_share_a_surrogate(mine: Surrogates) -> None:
    drawn = {mine.of("PERSON", f"name{n}", "") for n in range(2000)}
    # 11.2 pairs are expected of 178,560 words; of pairs of words none.
    assert 2000 - len(drawn) < 30
    assert len({mine.of("PERSON", f"a{n} b{n}", "") for n in range(2000)}) == 2000
    assert len(fiction.HUNDREDS) * 100 == 137_700
    assert len(invented.HEADS) * len(invented.MIDDLES) * len(invented.TAILS) == 178_560


def test_numbers_are_right_and_nobodys(mine: Surrogates) -> None:
    for n in range(30):
        iban = str(mine.of("IBAN_CODE", f"GB{n}", "")).replace(" ", "")
        # ISO 13616: letters are numbers from 10 on, what stands in front goes behind.
        assert int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1
        assert len(iban) == 22 and iban.startswith("DE") and iban[4] == "9"
        card = str(mine.of("CREDIT_CARD", f"4111{n}", "")).replace(" ", "")
        doubled = [int(c) * (2 - place % 2) for place, c in enumerate(card)]
        assert sum(d - 9 * (d > 9) for d in doubled) % 10 == 0
        assert len(card) == 16 and card.startswith("999999")
        assert str(mine.of("US_SSN", f"536-22-{n}", "")).startswith("666-")
        assert ipaddress.ip_address(str(mine.of("IP_ADDRESS", f"10.1.1.{n}", ""))).is_reserved
        v6 = ipaddress.ip_address(str(mine.of("IP_ADDRESS", f"fe80::{n}", "")))
        assert v6 in ipaddress.ip_network("2001:db8::/32")
    for begin in fiction.HUNDREDS:
        number = phonenumbers.parse(f"{begin}00")
        assert phonenumbers.is_possible_number(number), begin
    # The examples that the authorities give.
    for known in ("+1 212 555 01", "+44 20 7946 09", "+33 1 99 00 12 ", "+49 30 23125 4"):
        assert known in fiction.HUNDREDS


def test_dates_move_together_within_a_document(mine: Surrogates) -> None:
    def moved(value: str, document: str) -> str | None:
        return mine.of("DATE_TIME", value, document)

    days = (date.fromisoformat(str(moved("2024-05-12", "a"))) - date(2024, 5, 12)).days
    assert 0 < abs(days) <= 730
    later = date(2024, 5, 22).toordinal() + days
    assert moved("22 May 2024", "a") == date.fromordinal(later).strftime("%d %B %Y")
    assert moved("5/22/2024", "a") == date.fromordinal(later).strftime("%m/%d/%Y")
    offsets = {moved("2024-05-12", f"document {n}") for n in range(50)}
    assert len(offsets) > 40 and "2024-05-12" not in offsets
    assert moved("last week", "a") is moved("0001-01-01" if days < 0 else "9999-12-31", "a") is None


def test_what_has_no_likeness_gets_none(mine: Surrogates) -> None:
    assert mine.of("NRP", "Catholic", "") is None
    assert re.fullmatch(r"[A-Z]{2}[1-9]\d{6}", str(mine.of("ACCOUNT_NUMBER", "BW-711824-3", "")))
    assert mine.of("ACCOUNT_NUMBER", "bw7118243", "") == mine.of(
        "ACCOUNT_NUMBER", "BW-711824-3", ""
    )


@given(st.sampled_from([*VALUES, "EMPLOYEE_ID"]), st.text(min_size=1, max_size=30))
def test_no_value_stands_for_itself(mine: Surrogates, kind: str, value: str) -> None:
    drawn = mine.of(kind, value, "")
    assert drawn is None or drawn.casefold() != value.casefold()
