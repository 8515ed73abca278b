"""What a token classifier's labels say of a text, as a recognizer among Presidio's."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from stillhouse.corpus.pii.functions import recognizer_of
from stillhouse.corpus.pii.operators import untouchable
from stillhouse.corpus.pii.reading import Reader
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.corpus.pii.token_classifier import Label, TokenClassifier, folder_of

Bare = Callable[[str], str]

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

# The labels of usual models. What has a form (mail addresses, links) is found by its form.
KIND_OF = {
    **dict.fromkeys(("GIVEN_NAME", "SURNAME", "PERSON", "PER", "NAME"), "PERSON"),
    **dict.fromkeys(("FIRSTNAME", "FIRST_NAME", "LASTNAME", "LAST_NAME"), "PERSON"),
    **dict.fromkeys(("PHONE", "PHONE_NUMBER", "PHONENUMBER", "TELEPHONENUM"), "PHONE_NUMBER"),
    **dict.fromkeys(("BANK_ACCOUNT", "ROUTING_NUMBER", "ACCOUNTNUM"), "ACCOUNT_NUMBER"),
    **dict.fromkeys(("TAX_ID", "TAXNUM"), "TAX_ID"),
    **dict.fromkeys(("GOVERNMENT_ID", "SOCIALNUM", "SSN", "IDCARDNUM"), "NATIONAL_ID"),
    **dict.fromkeys(("PASSPORT", "PASSPORT_NUMBER"), "PASSPORT"),
    **dict.fromkeys(("DRIVERS_LICENSE", "DRIVERLICENSENUM"), "DRIVER_LICENSE"),
    **dict.fromkeys(("LOC", "LOCATION", "GPE"), "LOCATION"),
    **dict.fromkeys(("ORG", "ORGANIZATION"), "ORGANIZATION"),
}
PLACES = {"CITY", "STATE"}
STREETS, HOUSE_NUMBERS = {"STREET_NAME", "STREET"}, {"BUILDING_NUMBER", "BUILDINGNUM"}
EXACT_PLACES = STREETS | HOUSE_NUMBERS | {"ZIP_CODE", "ZIPCODE"}
# With a number in it, an address by itself.
WHOLE_ADDRESSES = {"ADDRESS", "STREET_ADDRESS"}
# "Apt. 12" belongs to an address, but "Ext. 12" looks like it: it bears no other piece out.
ADDRESSES = PLACES | EXACT_PLACES | WHOLE_ADDRESSES | {"SECONDARY_ADDRESS"}
NO_KIND = {"EMAIL", "URL", "MISC", "DATE"}

NUMBERS = {"ACCOUNT_NUMBER", "TAX_ID", "NATIONAL_ID", "PASSPORT", "DRIVER_LICENSE"}
"""Kinds that look like the number of an order or a machine where no word says what they are."""

KINDS = ("PERSON", "ADDRESS", "PHONE_NUMBER", *sorted(NUMBERS))

# What says that a number is a person's, before it in its sentence or table.
IDENTITY = re.compile(
    r"\b(?:ssn|tin|itin|nif|nie|dni|cpf|cpr|bsn|nino|nric|pan|pesel|sin|tfn|egn|amka|rrn|ppsn?|"
    r"nhs|(?:national|citizen|tax|personal)[ -]?id|id[ -]?(?:card|no|number|nr)|id)\b|"
    r"passport|passeport|pasaporte|passaporto|passaporte|reisepass|paspoort|paszport|паспорт|"
    r"パスポート|旅券|护照|여권|หนังสือเดินทาง|"
    r"licen[cs]e|licencia|patente|f(?:ü|ue)hrerschein|permis|rijbewijs|körkort|prawo[ ]jazdy|"
    r"\btax\b|steuer|fiscal|identity|identification|identité|ausweis|social[ ]security|"
    r"sozialversicherung|insurance[ ]n|personnummer|cédula|aadhaar|マイナンバー|個人番号|身份证|"
    r"주민등록|บัตรประชาชน",
    re.IGNORECASE,
)
ACCOUNT = re.compile(
    r"\baccount|\bacct|konto|\bcompte|\bcuenta|\bconto\b|rekening|\biban\b|\bbank|\brouting|"
    r"sort[ ]code|口座|账号|계좌|บัญชี",
    re.IGNORECASE,
)
# What says that it is a thing's, right before it.
OF_A_THING = re.compile(
    r"\b(?:order|invoice|ticket|quote|parts?|serial|item|article|shipment|tracking|version|batch|"
    r"case|bestellung|rechnung|auftrag|lieferung)(?:[ ]?(?:no|nr|number|nummer|id)\b\.?)?[ :#]*$",
    re.IGNORECASE,
)
# So sure the model has to be of the pieces of an address, and of digits alone as a phone number:
# what is made of words and numbers also names machines and orders.
SURE = 0.8
# ... and so of a word to be a name.
SURE_NAME = 0.7
# A little more than spaCy's: this model knows names of many languages, and in capitals.
NAME_SCORE = 0.86
CUE_REACHES = 160
# Of a number that no word explains: below every usual threshold, and there for who lowers one.
UNEXPLAINED = 0.3

# Between the pieces of an address, or around one word of it that the model doesn't know.
_JOINS = re.compile(
    r"[\s,;.:\-–#()]*(?:(?!(?:to|for|at|from|and|is|in|on|by)\b)[^\W\d_]{1,14}[\s,.\-]{1,2})?",
    re.IGNORECASE,
)
_STROKE = re.compile(r"\s/|/\s")
_OF_ONE_NAME = re.compile(r"[ ]?[\-'’.]?[ ]?")
_DATE = re.compile(r"(?:\d{4}|\d{1,2})[./-]\d{1,2}[./-](?:\d{4}|\d{1,2})")
# With a country or area code, or in groups; two groups of a few digits may number anything.
_PHONE = re.compile(
    r"[+(0].*|(?=(?:\D*\d){9})\d+[ ().\-/]+\d.*|\d+(?:[ ().\-/]+\d+){2}.*", re.DOTALL
)
_HANGS_BEFORE = re.compile(r"(?:[A-Z0-9]+-)+$")
_HANGS_BEHIND = re.compile(r"(?:-[A-Z0-9]+)+")
_COUNTRY_CODE = re.compile(r"\+\d{1,3}[ ]?\(?$")


def model_recognizer(settings: MaskSettings, kinds: list[str]) -> EntityRecognizer:
    """The recognizer of those `kinds` that the settings' model knows."""
    classifier = _classifier(settings.recognizer)
    ours = untouchable(settings.operator, settings.kinds(), settings.syllables)
    reader = Reader(classifier, ours)
    labels = {name.removeprefix("B-").removeprefix("I-") for name in classifier.names} - {"O"}
    known = set(filter(None, map(kind_of, labels)))

    return recognizer_of(
        "token classifier",
        [kind for kind in kinds if kind in known],
        lambda text: findings(reader, text, settings.context),
    )


