"""What is found in masked texts of five languages, and what is left alone."""

from __future__ import annotations

import pytest

from stillhouse.corpus.risk.quasi_identifiers import MOST_WORDS, quasi_identifiers


def found(text: str) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = {}
    for kind, value in quasi_identifiers(text):
        kinds.setdefault(kind, set()).add(value)
    return kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "The only dentist of Hilltown, aged 47, has been at Mercy Hospital since 12 May 2024.",
            {"role": "dentist", "place": "hilltown", "age": "40-49", "date": "2024-05"}
            | {"organisation": "mercy hospital"},
        ),
        (
            "Die Zahnärztin aus Radeberg, 52 Jahre alt, ist seit 03.04.2021 bei Nordwerk GmbH.",
            {"role": "zahnärztin", "place": "radeberg", "age": "50-59", "date": "2021-04"}
            | {"organisation": "nordwerk gmbh"},
        ),
        (
            "Une pharmacienne à Rouen, âgée de 33 ans, chez Dupont SARL depuis le 3 août 2019.",
            {"role": "pharmacienne", "place": "rouen", "age": "30-39", "date": "2019-08"}
            | {"organisation": "dupont sarl"},
        ),
        (
            "大阪市の歯科医（47歳）は2024年5月に株式会社ハリマへ移った。",
            {"role": "歯科医", "place": "大阪市", "age": "40-49", "date": "2024-05"}
            | {"organisation": "株式会社ハリマ"},
        ),
        (
            "ทันตแพทย์ จังหวัดเชียงใหม่ อายุ 47 ปี ทำงานที่ โรงพยาบาลสวนดอก ตั้งแต่ 12 พฤษภาคม 2567",
            {"role": "ทันตแพทย์", "place": "เชียงใหม่", "age": "40-49", "date": "2024-05"}
            | {"organisation": "โรงพยาบาลสวนดอก"},
        ),
    ],
    ids=["en", "de", "fr", "ja", "th"],
)  # fmt: skip
def test_of_each_language(text: str, expected: dict[str, str]) -> None:
    kinds = found(text)
    kinds.pop("rare_word", None)
    assert kinds == {kind: {value} for kind, value in expected.items()}


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("on 2024-05-12", "2024-05"),
        ("on 5/28/2024", "2024-05"),
        ("on 28/5/2024", "2024-05"),
        ("May 12, 2024", "2024-05"),
        ("in March 1999", "1999-03"),
        ("am 1. Dezember 2020", "2020-12"),
    ],
)
def test_dates_become_months(text: str, date: str) -> None:
    assert found(text)["date"] == {date}


@pytest.mark.parametrize(
    "text",
    [
        "My laptop screen is broken since Monday.",
        "The Reading list is on the desk; it may cost 2024.50 EUR.",
        "Das Essen war gut, der Rust-Code auch.",
        "Version 10.12.2 of May was installed, order 45 years.",
        "Paris-kuvora",
    ],
)
def test_what_tells_nobody(text: str) -> None:
    assert not found(text)


def test_masked_people_are_somebody_and_no_words() -> None:
    for somebody in ("Person-kuvora", "Ranavidor Talindagal", "<PERSON>", "Person-0x7fff2ce0c615"):
        assert found(f"It was {somebody} who juggles.")["rare_word"] == {"juggles"}
    assert "rare_word" not in found("It was Account-kuvora that juggles.")
    assert not found("It juggles. <EMAIL_ADDRESS>")
    many = " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200))
    assert len(found(f"Person-kuvora {many}")["rare_word"]) <= MOST_WORDS
