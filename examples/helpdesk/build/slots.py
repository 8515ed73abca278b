"""Values for the slots of the tickets: invented names and numbers, valid where a check exists.

Nothing here can reach a person: mail goes to domains reserved by RFC 2606, phone numbers
come from the ranges kept for fiction (555-01xx; Ofcom's 020 7946 0xxx), IBANs carry right
check digits over bank codes that are not assigned, cards are the payment industry's
published test numbers.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from pathlib import Path

import yaml

TEXTS = Path(__file__).parent / "texts"
NAMES = yaml.safe_load((TEXTS / "names.yaml").read_text("utf-8"))
TEST_CARDS = ["4111 1111 1111 1111", "5555 5555 5555 4444", "4012 8888 8888 1881"]
SLOT = re.compile(r"\{(\w+)\}")


def luhn_digit(digits: str) -> str:
    """The Luhn check digit (ISO/IEC 7812-1 annex B) to append to `digits`."""
    total = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        total += value - 9 if value > 9 else value
    return str(-total % 10)


def iban(country: str, bban: str) -> str:
    """An IBAN with its ISO 7064 mod 97-10 check digits, in groups of four."""
    digits = "".join(str(int(c, 36)) for c in f"{bban}{country}00")
    plain = f"{country}{98 - int(digits) % 97:02d}{bban}"
    return " ".join(plain[i : i + 4] for i in range(0, len(plain), 4))


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(string.digits) for _ in range(count))


def _phone(rng: random.Random) -> str:
    line, area = _digits(rng, 2), rng.choice(["212", "415", "312", "206"])
    return rng.choice(
        [
            f"({area}) 555-01{line}",
            f"+1 {area} 555 01{line}",
            f"{area}-555-01{line}",
            f"+44 20 7946 0{_digits(rng, 3)}",
            f"020 7946 0{_digits(rng, 3)}",
            f"+44 (0)20 7946 0{_digits(rng, 3)}",
        ]
    )


def _iban(rng: random.Random) -> str:
    country, bank, count = rng.choice(
        [("GB", "BRKW00", 12), ("DE", "00000", 13), ("NL", "BRKW", 10)]
    )
    return iban(country, bank + _digits(rng, count))


def _account(rng: random.Random) -> str:
    body = _digits(rng, 6)
    return f"BW-{body}-{luhn_digit(body)}"


def _amount(rng: random.Random) -> str:
    value = rng.choice([rng.randint(40, 400) + 0.5, rng.randint(300, 9000), rng.random() * 3000])
    return rng.choice(["€{:,.2f}", "£{:,.2f}", "{:,.0f} euros", "{:,.2f} EUR"]).format(value)


def email_of(person: str, domains: list[str], rng: random.Random) -> str:
    """An address for `person` at one of the reserved `domains`."""
    first, last = re.sub(r"[^a-z ]", "", person.lower()).split(" ", 1)
    local = rng.choice([f"{first}.{last}", f"{first[0]}.{last}", f"{last}{first[0]}"])
    return f"{local}@{rng.choice(domains)}"


def person(rng: random.Random) -> str:
    """A first and a last name."""
    return f"{rng.choice(NAMES['first'])} {rng.choice(NAMES['last'])}"


def _pick(key: str) -> Callable[[random.Random], str]:
    return lambda rng: str(rng.choice(NAMES[key]))


MAKERS: dict[str, Callable[[random.Random], str]] = {
    "person": person,
    "colleague": _pick("first"),
    "customer": _pick("customers"),
    "city": _pick("cities"),
    "city2": _pick("cities"),
    "site": _pick("sites"),
    "carrier": _pick("carriers"),
    "product": _pick("products"),
    "part": _pick("parts"),
    "title": _pick("titles"),
    "job": _pick("jobs"),
    "month": _pick("months"),
    "weekday": _pick("weekdays"),
    "phone": _phone,
    "iban": _iban,
    "account": _account,
    "amount": _amount,
    "card": lambda rng: rng.choice(TEST_CARDS),
    "employee": lambda rng: f"E{_digits(rng, 5)}",
    "order": lambda rng: f"SO-{_digits(rng, 4)}",
    "invoice": lambda rng: f"INV-{_digits(rng, 4)}",
    "ticket": lambda rng: f"HD-{_digits(rng, 5)}",
    "po": lambda rng: f"PO {_digits(rng, 6)}",
    "serial": lambda rng: f"{rng.choice('TCBFGLSE')}{rng.randint(18, 26)}-{_digits(rng, 4)}",
    "batch": lambda rng: f"B{_digits(rng, 4)}",
    "ext": lambda rng: _digits(rng, 3),
    "partno": lambda rng: f"P-{_digits(rng, 4)}",
    "qty": lambda rng: str(rng.randint(2, 60)),
    "n": lambda rng: str(rng.randint(3, 14)),
    "year": lambda rng: str(rng.randint(2019, 2025)),
    "date": lambda rng: f"{rng.randint(1, 28)} {rng.choice(NAMES['months'])}",
    "due": lambda rng: f"{rng.randint(1, 28)} {rng.choice(NAMES['months'])}",
    "time": lambda rng: f"{rng.randint(7, 17)}:{rng.choice(['00', '15', '30', '45'])}",
}


class Slots:
    """One ticket's values: a slot named twice in it keeps its value.

    `email` is the writer's address, `person_email` that of the `person` named beside it.
    """

    def __init__(self, rng: random.Random, staff: bool) -> None:
        self.rng = rng
        self.domains: list[str] = ["brackwater.example"] if staff else NAMES["domains"]
        self.values = {"writer": person(rng)}
        self.filled: set[str] = set()

    def fill(self, template: str) -> str:
        """`template` with its {slots} replaced; KeyError for a slot that nobody makes."""
        return SLOT.sub(lambda match: self._value(match[1]), template)

    def _value(self, name: str) -> str:
        if name not in self.values:
            self.values[name] = self._make(name)
        self.filled.add(name)
        return self.values[name]

    def _make(self, name: str) -> str:
        if name == "email":
            return email_of(self.values["writer"], self.domains, self.rng)
        if name == "person_email":
            return email_of(self._value("person"), self.domains, self.rng)
        value = MAKERS[name](self.rng)
        while value in self.values.values() and name in {"city2", "person"}:
            value = MAKERS[name](self.rng)
        return value
