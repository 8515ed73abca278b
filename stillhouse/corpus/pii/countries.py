"""What is personal in a country: Presidio's recognizers of it, and our own where it has none.

A country is named by two letters (`de`, `jp`; `uk` or `gb`). Its recognizers are Presidio's with
that country code, but for those of companies and of places alone.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.nlp import torch_hidden
from stillhouse.corpus.pii.functions import LANGUAGE
from stillhouse.errors import UserError

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

# Nobody's own number: a company's, a bank's; or a bare postcode, which is five digits. Who wants
# them names them in `privacy.entities`.
NOT_PERSONAL = {
    *("ABA_ROUTING_NUMBER", "AU_ABN", "AU_ACN", "CA_POSTAL_CODE", "DE_BSNR", "DE_HANDELSREGISTER"),
    *("DE_PLZ", "DE_VAT_ID", "IN_GSTIN", "IT_VAT_CODE", "KR_BRN", "SE_ORGANISATIONSNUMMER"),
    *("SG_UEN", "UK_POSTCODE", "US_PROVIDER_TAX_ID", "ZA_COMPANY_REGISTRATION", "ZA_VAT_NUMBER"),
}

MY_NUMBER = "JP_MY_NUMBER"

# Kinds and patterns of our own; what is before `\K` is no part of the find.
# Between the words of an address in Japanese, and no particle behind it.
_HAN = r"[\p{Han}\p{Katakana}ー々ヶのノ]"
PATTERNS: dict[str, dict[str, tuple[tuple[str, float], ...]]] = {
    "jp": {
        # A prefecture, and what follows it up to the end of the address's own characters.
        "ADDRESS": (
            (
                rf"(?:〒?[ ]?\d{{3}}[\-−ー]\d{{4}}[ ]*)?(?:東京都|北海道|(?:京都|大阪)府|"
                rf"[\p{{Han}}]{{2,3}}県)(?:{_HAN}|[0-9０-９\-−－ ]){{3,60}}(?<![のノ ])",
                0.8,
            ),
            (r"〒[ ]?\d{3}[\-−ー]\d{4}", 0.8),
        ),
        "PERSON": ((r"(?:\p{Han}{1,4}[ 　]?){1,2}(?=様|さん|氏(?!名))", 0.6),),
    },
    "th": {
        # House number to postcode, with at least one word for street, subdistrict or province.
        "ADDRESS": (
            (
                r"\d{1,5}(?:/\d{1,5})?[ ]*(?:หมู่|ม\.|ซอย|ซ\.|ถนน|ถ\.|ตำบล|ต\.|แขวง|อำเภอ|อ\.|เขต)"
                r"[\p{Thai}\d .,/\-]{3,120}?(?:จังหวัด|จ\.|กรุงเทพ)[\p{Thai}.]*(?:[ ]*\d{5})?",
                0.8,
            ),
            (
                r"\d{1,5}(?:/\d{1,5})?[ ,]+(?:(?:Moo|Soi|Thanon|Th\.)[ ]|[A-Z][\w.]+[ ]Road)"
                r"[\w .,/\-]{3,100}?\b[1-9]\d{4}\b",
                0.8,
            ),
        ),
        "PERSON": (
            (r"(?:นางสาว|นาง|นาย|คุณ|น\.ส\.)[ ]?\K\p{Thai}{2,20}(?:[ ]\p{Thai}{2,25})?", 0.6),
        ),
    },
    "kr": {"PERSON": ((r"\p{Hangul}{2,4}(?=[ ]?(?:씨|님)(?!\p{Hangul}))", 0.6),)},
    "cn": {"PERSON": ((r"\p{Han}{2,4}(?=先生|女士|小姐)", 0.6),)},
}
# Here only phone numbers, by their region, and what every country has.
PHONES_ONLY = {"la", "fr", "at", "ch", "nl", "be", "pt", "br", "mx", "ar", "ie", "nz", "dk", "no"}


@cache
def library() -> dict[str, list[type[EntityRecognizer]]]:
    """Presidio's recognizers that need no model and no service, by the kind they find."""
    with torch_hidden():
        from presidio_analyzer import LocalRecognizer, predefined_recognizers

    found: dict[str, list[type[EntityRecognizer]]] = {}
    for cls in vars(predefined_recognizers).values():
        if inspect.isclass(cls) and issubclass(cls, LocalRecognizer):
            parameter = inspect.signature(cls.__init__).parameters.get("supported_entity")
            if parameter is not None and isinstance(parameter.default, str):
                found.setdefault(parameter.default, []).append(cls)
    return found


