"""The numbers that stand in a text, as they may be read."""

from __future__ import annotations

import re

WHOLE = re.compile(r"(?<!\d)\d{1,300}(?!\d)")
DECIMAL = re.compile(r"(?<!\d)(\d{1,300})[.,](\d{1,300})(?!\d)")
# Thousands in groups: 1,500 and 1.500,25 and 1'500, with spaces that may not break a line too.
GROUPED = re.compile(
    r"(?<!\d)(\d{1,3}([,.'\u2019 \u00a0\u202f])\d{3}(?:\2\d{3}){0,99})"
    r"(?:(?!\2)[.,](\d{1,300}))?(?!\d)"
)
NEGATIVE = re.compile(r"(?<![\w)\]])[-\u2212]\Z")


def numbers_in(text: str) -> list[int | float]:
    """Every number that a reader could take from `text`, each once.

    Points and commas may part thousands or decimals: "1,500" is 1, 500, 1500 and 1.5. Digits of
    any script count, also those inside a code ("SO-1558" holds 1558); a sign only where no word
    ends before it. Of runs of over 300 digits nothing is read.
    """
    found: list[tuple[int, str]] = [(m.start(), m[0]) for m in WHOLE.finditer(text)]
    found += [(m.start(), f"{m[1]}.{m[2]}") for m in DECIMAL.finditer(text)]
    for match in GROUPED.finditer(text):
        whole = re.sub(r"\D", "", match[1])
        found.append((match.start(), f"{whole}.{match[3]}" if match[3] else whole))
    numbers: dict[int | float, None] = {}
    for place, spelled in found:
        number = _number(spelled)
        numbers[number] = None
        if NEGATIVE.search(text, max(0, place - 2), place):
            numbers[-number] = None
    return list(numbers)


def _number(spelled: str) -> int | float:
    """As JSON that is written from it: whole numbers without a point."""
    if "." not in spelled:
        return int(spelled)
    value = float(spelled)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