@lru_cache(maxsize=2)
def _classifier(model: str) -> TokenClassifier:
    return TokenClassifier(folder_of(model))


def kind_of(label: str) -> str | None:
    """The kind that a label stands for; one of its own name where it is none of the usual."""
    label = label.upper()
    if label in ADDRESSES:
        return "ADDRESS"
    return KIND_OF.get(label, None if label in NO_KIND else label)


def findings(
    reader: Reader, text: str, context: Mapping[str, tuple[str, ...]]
) -> Iterator[Finding]:
    """Names in one, addresses in one, and numbers with what is said before them."""
    for labels in reader.labels(text):
        places = [label for label in labels if kind_of(label.name) == "ADDRESS"]
        yield from _addresses(text, places)
        others = [Finding(k, x.start, x.end, x.score) for x in labels if (k := kind_of(x.name))]
        yield from _names(text, (f for f in others if f.kind == "PERSON"))
        for finding in others:
            if finding.kind == "PHONE_NUMBER":
                yield from _phone(text, finding, context.get("NATIONAL_ID", ()), reader.bare)
            elif finding.kind in NUMBERS:
                yield from _number(text, finding, context.get(finding.kind, ()), reader.bare)
            elif finding.kind not in ("PERSON", "ADDRESS"):
                yield finding


