from __future__ import annotations

import pytest

from stillhouse.config.corpus import Privacy
from stillhouse.corpus.masked import mask_settings
from stillhouse.corpus.pii.countries import is_my_number, kinds_of
from stillhouse.corpus.pii.masker import Masker
from stillhouse.corpus.pii.settings import PHONE_REGIONS
from stillhouse.errors import UserError
from stillhouse.offline import go_offline


@pytest.fixture(scope="module")
def masker() -> Masker:
    go_offline()
    privacy = Privacy(countries=["jp", "TH", "la", "gb"], recognizer="none")
    return Masker(mask_settings(privacy), b"a key of more than sixteen bytes")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("My number is 1234 5678 9018.", [("JP_MY_NUMBER", "1234 5678 9018")]),
        ("マイナンバー：123456789018", [("JP_MY_NUMBER", "123456789018")]),
        ("My number is 1234 5678 9017.", []),
        ("部品 1234 5678 9018 が届きました", []),
        (
            "〒100-0001 東京都千代田区千代田1-1 に送る",
            [("ADDRESS", "100-0001 東京都千代田区千代田1-1")],
        ),
        ("Tel 03-3213-1111", [("PHONE_NUMBER", "03-3213-1111")]),
        ("It rings at 020 5555 1234 all day", [("PHONE_NUMBER", "020 5555 1234")]),
        (
            "ส่งที่ 99/1 หมู่ 5 ตำบลบางรัก อำเภอเมือง จังหวัดตรัง 92000 ค่ะ",
            [("ADDRESS", "99/1 หมู่ 5 ตำบลบางรัก อำเภอเมือง จังหวัดตรัง 92000")],
        ),
        ("ถึงคุณสมชาย ใจดี", [("PERSON", "สมชาย ใจดี")]),
        ("NHS number 943 476 5919", [("UK_NHS", "943 476 5919")]),
    ],
)
def test_what_a_country_has_of_its_own(
    masker: Masker, text: str, found: list[tuple[str, str]]
) -> None:
    entities = masker.mask(text).entities
    assert [e.kind for e in entities] == [kind for kind, _ in found]
    for entity, (_, value) in zip(entities, found, strict=True):
        assert value in text[entity.start : entity.end]


def test_my_numbers_have_a_check_digit() -> None:
    # The number that the ministry's own examples use, and all others that differ in its last digit.
    assert [d for d in range(10) if is_my_number(f"12345678901{d}")] == [8]
    assert not is_my_number("12345678901")


def test_phone_regions_follow_the_countries_unless_they_are_set() -> None:
    assert mask_settings(Privacy()).phone_regions == PHONE_REGIONS
    assert mask_settings(Privacy(countries=["uk", "la"])).phone_regions == ("GB", "LA")
    both = Privacy(countries=["uk"], phone_regions=["FR"])
    assert mask_settings(both).phone_regions == ("FR",)


def test_kinds_of_a_country_are_its_peoples_not_its_companies() -> None:
    found = kinds_of(["de", "uk"])
    assert {"DE_TAX_ID", "DE_PASSPORT", "UK_NINO"} <= set(found)
    assert not {"DE_PLZ", "DE_VAT_ID", "UK_POSTCODE"} & set(found)
    with pytest.raises(UserError, match="nothing is known of xx"):
        kinds_of(["de", "xx"])
