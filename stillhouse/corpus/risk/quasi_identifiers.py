"""Quasi-identifiers of a masked text: what is no name and yet says whom it is about.

Found by patterns and lists alone, in five languages, at a few hundred texts a second. Values are
made coarser, as an outsider would know them: a date is its month, an age its decade.

Places are those that the tables of telephone prefixes name (some 43,000, from `phonenumbers`), and
words that stand or end as places do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from stillhouse.config.corpus import QuasiIdentifier
from stillhouse.corpus.comparing import PSEUDONYM
from stillhouse.corpus.pii import invented
from stillhouse.corpus.risk.words import (
    BEFORE_PLACES,
    ENDINGS,
    MONTHS,
    PLACE_ENDINGS,
    ROLE_PHRASES,
    ROLES,
    ROLES_UNSPACED,
)

Found = tuple[QuasiIdentifier, str]

INVENTED, INVENTED_PLACE = re.compile(invented.WORD), re.compile(invented.PLACE)
# Stands where somebody was named.
SOMEBODY = "\u25c6"
_MASKED = re.compile(rf"{PSEUDONYM}|<([A-Z_]+)>|\*{{3,}}")
_CAPITAL = re.compile(r"\b[A-Z][a-z]{5,}\b")

_MONTH = r"(?P<n>[^\W\d_]{3,10}|[ก-๙.]{4,12})"
_YEAR = r"(?P<y>(?:19|20|25)\d\d)"
YEAR = re.compile(_YEAR)
DATES = (
    re.compile(rf"\b{_YEAR}[-/.](?P<m>\d{{1,2}})[-/.]\d{{1,2}}\b"),
    re.compile(rf"\b(?P<a>\d{{1,2}})[-/.] ?(?P<m>\d{{1,2}})[-/.] ?{_YEAR}\b"),
    re.compile(rf"{_MONTH}\.?,?\s+{_YEAR}\b"),
    re.compile(rf"{_MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+{_YEAR}\b"),
    re.compile(rf"{_YEAR}年\s?(?P<m>\d{{1,2}})月"),
)
AGES = (
    re.compile(r"\b(?:aged?|alter|im alter von|âgée? de|อายุ)\s*:?\s*(\d{1,3})\b", re.I),
    re.compile(r"\b(\d{1,3})[- ](?:years?[- ]old|jahre alt|jährige[rsn]?|ans\b)", re.I),
    re.compile(r"(\d{1,3})\s?(?:歳|才)"),
)
BUDDHIST = 543  # years that Thailand counts more

_NAME = r"[A-ZÀ-ÖØ-Þ][\w&'’.-]*"
_FORMS = (
    r"GmbH(?: & Co\. KG)?|AG|KG|KGaA|OHG|SE|e\.\s?V\.|Ltd|Limited|Inc|LLC|LLP|PLC|plc|Corp|"
    r"Corporation|S\.A\.R\.L\.|SARL|S\.A\.S?\.|SAS|SA|B\.?V\.|N\.?V\.|S\.p\.A\."
)
_KINDS = (
    "University|College|Hospital|Clinic|School|Institute|Bank|Ministry|Church|Council|Museum|"
    "Universität|Hochschule|Klinikum|Klinik|Krankenhaus|Gymnasium|Grundschule|Ministerium|"
    "Stadtwerke|Sparkasse|Université|Hôpital|Lycée|Clinique|Ministère|Mairie|Banque"
)
ORGANISATIONS = (
    re.compile(rf"((?:{_NAME} ){{1,4}})(?:{_FORMS})\b"),
    re.compile(rf"\b(?:{_KINDS})(?: (?:of|für|de|du|der|des|am))? {_NAME}(?: {_NAME})?"),
    re.compile(rf"\b(?:{_NAME} ){{1,3}}(?:{_KINDS})\b"),
    re.compile(r"株式会社[一-龯ァ-ヶーA-Za-z]{1,12}|[一-龯ァ-ヶーA-Za-z]{1,10}(?:株式会社|大学|病院|高校|銀行|小学校|中学校)"),
    re.compile(r"(?:บริษัท|โรงพยาบาล|มหาวิทยาลัย|ธนาคาร|โรงเรียน|กระทรวง)\s?[ก-๙A-Za-z]{2,24}"),
)  # fmt: skip
CAPITALISED = re.compile(rf"{_NAME}(?:[ -](?:{_NAME}|am|an der|sur|upon|de|la|le|les))*")
POSTCODED = re.compile(rf"\b(?:[A-Z]{{1,2}}-)?\d{{4,5}} ({_NAME})")
JAPANESE_PLACE = re.compile(r"[一-龯ヶケ]{1,5}?(?:都|道|府|県|市|区|町|村|郡)")
THAI_PLACE = re.compile(r"(?:จังหวัด|จ\.|อำเภอ|อ\.|ตำบล|ต\.|เขต)\s?([ก-๙]{2,16})")
KANJI = re.compile(r"[一-龯ヶケ]{2,}")

SENTENCE = re.compile(r"(?<=[.!?])\s+|[。\n]+")
# Of scripts that part their words.
WORD = re.compile("[A-Za-zÀ-ɏͰ-ӿ]{4,}")
MOST_WORDS = 40  # of a text, in the order in which they come


def quasi_identifiers(text: str) -> list[Found]:
    """What is found in a masked text, each once; words are those that stand beside somebody, all
    of them: which are rare only the other texts say."""
    text = _CAPITAL.sub(lambda word: _unless_invented(word[0]), _MASKED.sub(_somebody, text))
    found: dict[Found, None] = {}
    for search in (_dates, _ages, _roles, _organisations, _places):
        found.update(dict.fromkeys(search(text)))
    told = {word for _, value in found for word in value.split()}
    words = dict.fromkeys(word for word in _words(text) if word[1] not in told)
    return [*found, *words]


def _somebody(masked: re.Match[str]) -> str:
    """Of a pseudonym, a kind, or stars: whether it is a person's is known of the first two."""
    kind = masked[1] or masked[2] or ""
    return SOMEBODY if kind.upper() == "PERSON" else " "