def _addresses(text: str, labels: Iterable[Label]) -> Iterator[Finding]:
    """Pieces beside each other that are more than a place: a street with its number, or with a
    place any of street, number, postcode; where the model is sure of both."""
    groups: list[list[Label]] = []
    for label in labels:
        if _STROKE.search(text, label.start, label.end):
            continue  # it reaches from one thing to another
        if groups and _JOINS.fullmatch(text, groups[-1][-1].end, label.start):
            groups[-1].append(label)
        else:
            groups.append([label])
    for group in groups:
        start, end = group[0].start, group[-1].end
        surest = {x.name: x.score for x in sorted(group, key=lambda x: x.score)}
        whole = WHOLE_ADDRESSES & surest.keys() and any(map(str.isdigit, text[start:end]))
        sure = {name for name, score in surest.items() if score >= SURE}
        placed = sure & PLACES and sure & EXACT_PLACES
        numbered = sure & STREETS and sure & HOUSE_NUMBERS
        if re.search(r"[^\W\d_]{2}", text[start:end]) and (whole or placed or numbered):
            wrong = math.prod(1 - label.score for label in group)
            yield Finding("ADDRESS", start, end, 1 - wrong)


def _names(text: str, found: Iterable[Finding]) -> Iterator[Finding]:
    last: Finding | None = None
    for name in found:
        if name.score < SURE_NAME:
            continue
        if last and _OF_ONE_NAME.fullmatch(text, last.end, name.start):
            last = replace(last, end=name.end)
            continue
        if last:
            yield last
        last = replace(name, score=NAME_SCORE)
    if last:
        yield last


def _phone(text: str, finding: Finding, words: tuple[str, ...], bare: Bare) -> Iterator[Finding]:
    value = text[finding.start : finding.end]
    digits = sum(map(str.isdigit, value))
    if not 7 <= digits <= 16 or _DATE.fullmatch(value):
        return
    if _PHONE.fullmatch(value) or (value.isdigit() and finding.score >= SURE):
        code = _COUNTRY_CODE.search(text[max(0, finding.start - 6) : finding.start])
        start = finding.start - len(code[0]) if code else finding.start
        yield Finding(finding.kind, start, finding.end, finding.score)
    elif not value.isdigit():
        # With letters it is another number of somebody's, if a word says so.
        yield from _number(text, replace(finding, kind="NATIONAL_ID"), words, bare)


def _number(text: str, finding: Finding, words: tuple[str, ...], bare: Bare) -> Iterator[Finding]:
    finding = _whole_code(text, finding)
    value = text[finding.start : finding.end]
    if sum(map(str.isdigit, value)) < 4 or _DATE.fullmatch(value):
        return
    # A pseudonym says what stood there, of another number.
    before = bare(text[max(0, finding.start - CUE_REACHES) : finding.start])
    cues = ACCOUNT if finding.kind == "ACCOUNT_NUMBER" else IDENTITY
    said = cues.search(before) or any(word.casefold() in before.casefold() for word in words)
    explained = said and not OF_A_THING.search(before)
    score = finding.score if explained else min(finding.score, UNEXPLAINED)
    yield replace(finding, score=score)


def _whole_code(text: str, finding: Finding) -> Finding:
    """With the groups of letters and digits that hang on it by dashes: "L410-6253"."""
    before = _HANGS_BEFORE.search(text[max(0, finding.start - 30) : finding.start])
    after = _HANGS_BEHIND.match(text, finding.end)
    start = finding.start - (len(before[0]) if before else 0)
    return replace(finding, start=start, end=after.end() if after else finding.end)