def kinds_of(countries: Iterable[str]) -> list[str]:
    """The kinds that only these countries have.

    Raises:
        UserError: it is no country of which anything is known.
    """
    asked = [_plain(country) for country in countries]
    if not asked:
        return []
    theirs: dict[str, list[str]] = {}
    for kind, classes in library().items():
        country = getattr(classes[0], "COUNTRY_CODE", None)
        if country and kind not in NOT_PERSONAL:
            theirs.setdefault(country, []).append(kind)
    theirs.setdefault("jp", []).append(MY_NUMBER)
    known = {*theirs, *PATTERNS, *PHONES_ONLY}
    if unknown := sorted(set(asked) - known):
        raise UserError(
            f"privacy.countries: nothing is known of {', '.join(unknown)}",
            remedy="use " + ", ".join(sorted(known)) + "; or privacy.patterns for its kinds and "
            "privacy.phone_regions for its phone numbers.",
        )
    return [kind for country in asked for kind in theirs.get(country, [])]


def regions_of(countries: Iterable[str]) -> tuple[str, ...]:
    """The regions of phone numbers (ISO 3166) of these countries."""
    return tuple({"uk": "GB"}.get(c := _plain(country), c.upper()) for country in countries)


def patterns_of(countries: Iterable[str]) -> Iterator[tuple[str, str, float]]:
    """Our own of these countries: a kind, an expression and its score."""
    for country in map(_plain, countries):
        for kind, patterns in PATTERNS.get(country, {}).items():
            yield from ((kind, expression, score) for expression, score in patterns)


def my_number_recognizer() -> EntityRecognizer:
    """Japan's Individual Number: twelve digits, the last a check digit (Ministry of Internal
    Affairs, Ordinance 85 of 2014, article 5)."""
    from presidio_analyzer import Pattern, PatternRecognizer

    class MyNumberRecognizer(PatternRecognizer):  # type: ignore[misc]
        def validate_result(self, pattern_text: str) -> bool | None:
            # A right check digit alone is chance in one of eleven: context words decide.
            return None if is_my_number(pattern_text) else False

    cue = r"(?:マイナンバー|個人番号)[\p{Hiragana}\p{Katakana}は:： ]{0,6}\K"
    number = r"(?<![\d\-])\d{4}[ \-]?\d{4}[ \-]?\d{4}(?![\d\-])"
    return MyNumberRecognizer(
        supported_entity=MY_NUMBER,
        name="stillhouse My Number",
        patterns=[Pattern("with its name", cue + number, 0.9), Pattern("digits", number, 0.1)],
        context=["number", "mynumber", "individual", "マイナンバー", "個人番号"],
        supported_language=LANGUAGE,
        global_regex_flags=re.MULTILINE,
    )


def is_my_number(value: str) -> bool:
    digits = [int(c) for c in value if c.isdigit()]
    if len(digits) != 12:
        return False
    weights = [*range(2, 8), *range(2, 7)]  # from the digit before the check digit leftwards
    rest = sum(w * d for w, d in zip(weights, reversed(digits[:-1]), strict=True)) % 11
    return digits[-1] == (0 if rest <= 1 else 11 - rest)


def _plain(country: Any) -> str:
    return {"gb": "uk"}.get(code := str(country).lower(), code)
