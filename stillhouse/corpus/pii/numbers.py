"""Numbers with a form of their own: phones, cards, bank accounts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.pii.functions import LANGUAGE, results
from stillhouse.corpus.pii.spans import Finding

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

# Presidio's score of a phone number.
PHONE_SCORE = 0.4
CHECKED = 1.0

# Characters beside digits that say whether they are a number's, an extension's word too.
AROUND = 24
_NEAR_DIGITS = re.compile(rf"\d(?:[^\d\n]{{0,{2 * AROUND}}}\d)*")
# So many has any number of a region.
FEWEST_DIGITS = 4
# Parts of texts whose numbers are remembered.
REMEMBERED = 20_000
DIGIT_RUN = re.compile(r"\d(?:[\s().\-/]{0,3}\d){5}")
# A number behind a word for telephones is one, whatever its region.
_CALLED = re.compile(
    r"(?<!\w)(?:tel(?:ephone|efon|éfono|efono)?|phone|mobile?|mob|cell(?:phone)?|fax|handy|"
    r"gsm|call|ring|whatsapp|rang|dial|téléphone|móvil|celular|電話|โทร|тел)\b"
    r"(?:[ ]?(?:no|nr|number|nummer|me|us|back|on|at|is|under|:|\.|-))*[ ]*"
    r"((?:\+|\(|\d)(?:[ ().\-/]{0,2}\d){6,15}(?:[ ]?(?:x|ext\.?)[ ]?\d{1,6})?)(?![\d\w])",
    re.IGNORECASE,
)
_CALLED_SCORE = 0.6

_CARD = re.compile(r"(?<![\d\w.,])\d(?:[ \-]?\d){12,18}(?![\d\w]|[.,]\d)")
# First digits of Visa, Mastercard, American Express, Diners, JCB, Discover, UnionPay, Maestro.
_ISSUER = re.compile(r"4|5[0-8]|3[0-9]|6|2[2-7]")

_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?:[ \-]?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)


def phone_recognizer(regions: tuple[str, ...]) -> EntityRecognizer:
    """Numbers valid in one of the regions, international ones (`+`) of any country, and whatever
    looks like a number behind a word for telephones."""
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer

    class AnyPhoneRecognizer(PhoneRecognizer):  # type: ignore[misc]
        def analyze(self, text: str, *_: Any, **__: Any) -> list[Any]:
            # Scanning a text once a region is slow, and most texts can do without.
            if not DIGIT_RUN.search(text):
                return []
            found = [
                replace(finding, start=start + finding.start, end=start + finding.end)
                for start, stretch in stretches(text)
                for finding in of_regions(stretch)
            ]
            return results("phones", [*found, *phones(text)])

    @lru_cache(maxsize=REMEMBERED)
    def of_regions(stretch: str) -> list[Finding]:
        """Signatures come again and again, and a masked text has the digits that it had."""
        found = PhoneRecognizer.analyze(recognizer, stretch, recognizer.supported_entities)
        return [Finding(r.entity_type, r.start, r.end, r.score) for r in found]

    recognizer = AnyPhoneRecognizer(
        supported_regions=regions,
        supported_language=LANGUAGE,
        context=[*PhoneRecognizer.CONTEXT, "tel", "fax", "telefon", "mobil", "handy"],
    )
    return recognizer


def stretches(text: str) -> Iterator[tuple[int, str]]:
    """The parts of a text that may hold a number, each with what stands around its digits: none
    reaches over a line's end, nor from digits to others that are far away."""
    for digits in _NEAR_DIGITS.finditer(text):
        if sum(map(str.isdigit, digits[0])) >= FEWEST_DIGITS:
            start, end = digits.span()
            before = text[max(0, start - AROUND) : start].rpartition("\n")[2]
            after = text[end : end + AROUND].partition("\n")[0]
            yield start - len(before), before + digits[0] + after


def phones(text: str) -> Iterator[Finding]:
    """Numbers that need no region."""
    import phonenumbers

    if "+" in text or "＋" in text:
        for match in phonenumbers.PhoneNumberMatcher(
            text, None, leniency=phonenumbers.Leniency.POSSIBLE
        ):
            yield Finding("PHONE_NUMBER", match.start, match.end, PHONE_SCORE)
    for called in _CALLED.finditer(text):
        yield Finding("PHONE_NUMBER", called.start(1), called.end(1), _CALLED_SCORE)


def cards(text: str) -> Iterator[Finding]:
    """13 to 19 digits with spaces or dashes anywhere, of an issuer, with Luhn's check digit
    (ISO/IEC 7812-1)."""
    for match in _CARD.finditer(text):
        digits = [int(c) for c in match[0] if c.isdigit()]
        doubled = [sum(divmod(2 * d, 10)) if n % 2 else d for n, d in enumerate(reversed(digits))]
        if _ISSUER.match(match[0].replace(" ", "").replace("-", "")) and not sum(doubled) % 10:
            yield Finding("CREDIT_CARD", *match.span(), CHECKED)


def ibans(text: str) -> Iterator[Finding]:
    """Account numbers with the check digits of ISO 13616, in groups or without."""
    for match in _IBAN.finditer(text):
        ends = [m.start() for m in re.finditer(r"[ \-]|$", match[0])]
        for end in reversed(ends):
            plain = re.sub(r"[ \-]", "", match[0][:end])
            if len(plain) >= 15 and _is_iban(plain):
                yield Finding("IBAN_CODE", match.start(), match.start() + end, CHECKED)
                break


def _is_iban(plain: str) -> bool:
    return int("".join(str(int(c, 36)) for c in plain[4:] + plain[:4])) % 97 == 1
