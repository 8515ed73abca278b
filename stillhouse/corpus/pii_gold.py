"""Texts in which a person has marked the personal data: what masking is measured against.

A JSON Lines file, one text a line. Names of fields and kinds are those of this project, or the ones
that common tools write (Presidio's evaluation, spaCy, Prodigy, doccano, ai4privacy).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.metrics.spans import Span
from stillhouse.storage.files import sha256_of

# The first of these that a line or a span has is the one that counts.
TEXT = ("text", "full_text", "source_text")
SPANS = ("spans", "entities", "labels", "label", "privacy_mask")
START = ("start", "start_position", "start_offset")
END = ("end", "end_position", "end_offset")
KIND = ("kind", "label", "entity", "entity_type", "type")
VALUE = ("value", "entity_value", "text")
# A line in which this is false was not read by anybody yet (see pii_marking.py): it doesn't count.
MARKED = "marked"

# What others call the kinds, without case and punctuation.
_OTHERS = {
    "PERSON": "PER NAME FULLNAME FIRSTNAME GIVENNAME MIDDLENAME LASTNAME SURNAME FAMILYNAME",
    "EMAIL_ADDRESS": "EMAIL MAIL",
    "PHONE_NUMBER": "PHONE PHONENUM TELEPHONE TELEPHONENUM TELEPHONENUMBER TEL MOBILE FAX",
    "IBAN_CODE": "IBAN",
    "CREDIT_CARD": "CARD CARDNUMBER CREDITCARDNUMBER",
    "IP_ADDRESS": "IP IPV4 IPV6",
    "US_SSN": "SSN SOCIALNUM SOCIALSECURITYNUMBER",
    "ACCOUNT_NUMBER": "ACCOUNT ACCOUNTNUM",
    "ADDRESS": "STREET STREETADDRESS POSTALADDRESS HOMEADDRESS STREETNAME BUILDINGNUM "
    "BUILDINGNUMBER ZIP ZIPCODE POSTCODE POSTALCODE DEPLZ UKPOSTCODE CAPOSTALCODE",
    "LOCATION": "LOC GPE CITY STATE COUNTY COUNTRY",
    "ORGANIZATION": "ORG ORGANISATION COMPANY COMPANYNAME",
    "DATE_TIME": "DATE TIME DOB DATEOFBIRTH BIRTHDATE",
    "TAX_NUMBER": "TAXID TAXNUM TAXPAYERID USITIN DETAXID DETAXNUMBER ITFISCALCODE ESNIF ESNIE "
    "AUTFN INPAN PHTIN ZAINCOMETAXNUMBER",
    "PASSPORT": "PASSPORTNUM PASSPORTNUMBER",
    "NATIONAL_ID": "NATIONALIDNUMBER IDCARD IDCARDNUM UKNINO DESOCIALSECURITY DEIDCARD PLPESEL "
    "SEPERSONNUMMER FIPERSONALIDENTITYCODE ITIDENTITYCARD CASIN INAADHAAR KRRRN NGNIN SGNRICFIN "
    "THTNIN TRNATIONALID ZAIDNUMBER",
}
_KNOWN = {
    re.sub(r"\W|_", "", name): kind
    for kind, names in _OTHERS.items()
    for name in (kind, *names.split())
}

# So many bad lines are told at once.
MOST_PROBLEMS = 8


@dataclass(frozen=True)
class GoldText:
    """A text and where personal data stands in it."""

    text: str = field(repr=False)
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Gold:
    """The marked texts; `unmarked` counts those that nobody has read yet."""

    texts: tuple[GoldText, ...]
    unmarked: int


def kind_of(name: str) -> str:
    """The project's name of a kind; what is unknown stays as it is, in capitals.

    A country's kinds are one: DE_PASSPORT is a PASSPORT, IT_FISCAL_CODE a TAX_NUMBER.
    """
    plain = re.sub(r"\W|_", "", name).upper()
    if plain.endswith("PASSPORT"):
        return "PASSPORT"
    return _KNOWN.get(plain) or re.sub(r"\W+", "_", name.strip()).upper()


def gold_digest(path: Path) -> str | None:
    """Of the file's content; None where it can't be read now."""
    try:
        return sha256_of(path)
    except OSError:
        return None


def read_gold(path: Path) -> Gold:
    """The texts of a file and what is marked in them; offsets are in characters.

    Raises:
        UserError: the file can't be read, or holds something else; says where, never what.
    """
    try:
        lines = path.read_bytes().decode("utf-8-sig").split("\n")
    except OSError as error:
        raise UserError(
            f"privacy.pii_gold: {path}: can't be read ({error.strerror or error})",
            remedy="correct the path, or leave pii_gold out.",
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"privacy.pii_gold: {path}: byte {error.start} is no UTF-8", remedy="save it as UTF-8."
        ) from None
    texts, problems, unmarked = [], [], 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            found = _text_of(line)
        except _Wrong as wrong:
            problems.append((f"{path}:{number}: {wrong.what}", wrong.remedy))
            continue
        if found is None:
            unmarked += 1
        else:
            texts.append(found)
    if problems:
        raise _bad(problems)
    if not any(text.spans for text in texts):
        raise UserError(
            f"privacy.pii_gold: {path}: nothing is marked in any text ({unmarked} not read yet)",
            remedy=f"mark what is personal, and set `{MARKED}` to true in the lines that you read.",
        )
    return Gold(tuple(texts), unmarked)


class _Wrong(Exception):  # noqa: N818 - never leaves this module
    """What is wrong with a line, and what to do about it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what)
        self.what, self.remedy = what, remedy


