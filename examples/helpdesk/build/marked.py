"""Writes pii_gold.jsonl, texts whose personal data is marked: python .../build/marked.py.

The sentences are hand-written (texts/marked.txt); who stands in them is invented by Faker, people
and addresses of 40 locales. Those of texts/unmarked.txt hold only what looks like somebody's:
codes, dates, towns, companies. The same version of Faker gives the same bytes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import random
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from faker import Faker
from faker.providers.ssn import fi_FI
from slots import MAKERS, NAMES, SLOT, TEXTS, iban

SEED = 5083
TEXTS_IN_ALL = 400
UNMARKED = 60

LOCALES = [
    *("en_US", "en_GB", "en_AU", "en_CA", "en_IE", "en_NZ", "en_IN", "de_DE", "de_AT", "de_CH"),
    *("fr_FR", "fr_CA", "fr_CH", "es_ES", "es_MX", "es_AR", "it_IT", "pt_PT", "pt_BR", "nl_NL"),
    *("nl_BE", "sv_SE", "no_NO", "da_DK", "fi_FI", "pl_PL", "cs_CZ", "sk_SK", "hu_HU", "ro_RO"),
    *("hr_HR", "sl_SI", "es_CO", "uk_UA", "id_ID", "vi_VN", "ru_RU", "el_GR", "ja_JP", "zh_CN"),
]
# The family's name stands first; in the last two nothing stands between.
FAMILY_FIRST = {"hu_HU": " ", "vi_VN": " ", "ja_JP": "", "zh_CN": ""}

# What each kind of marked slot is; a number behind it names somebody else.
KINDS = {
    **dict.fromkeys(("person", "PERSON", "first", "last", "last_first"), "PERSON"),
    **dict.fromkeys(("address", "address_line", "street"), "ADDRESS"),
    **dict.fromkeys(("account", "employee", "bank_account"), "ACCOUNT_NUMBER"),
    "email": "EMAIL_ADDRESS", "phone": "PHONE_NUMBER", "iban": "IBAN_CODE", "card": "CREDIT_CARD",
    "passport": "PASSPORT", "ip": "IP_ADDRESS",
}  # fmt: skip

# Ranges that are kept for fiction, as the regulators of seven countries name them.
PHONES = {
    "US": ("+1 (415) 555-01##", "(212) 555-01##", "312-555-01##", "206.555.01##", "+1415555 01##"),
    "GB": ("+44 20 7946 0###", "020 7946 0###", "07700 900###", "+447700900###", "0161 496 0###"),
    "AU": ("(02) 5550 ####", "+61 491 570 156", "0491 570 158", "0491 570 006"),
    "DE": ("030 23125 ###", "+49 30 23125-###", "0171 39200 ##", "+49 (0)69 90009-###"),
    "FR": ("01 99 00 ## ##", "+33 6 39 98 ## ##", "0639 98 ## ##", "+33 (0)1 99 00 ## ##"),
    "SE": ("070-174 06 5#", "+46 8 465 004 ##", "031-390 06 ##"),
    "IE": ("020 91# ####", "+353 20 91# ####"),
}
PHONE_OF = {"en_US": "US", "en_CA": "US", "en_AU": "AU", "en_IE": "IE", "sv_SE": "SE"}
PHONE_OF |= {"de_DE": "DE", "de_AT": "DE", "fr_FR": "FR", "fr_CA": "US", "en_GB": "GB"}

# Country, a bank code that is not assigned, and how many digits follow.
IBANS = [
    *(("GB", "BRKW00", 12), ("DE", "00000", 13), ("NL", "BRKW", 10), ("AT", "00000", 11)),
    *(("FR", "0000000000", 13), ("ES", "00000000", 12), ("BE", "000", 9), ("CH", "00000", 12)),
]
# Published for tests by the card companies and payment services.
CARDS = [
    *("4111111111111111", "5555555555554444", "4012888888881881", "5105105105105100"),
    *("378282246310005", "371449635398431", "6011111111111117", "2223003122003222"),
]
# How a locale calls the number that the state gave somebody, its kind, and who makes it.
IDS: dict[str, tuple[str, str, str]] = {
    "en_US": ("SSN", "US_SSN", "ssn"),
    "en_GB": ("National Insurance number", "NATIONAL_ID", "ssn"),
    "it_IT": ("codice fiscale", "TAX_NUMBER", "ssn"),
    "es_ES": ("NIF", "TAX_NUMBER", "nif"),
    "pt_BR": ("CPF", "TAX_NUMBER", "cpf"),
    "pl_PL": ("PESEL", "NATIONAL_ID", "pesel"),
    "sv_SE": ("personnummer", "NATIONAL_ID", "ssn"),
    "fi_FI": ("henkilötunnus", "NATIONAL_ID", "ssn"),
    "fr_FR": ("numéro de sécurité sociale", "NATIONAL_ID", "ssn"),
    "nl_NL": ("BSN", "NATIONAL_ID", "ssn"),
}


class Invented:
    """Whoever and whatever stands in one text: a slot named twice in it keeps its value."""

    def __init__(self, rng: random.Random, fakers: dict[str, Faker], locale: str) -> None:
        self.rng, self.fakers, self.locale = rng, fakers, locale
        self.id_of = locale if locale in IDS else rng.choice([*IDS, *["en_US"] * 6])
        self.values: dict[str, str] = {}

    def fill(self, template: str) -> dict[str, Any]:
        """The template as a line of the file."""
        text, spans, end = "", [], 0
        template = template.replace("{{", "\x00").replace("}}", "\x01")
        for slot in SLOT.finditer(template):
            text += template[end : slot.start()]
            value = self.value(slot[1])
            if kind := self.kind(slot[1]):
                spans.append({"start": len(text), "end": len(text) + len(value), "kind": kind})
            text += value
            end = slot.end()
        text = (text + template[end:]).replace("\x00", "{").replace("\x01", "}")
        return {"text": text, "spans": spans, "locale": self.locale}

    def kind(self, slot: str) -> str | None:
        base = slot.rstrip("2")
        return IDS[self.id_of][1] if base == "id" else KINDS.get(base)

    def value(self, slot: str) -> str:
        if slot not in self.values:
            self.values[slot] = self._make(slot.rstrip("2"), slot[len(slot.rstrip("2")) :])
        return self.values[slot]

    def _make(self, base: str, number: str) -> str:
        fake, rng = self.fakers[self.locale], self.rng
        if base in ("first", "last"):
            self._invent_person(number)
            return self.values[base + number]
        if base in ("person", "PERSON", "last_first", "email"):
            first, last = self.value("first" + number), self.value("last" + number)
            return self._named(base, first, last)
        if base == "address":
            return str(fake.address()).strip()
        if base == "address_line":
            return ", ".join(
                line.strip(" ,") for line in self.value("address" + number).split("\n")
            )
        if base == "street":
            return str(fake.street_address()).replace("\n", " ")
        if base == "id_name":
            return IDS[self.id_of][0]
        if base == "id":
            return str(getattr(self.fakers[self.id_of], IDS[self.id_of][2])())
        if base == "passport":
            return str(self.fakers["en_US"].passport_number())
        maker = OWN.get(base)
        return maker(rng, self.locale) if maker else MAKERS[base + number](rng)

    def _invent_person(self, number: str) -> None:
        fake = self.fakers[self.locale]
        sex = self.rng.choice(["male", "female"])
        self.values["first" + number] = str(getattr(fake, f"first_name_{sex}")())
        self.values["last" + number] = str(getattr(fake, f"last_name_{sex}")())

    def _named(self, base: str, first: str, last: str) -> str:
        if base == "email":
            return _email(first, last, self.rng)
        if base == "last_first":
            return f"{last}, {first}"
        between = FAMILY_FIRST.get(self.locale)
        name = f"{first} {last}" if between is None else f"{last}{between}{first}"
        return name.upper() if base == "PERSON" else name


def _email(first: str, last: str, rng: random.Random) -> str:
    """At a reserved domain, of the names where they can be written in ASCII."""
    words = []
    for name in (first, last):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
        words.append(re.sub("[^a-z]", "", plain) or rng.choice(("info.k", "user17", "mm", "post")))
    local = rng.choice(
        (f"{words[0]}.{words[1]}", f"{words[0][0]}{words[1]}", f"{words[1]}_{words[0]}")
    )
    return f"{local}@{rng.choice(NAMES['domains'])}"


def _digits(rng: random.Random, form: str) -> str:
    return re.sub("#", lambda _: str(rng.randrange(10)), form)


def _phone(rng: random.Random, locale: str) -> str:
    country = PHONE_OF.get(locale) or rng.choice(list(PHONES))
    return _digits(rng, rng.choice(PHONES[country]))


def _iban(rng: random.Random, _: str) -> str:
    country, bank, count = rng.choice(IBANS)
    spaced = iban(country, bank + _digits(rng, "#" * count))
    return rng.choice((spaced, spaced, spaced.replace(" ", "")))


def _card(rng: random.Random, _: str) -> str:
    number = rng.choice(CARDS)
    groups = (4, 6, 5) if len(number) == 15 else (4, 4, 4, 4)
    ends = [sum(groups[: i + 1]) for i in range(len(groups))]
    parts = [number[end - size : end] for end, size in zip(ends, groups, strict=True)]
    return rng.choice((" ", " ", "-", "")).join(parts)


OWN: dict[str, Callable[[random.Random, str], str]] = {
    "phone": _phone,
    "iban": _iban,
    "card": _card,
    "bank_account": lambda rng, _: _digits(rng, "########"),
    "ip": lambda rng, _: f"198.51.100.{rng.randrange(1, 255)}",
    "company": lambda rng, _: str(rng.choice(NAMES["customers"])),
    "domain": lambda rng, _: str(rng.choice(NAMES["domains"])),
}


class _AsMade(datetime.date):
    """Faker counts back from today to when somebody with a Finnish number was born: tomorrow it
    would invent others."""

    @classmethod
    def today(cls) -> _AsMade:
        return cls(2026, 11, 27)


def lines() -> list[dict[str, Any]]:
    """All texts; every form and every locale comes as often as any other."""
    fi_FI.datetime = SimpleNamespace(date=_AsMade, timedelta=datetime.timedelta)
    rng = random.Random(SEED)
    fakers = {}
    for number, locale in enumerate(LOCALES):
        fakers[locale] = Faker(locale)
        fakers[locale].seed_instance(SEED + number)
    marked, unmarked = (
        (TEXTS / f"{name}.txt").read_text("utf-8").rstrip("\n").split("\n%%\n")
        for name in ("marked", "unmarked")
    )
    forms = _evenly(marked, TEXTS_IN_ALL - UNMARKED, rng) + _evenly(unmarked, UNMARKED, rng)
    where = _evenly(LOCALES, TEXTS_IN_ALL, rng)
    found = [
        Invented(rng, fakers, locale).fill(form) for form, locale in zip(forms, where, strict=True)
    ]
    rng.shuffle(found)
    return found


def _evenly(values: list[str], count: int, rng: random.Random) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        found += rng.sample(values, len(values))
    return found[:count]


def main() -> None:
    """Write the file beside this folder, or under --out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parent.parent)
    target: Path = parser.parse_args().out / "pii_gold.jsonl"
    made = (json.dumps(line, ensure_ascii=False) + "\n" for line in lines())
    target.write_text("".join(made), encoding="utf-8")
    print(f"wrote {TEXTS_IN_ALL} texts to {target}")


if __name__ == "__main__":
    main()