@lru_cache(maxsize=1 << 16)
def _unless_invented(word: str) -> str:
    """The word, or what stands there for a surrogate."""
    if INVENTED.fullmatch(word):
        return SOMEBODY
    return " " if INVENTED_PLACE.fullmatch(word) else word


def _dates(text: str) -> Iterator[Found]:
    for form in DATES if YEAR.search(text) else ():
        for match in form.finditer(text):
            told = match.groupdict()
            year = int(told["y"])
            month = MONTHS.get(told["n"].casefold(), 0) if "n" in told else int(told["m"])
            if month > 12 and told.get("a"):
                month = int(told["a"])
            if 1 <= month <= 12:
                yield "date", f"{year - BUDDHIST if year > 2400 else year}-{month:02}"


def _ages(text: str) -> Iterator[Found]:
    for form in AGES:
        for match in form.finditer(text):
            if 0 < (age := int(match[1])) < 120:
                yield "age", f"{age // 10 * 10}-{age // 10 * 10 + 9}"


_LETTERS = re.compile(r"[^\W\d_]+")
_OCCUPATIONS = frozenset(ROLES.split())
_PHRASES = re.compile(
    rf"\b({'|'.join(p.strip() for p in ROLE_PHRASES.split(',')).replace(' ', '[ -]')})\b", re.I
)
# A hospital is no nurse.
_UNSPACED = re.compile(
    f"(?<!โรง)({'|'.join(sorted(ROLES_UNSPACED.split(), key=len, reverse=True))})"
)


@lru_cache(maxsize=1 << 16)
def _role_of(word: str) -> str | None:
    """The occupation that a word says, in the singular and, of German ones, the masculine."""
    word = word.casefold()
    stems = (word.removesuffix(ending) for ending in ("", *ENDINGS) if word.endswith(ending))
    return next((stem for stem in stems if stem in _OCCUPATIONS), None)


def _roles(text: str) -> Iterator[Found]:
    for word in _LETTERS.findall(text):
        if role := _role_of(word):
            yield "role", role
    for pattern in (_PHRASES, _UNSPACED):
        for match in pattern.finditer(text):
            yield "role", match[1].casefold().replace("-", " ")


def _organisations(text: str) -> Iterator[Found]:
    for form in ORGANISATIONS:
        for match in form.finditer(text):
            yield "organisation", _plain(match[0])


@lru_cache(maxsize=1)
def _gazetteer() -> frozenset[str]:
    from phonenumbers.geodata import GEOCODE_DATA
    from phonenumbers.geodata.locale import LOCALE_DATA

    tables = (GEOCODE_DATA, LOCALE_DATA)
    told = {name for table in tables for names in table.values() for name in names.values()}
    pieces = {piece.strip() for name in told for piece in re.split(r"[,/;*]", name)}
    return frozenset(_plain(piece) for piece in pieces if len(piece) > 1)


def _places(text: str) -> Iterator[Found]:
    known = _gazetteer()
    for match in POSTCODED.finditer(text):
        yield "place", _plain(match[1])
    for match in CAPITALISED.finditer(text):
        before = text[max(0, match.start() - 16) : match.start()].split(" ")
        introduced = len(before) > 1 and before[-1] == "" and before[-2].casefold() in BEFORE_PLACES
        yield from _places_in(match[0], introduced, known)
    for match in JAPANESE_PLACE.finditer(text):
        if {_plain(match[0]), _plain(match[0][:-1])} & known:
            yield "place", _plain(match[0])
    for match in THAI_PLACE.finditer(text):
        yield "place", match[1]


def _places_in(words: str, introduced: bool, known: frozenset[str]) -> Iterator[Found]:
    """Names of several words anywhere; of one, which may be any word, behind "in" and so on."""
    parts = words.strip(".'’-").split(" ")
    for size in range(min(4, len(parts)), 0, -1):
        name = _plain(" ".join(parts[:size]))
        if name in known and (introduced or size > 1 or "-" in name):
            yield "place", name
            return
    if introduced and _plain(parts[0]).endswith(PLACE_ENDINGS):
        yield "place", _plain(parts[0])


def _plain(name: str) -> str:
    return " ".join(name.casefold().strip(" .,;:").split())


def _words(text: str) -> Iterator[Found]:
    """Words of sentences that are about somebody: who is named, or told by a role."""
    count = 0
    for sentence in SENTENCE.split(text):
        if SOMEBODY not in sentence and not any(_roles(sentence)):
            continue
        for word in WORD.findall(sentence):
            count += 1
            if count > MOST_WORDS:
                return
            yield "rare_word", word.casefold()
