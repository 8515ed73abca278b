"""Surrogates: what looks like personal data, and is nobody's wherever that can be promised.

Each is drawn under the installation's key: the same value has the same one in every document. Words
are drawn one by one, so that "Maria Gonzalez", "Ms Gonzalez" and maria.gonzalez@acme.com still
belong together, and colleagues share a domain. What no kind of nobody's number exists for
(customers' numbers, the project's own patterns) has its letters and digits drawn anew.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta

from stillhouse.corpus.pii import fiction, invented
from stillhouse.corpus.pii.invented import Below
from stillhouse.corpus.pii.keyed import Keyed, normal

# Dates move by up to two years, either way.
MOST_DAYS = 730
DATES = (
    *("%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y"),
    *("%d %B %Y", "%d %b %Y", "%B %d, %Y", "%b %d, %Y", "%B %d %Y", "%b %d %Y"),
)

NAME = rf"\b{invented.WORD}(?:(?:, |[ -]){invented.WORD})*\b"
# Bounded, and looked for only where an address may begin: a text may be one word of a megabyte.
ADDRESS = rf"(?<![\w.+-])[\w.+-]{{1,200}}@(?i:{invented.WORD})\.example\b(?!\.?[\w-])"

FORMS = {
    "PERSON": NAME,
    "EMAIL_ADDRESS": ADDRESS,
    "URL": rf"https://(?i:{invented.WORD}\.example/{invented.WORD})\b",
    "LOCATION": rf"\b{invented.PLACE}\b",
    "ORGANIZATION": rf"\b{invented.WORD} Group\b",
    "IBAN_CODE": fiction.IBAN,
    "CREDIT_CARD": fiction.CARD,
    "US_SSN": fiction.SSN,
    "IP_ADDRESS": f"(?:{fiction.IPV4}|{fiction.IPV6})",
}
"""How surrogates look that nobody else would write: by that they are known again in a text that was
masked elsewhere. Telephone numbers for fiction are written by others too, and masked."""

_NUMBERS: dict[str, Callable[[Below], str]] = {
    "PHONE_NUMBER": fiction.phone,
    "IBAN_CODE": fiction.iban,
    "CREDIT_CARD": fiction.card,
    "US_SSN": fiction.ssn,
    "LOCATION": invented.place,
    "ORGANIZATION": lambda below: f"{invented.word(below)} Group",
    "URL": lambda below: f"https://{invented.word(below)}.example/{invented.word(below)}".lower(),
}


class Surrogates:
    """Draws them under a key."""

    def __init__(self, keyed: Keyed) -> None:
        self._keyed = keyed

    def of(self, kind: str, value: str, document: str) -> str | None:
        """What stands for the value, never the value itself; None where there is no likeness: a
        religion, or "last week" among the dates. Only dates depend on the document."""
        plain = normal(kind, value)
        if kind == "PERSON":
            return self._name(plain)
        if kind == "EMAIL_ADDRESS":
            return self._address(plain)
        if kind == "DATE_TIME":
            return self._moved(value, document)
        if kind == "IP_ADDRESS":
            version = 6 if ":" in value else 4
            return self._other(kind, plain, lambda below: fiction.ip(version, below))
        if draw := _NUMBERS.get(kind):
            return self._other(kind, plain, draw)
        if any(map(str.isdecimal, plain)):
            return self._other(kind, plain, lambda below: fiction.shaped(plain, below))
        return None

    def _name(self, plain: str) -> str:
        """Word by word. Nothing of a word stays, marks and apostrophes included."""
        parts = re.split(r"(, |[\s,.-]+)", plain)
        return "".join(self._word(p) if n % 2 == 0 else p for n, p in enumerate(parts)).strip()

    def _word(self, word: str) -> str:
        if len(word) == 1 and word.islower():  # an initial; in Chinese it is a name
            return self._other("letter", word, lambda below: chr(ord("A") + below(26)))
        return self._other("word", word, invented.word) if word else ""

    def _address(self, plain: str) -> str:
        """The person's words in front, the company's behind: below `.example`, where there are no
        addresses (RFC 2606)."""
        local, _, domain = plain.rpartition("@")
        parts = re.findall(r"\d+|[._+-]|[^\d._+-]+", local)
        drawn = "".join(p if p in "._+-" else self._part(p) for p in parts)
        host = self._other("domain", domain.partition(".")[0], invented.word, domain)
        return f"{drawn or self._word(plain)}@{host}.example".lower()

    def _part(self, part: str) -> str:
        if not part.isdecimal():
            return self._word(part)
        return self._other("number", part, lambda below: fiction.shaped(part, below))

    def _moved(self, value: str, document: str) -> str | None:
        """The date, moved by so many days as all dates of this document."""
        days = self._keyed.numbers("", "days", document)(2 * MOST_DAYS) - MOST_DAYS
        for form in DATES:
            try:
                read = datetime.strptime(" ".join(value.split()), form).date()  # noqa: DTZ007
                return _written(read + timedelta(days + (days >= 0)), form)
            except (ValueError, OverflowError):
                continue
        return None

    def _other(self, what: str, plain: str, draw: Callable[[Below], str], *more: str) -> str:
        """Drawn again where it is the value itself, which short numbers may be."""
        return next(
            drawn
            for n in itertools.count()
            if _plain(drawn := draw(self._keyed.numbers("", what, plain, *more, str(n))))
            != _plain(plain)
        )


def forms(kinds: Iterable[str]) -> list[str]:
    """How surrogates of these kinds look."""
    return [FORMS[kind] for kind in kinds if kind in FORMS]


def _written(day: date, form: str) -> str:
    # strftime writes the years before 1000 with fewer digits on some systems.
    return day.strftime(form.replace("%Y", f"{day.year:04d}"))


def _plain(value: str) -> str:
    return "".join(filter(str.isalnum, value.casefold()))
