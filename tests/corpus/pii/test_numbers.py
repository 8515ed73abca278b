from __future__ import annotations

import pytest

from stillhouse.corpus.pii.numbers import cards, ibans, phone_recognizer, phones
from stillhouse.corpus.pii.scripts import foreign_runs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4111 1111 1111 1111, 4111-1111-1111-1111.", 2),
        ("amex 378282246310005 or 3782 822463 10005", 2),
        ("cut anywhere: 41 1111 1111 1111 11 oddly", 1),
        # One digit is wrong; no issuer begins so; a part of a longer number; an amount.
        ("4111 1111 1111 1112", 0),
        ("9111111111111111 and 1234567812345670", 0),
        ("A4111111111111111 and 41111111111111110000", 0),
        ("4111111111111111.50", 0),
    ],
)
def test_cards_have_an_issuer_and_a_check_digit(text: str, expected: int) -> None:
    assert len(list(cards(text))) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00 12 May", ["DE89 3704 0044 0532 0130 00"]),
        ("gb82 west 1234 5698 7654 32", ["gb82 west 1234 5698 7654 32"]),
        ("FR1420041010050500013M02606,NL91-ABNA-0417-1643-00", 2),
        ("DE89 3704 0044 0532 0130 01", []),
    ],
)
def test_accounts_have_check_digits(text: str, found: list[str] | int) -> None:
    values = [text[f.start : f.end] for f in ibans(text)]
    assert (len(values) if isinstance(found, int) else values) == found


def test_phones_that_need_no_region() -> None:
    text = "+856 20 5555 1234; Tel.: (0)21 555 12, mobile 91 234 56 78; order 4589921, 2024-05-12"
    found = {text[f.start : f.end] for f in phones(text)}
    assert found == {"+856 20 5555 1234", "(0)21 555 12", "91 234 56 78"}


def test_words_of_another_script_in_a_latin_text() -> None:
    text = (
        "Please ask 山田 太郎 about it, he lives at 横浜市金沢区月島38丁目11番14号 and knows more."
    )
    assert [(f.kind, text[f.start : f.end]) for f in foreign_runs(text)] == [
        ("PERSON", "山田 太郎"),
        ("ADDRESS", "横浜市金沢区月島38丁目11番14号"),
    ]
    greek = "We met Σμαράγδα Χονδρούδη; the unit is µm, the angle α, and the word καλημέρα."
    assert [greek[f.start : f.end] for f in foreign_runs(greek)] == ["Σμαράγδα Χονδρούδη"]
    assert foreign_runs("昨日はVPNが動きませんでした") == []


def test_numbers_are_found_in_parts_of_a_text_as_in_the_whole() -> None:
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    recognizer = phone_recognizer(("US", "GB", "DE", "FR"))
    far = " and nothing else is said here, for quite a while, of whatever it may be "
    said = ["+44 20 7946 0958", "(212) 555-0199 ext. 12", "030 23125 01", "12/3/2024", "A10-2000"]
    text = "".join(f"{far}{value}, {other}{far}\n{value}" for value in said for other in said)
    whole = PhoneRecognizer.analyze(recognizer, text, ["PHONE_NUMBER"])
    ours = recognizer.analyze(text, ["PHONE_NUMBER"])
    assert len(whole) > 20
    assert {(r.start, r.end) for r in ours} == {
        *((r.start, r.end) for r in whole),
        *((f.start, f.end) for f in phones(text)),
    }