def _bad(problems: list[tuple[str, str]]) -> UserError:
    shown = problems[:MOST_PROBLEMS]
    more = [f"and {len(problems) - len(shown)} more lines"] if len(problems) > len(shown) else []
    remedies = dict.fromkeys(remedy for _, remedy in shown)
    return UserError(
        "\n".join(["privacy.pii_gold:", *(problem for problem, _ in shown), *more]),
        remedy="; ".join(remedies) + ".",
    )


def _text_of(line: str) -> GoldText | None:
    """What a line holds; None where nobody has read it yet. Raises `_Wrong`."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise _Wrong("this is no JSON object", "write one object a line (of a list: jq -c '.[]')")
    if row.get(MARKED) is False:
        return None
    name, text = _first(row, TEXT)
    if not isinstance(text, str):
        raise _Wrong(f"{name}: a text is required", 'write {"text": ..., "spans": [...]}')
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise _Wrong(f"{name}: half of a character (a lone surrogate)", "mend the encoding")
    name, marked = _first(row, SPANS)
    if not isinstance(marked, list):
        raise _Wrong(f"{name}: a list is required", "write `spans: []` where nothing is personal")
    spans = (span for n, item in enumerate(marked) for span in _spans(text, item, f"{name}[{n}]"))
    return GoldText(text, tuple(dict.fromkeys(spans)))


def _spans(text: str, item: Any, name: str) -> Iterator[Span]:
    """Where a marked piece stands: at its offsets, or else wherever its value does."""
    if isinstance(item, list) and len(item) == 3:  # doccano
        item = dict(zip(("start", "end", "kind"), item, strict=True))
    if not isinstance(item, dict):
        raise _Wrong(f"{name}: this is no span", 'write {"start": 0, "end": 4, "kind": "PERSON"}')
    at, kind = _first(item, KIND)
    if not isinstance(kind, str) or not kind_of(kind).strip("_"):
        raise _Wrong(f"{name}.{at}: a kind is required", "write PERSON, ADDRESS, ...")
    at, value = _first(item, VALUE)
    if value is not None and not (isinstance(value, str) and any(map(str.isalnum, value))):
        raise _Wrong(f"{name}.{at}: it has no letter or digit", "write it as it stands there")
    if not any(known in item for known in (*START, *END)) and value is not None:
        places = places_of(value, text)
        if not places:
            raise _Wrong(f"{name}.{at}: it is not in the text", "write it as it stands there")
        yield from ((kind_of(kind), *place) for place in places)
        return
    start, end = _offsets(text, item, name)
    if value is not None and text[start:end] != value:
        raise _Wrong(
            f"{name}: at these offsets stands something else than {at}",
            "count characters from 0, `end` after the last one; not bytes, not UTF-16 units",
        )
    if not any(map(str.isalnum, text[start:end])):
        raise _Wrong(f"{name}: no letter or digit is there", "correct the offsets")
    yield kind_of(kind), start, end


def places_of(value: str, text: str) -> list[tuple[int, int]]:
    """Where a value stands in a text, not as a part of a longer word."""
    return [m.span() for m in re.finditer(rf"(?<!\w){re.escape(value)}(?!\w)", text)]


def _offsets(text: str, item: dict[str, Any], name: str) -> tuple[int, int]:
    (first, start), (last, end) = _first(item, START), _first(item, END)
    for at, offset in ((first, start), (last, end)):
        if type(offset) is not int:  # a bool is an int too
            raise _Wrong(f"{name}.{at}: a whole number is required", "write offsets, or `value`")
        if not 0 <= offset <= len(text):
            raise _Wrong(
                f"{name}.{at}: {offset} is outside of the text's {len(text)} characters",
                "count characters from 0",
            )
    if end <= start:
        raise _Wrong(f"{name}.{last}: {end} is not after {start}", "correct the offsets")
    return start, end


def _first(values: dict[str, Any], names: Sequence[str]) -> tuple[str, Any]:
    """The first of the names that is there, and its value; else the usual name and None."""
    return next(((name, values[name]) for name in names if name in values), (names[0], None))
