"""Numbers that are nobody's: kept for fiction, for examples, or of banks that don't exist.

Telephone numbers are of the ranges that the numbering authorities keep for film and fiction:
555-0100 to 555-0199 of North American areas (NANPA), Ofcom's numbers for drama, the six ranges of
Arcep's numbering plan, and the Bundesnetzagentur's "Drama Numbers".
"""

from __future__ import annotations

import ipaddress
import re

from stillhouse.corpus.pii.invented import Below

# Left out are service codes, which end in twice the same digit, and personal numbers (5xx).
_AREAS = [
    f"{a}{b}{c}" for a in "2346789" for b in "012345678" for c in "0123456789" if b != c
]  # fmt: skip
_GB = (
    *("113 496 0", "114 496 0", "115 496 0", "116 496 0", "117 496 0", "118 496 0", "121 496 0"),
    *("131 496 0", "141 496 0", "151 496 0", "161 496 0", "191 498 0", "20 7946 0", "29 2018 0"),
    *("1632 960", "7700 900"),
)
_FR = ("1 99 00", "2 61 91", "3 53 01", "4 65 71", "5 36 49", "6 39 98")
_DE = ("30 23125", "40 66969", "69 90009", "89 99998", "221 4710")

# Each begins a hundred numbers.
HUNDREDS = (
    *(f"+1 {area} 555 01" for area in _AREAS),
    *(f"+44 {begin}{n}" for begin in _GB for n in range(10)),
    *(f"+33 {begin} {n:02d} " for begin in _FR for n in range(100)),
    *(f"+49 {begin} {n}" for begin in _DE for n in range(10)),
)

# How those look that nobody else would write.
IBAN = r"\bDE\d\d 9\d{3}(?: \d{4}){3} \d\d\b"
CARD = r"\b9999 99\d\d \d{4} \d{4}\b"
SSN = r"\b666-\d\d-\d{4}\b"
IPV4 = r"\b2(?:4\d|5[0-4])(?:\.\d{1,3}){3}\b"
IPV6 = r"\b2001:db8(?::[0-9a-f]{1,4}){6}\b"


def phone(below: Below) -> str:
    """One of 137,700 numbers, in its international form."""
    return f"{HUNDREDS[below(len(HUNDREDS))]}{below(100):02d}"


def iban(below: Below) -> str:
    """With right check digits (ISO 13616), of a German bank whose code begins with 9: the codes'
    first digit is an area, 1 to 8."""
    bban = f"9{below(10**17):017d}"
    check = 98 - int(f"{bban}131400") % 97  # D is 13, E is 14, and 00 stands for the check
    return _in_fours(f"DE{check:02d}{bban}")


def card(below: Below) -> str:
    """With a right check digit (Luhn), of an issuer that doesn't exist: 9 and three digits are a
    country's (ISO/IEC 7812), and 999 is no country (ISO 3166)."""
    digits = f"999999{below(10**9):09d}"
    doubled = sum(sum(divmod(2 * int(d), 10)) for d in digits[::2])
    return _in_fours(f"{digits}{-(doubled + sum(map(int, digits[1::2]))) % 10}")


def ssn(below: Below) -> str:
    """Of area 666, which is never given out: one of 989,901."""
    return f"666-{below(99) + 1:02d}-{below(9999) + 1:04d}"


def ip(version: int, below: Below) -> str:
    """Of 240.0.0.0/4, which is reserved (RFC 1112): of 250 million; or for documentation
    (2001:db8::/32, RFC 3849)."""
    if version == 4:
        return str(ipaddress.IPv4Address((240 << 24) + below(15 << 24)))
    return "2001:db8:" + ":".join(f"{below(1 << 16):x}" for _ in range(6))


def shaped(plain: str, below: Below) -> str:
    """Another with letters and digits in the same places, which may be somebody's by chance; a
    number of the same length. "bw7118243" -> "QK3902178"."""
    drawn: list[str] = []
    for character in plain:
        if character.isdigit():
            lead = not drawn and character != "0"
            drawn.append(str(below(9) + 1 if lead else below(10)))
        else:
            drawn.append(chr(ord("A") + below(26)))
    return "".join(drawn)


def _in_fours(code: str) -> str:
    return " ".join(re.findall(".{1,4}", code))
