"""What licences ask of who distils from a model: the table `licence_terms.yaml`, and its questions.

The table is what somebody read or remembers, with the day, and no legal advice; wherever something
of it is shown, `verify` stands beside it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Literal

VERIFY = "verify at the primary source"

# Members of the European Union by their ISO 3166 codes: who is in one of them is in "EU".
EUROPEAN_UNION = frozenset(
    [
        *("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU"),
        *("IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"),
    ]
)

LISTS = ("duties", "spellings", "not_in", "multimodal_not_in")


@dataclass(frozen=True)
class Terms:
    """A row of the table: the head of `licence_terms.yaml` says what its fields mean."""

    name: str
    title: str
    source: str
    read: date | None
    outputs: Literal["any", "derivatives", "restricted"]
    duties: tuple[str, ...]
    spellings: tuple[str, ...] = ()
    opening: str | None = None
    commercial: bool = True
    max_monthly_users: int | None = None
    not_in: tuple[str, ...] = ()
    multimodal_not_in: tuple[str, ...] = ()

    @property
    def verify(self) -> str:
        """Where the text stands, and whether anybody read it there."""
        read = f"read {self.read}" if self.read else "from general knowledge, not read"
        return f"{VERIFY}: {self.title}, {self.source} ({read})"


@dataclass(frozen=True)
class Circumstances:
    """What the policy says of the house, and what is known of the teacher; None: not answered.

    `region` is an ISO 3166 code or "EU". A student that `is_cut` from its teacher is a derivative
    of it; one that learns from an endpoint's answers is not.
    """

    region: str | None = None
    monthly_users: int | None = None
    commercial: bool | None = None
    multimodal: bool = False
    is_cut: bool = True


@cache
def table() -> dict[str, Terms]:
    """All rows by their name."""
    import yaml

    rows = yaml.safe_load((files("stillhouse.models") / "licence_terms.yaml").read_text("utf-8"))
    for row in rows:
        version = row["name"].removeprefix("llama")
        row["duties"] = [duty.replace("<version>", version) for duty in row["duties"]]
        row |= {field: tuple(row.get(field, ())) for field in LISTS}
    return {row["name"]: Terms(**row) for row in rows}


@cache
def by_spelling() -> dict[str, str]:
    """The name of a licence by its other names, in lower case."""
    return {
        " ".join(spelling.lower().split()): row.name
        for row in table().values()
        for spelling in (row.name, row.title, *row.spellings)
    }


def openings() -> list[tuple[str, str]]:
    """(regular expression, name): what the openings of licences' texts say, in the table's order,
    the longer expression first."""
    found = [(row.opening, row.name) for row in table().values() if row.opening]
    return sorted(found, key=lambda pair: -len(pair[0]))


def parts_of(licence: str) -> list[str]:
    """The licences that an SPDX expression names."""
    return [part for part in re.split(r"\s+(?:AND|OR)\s+|[()]", licence) if part.strip()]


def student_duties(licence: str) -> tuple[str, ...]:
    """What obliges who passes on a student of a teacher under `licence`, by `normalise`'s name;
    of joint licences and alternatives, what each asks. The last line says where to verify it.

    A licence that is not in the table says so.
    """
    found: list[str] = []
    sources: list[str] = []
    for name in parts_of(licence):
        row = table().get(name.strip())
        if row is None:
            found.append(
                f"Read the terms of {name.strip()} and do what they ask: not in the table."
            )
        else:
            found += [duty for duty in row.duties if duty not in found]
            sources.append(row.verify)
    return (*found, *(f"{source[0].upper()}{source[1:]}." for source in sources))


def failing(terms: Terms, at: Circumstances) -> list[str]:
    """The conditions that the policy's answers fail, in words; unanswered ones fail nothing."""
    found = []
    if at.commercial and not terms.commercial:
        found.append("it is for research or evaluation alone, and `commercial` is true")
    most = terms.max_monthly_users
    if most is not None and at.monthly_users is not None and at.monthly_users > most:
        found.append(
            f"it is for at most {most:,} monthly users, and `monthly_users` is {at.monthly_users:,}"
        )
    closed = (*terms.not_in, *(terms.multimodal_not_in if at.multimodal else ()))
    if at.region and (where := _lies_in(at.region, closed)):
        of = "of models that see or hear " if where not in terms.not_in else ""
        found.append(f"it grants nothing {of}in {where}, and `region` is {at.region}")
    if terms.outputs == "derivatives" and not at.is_cut:
        found.append(
            "its outputs may only improve the model itself and derivatives of it, and a student of "
            "an endpoint is none"
        )
    return found


def unanswered(terms: Terms, at: Circumstances) -> list[str]:
    """Fields of `license_policy` that would decide a condition of `terms` and are not set."""
    closed = terms.not_in or (at.multimodal and terms.multimodal_not_in)
    asked = {
        "commercial": not terms.commercial and at.commercial is None,
        "monthly_users": terms.max_monthly_users is not None and at.monthly_users is None,
        "region": bool(closed) and at.region is None,
    }
    return [name for name, is_open in asked.items() if is_open]


def _lies_in(region: str, regions: tuple[str, ...]) -> str | None:
    asked = region.upper()
    for name in regions:
        if asked == name or (name == "EU" and asked in EUROPEAN_UNION):
            return name
    return None
