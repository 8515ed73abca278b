"""The recognizers: Presidio's, of the kinds asked for, and our own patterns."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.pii import model_recognizer
from stillhouse.corpus.pii.countries import (
    MY_NUMBER,
    library,
    my_number_recognizer,
    patterns_of,
)
from stillhouse.corpus.pii.functions import LANGUAGE, recognizer_of
from stillhouse.corpus.pii.numbers import cards, ibans, phone_recognizer
from stillhouse.corpus.pii.scripts import foreign_runs
from stillhouse.corpus.pii.settings import LISTED, MaskSettings
from stillhouse.errors import UserError

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

NER_KINDS = {"PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME"}

WORD = r"\p{Lu}[\p{L}'’\-]+"
NAME = rf"{WORD}(?:[ ](?:{WORD}|\p{{Lu}}\.)){{0,2}}"
FULL_NAME = rf"{WORD}(?:[ ]\p{{Lu}}\.)?[ ]{WORD}"
# What says that a name stands here; `\K` leaves what comes before it out of the match.
NAME_CUES = (
    rf"(?i:\b(?:mr|mrs|ms|miss|mx|dr|prof|herr|frau|mme|sr|sra)\b\.?)[ ]\K{NAME}",
    rf"(?i:\bmy[ ]name(?:[ ]is(?:[ ]now)?|'s)|\bmein[ ]name[ ]ist|\bname:)[ ]\K{NAME}",
    rf"(?i:\b(?:ich[ ](?:bin|heiße)|je[ ](?:suis|m['’]appelle)|me[ ]llamo|mi[ ]nombre[ ]es|"
    rf"mi[ ]chiamo|ik[ ]ben|jag[ ]heter|meu[ ]nome[ ]é))[ ]\K{FULL_NAME}",
    rf"(?i:^[ ]*(?:hi|hello|dear|hey|hallo|liebe[r]?)),?[ ]\K{NAME}(?=[ ]*[,!:\-\n])",
    rf"(?i:\b(?:regards|wishes|thanks|thank[ ]you|thx|cheers|sincerely|best|grüße|gruß)"
    rf"(?:[ ](?:again|in[ ]advance|a[ ]lot|so[ ]much|very[ ]much))?)[ ]*[,.!\-]?\s*"
    rf"\K{NAME}(?=[.!]?\s*(?:$|\n))",
    rf"(?i:\b(?:spoke|speak|talked|talk)[ ](?:to|with)|\bdiscussed[ ]with)[ ]\K{FULL_NAME}",
    rf"\n[ ]*\K{FULL_NAME}(?=\s*\Z)",
    rf"(?i:\b(?:call|ask|contact|reach|ring))[ ]\K{FULL_NAME}(?=[ ](?:on|at|about)\b|[,.;)]|$)",
    rf"^--[ ]*\n[ ]*\K{FULL_NAME}(?=[ ]*[|,\n]|[ ]*$)",
    rf"(?:[,>:][ ]|^)\K{NAME}(?=[ ](?:wrote|schrieb)[ ]?:|[ ]*<[^<>\s]+@[^<>\s]+>)",
)
NAME_CUE_SCORE = 0.6
PATTERN_SCORE = 0.6


def recognizers_of(settings: MaskSettings, kinds: list[str]) -> Iterator[EntityRecognizer]:
    """All but the model's, which is read in batches (`model_recognizer.py`)."""
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    for kind, expressions in settings.patterns.items():
        if kind in kinds:
            yield _pattern_recognizer(kind, expressions, PATTERN_SCORE, ignore_case=True)
    for kind, expression, score in patterns_of(settings.countries):
        if kind in kinds:
            yield _pattern_recognizer(kind, (expression,), score, ignore_case=False)
    if LISTED in kinds:
        listed = tuple(map(listed_pattern, settings.deny_list))
        yield _pattern_recognizer(LISTED, listed, 1.0, ignore_case=True)
    if "PERSON" in kinds:
        yield _pattern_recognizer("PERSON", NAME_CUES, NAME_CUE_SCORE, ignore_case=False)
    if scripts := [kind for kind in ("PERSON", "ADDRESS") if kind in kinds]:
        yield recognizer_of("scripts", scripts, foreign_runs)
    if named := [kind for kind in kinds if kind in NER_KINDS]:
        yield SpacyRecognizer(supported_language=LANGUAGE, supported_entities=named)
    if MY_NUMBER in kinds:
        yield my_number_recognizer()
    for kind, recognizers in library().items():
        if kind in kinds:
            yield from (_built(cls, settings.phone_regions) for cls in recognizers)
    for kind, words in settings.context.items():
        if kind in kinds:
            yield _explained_number(kind, words)


def _built(cls: type[Any], phone_regions: tuple[str, ...]) -> EntityRecognizer:
    from presidio_analyzer import PatternRecognizer, predefined_recognizers

    if cls is predefined_recognizers.EmailRecognizer:
        # Its check of the top-level domain would reject hosts of a company's own network.
        return PatternRecognizer(
            supported_entity="EMAIL_ADDRESS",
            patterns=cls.PATTERNS,
            context=cls.CONTEXT,
            supported_language=LANGUAGE,
        )
    if cls is predefined_recognizers.PhoneRecognizer:
        return phone_recognizer(phone_regions)
    if cls is predefined_recognizers.CreditCardRecognizer:
        return recognizer_of("cards", ["CREDIT_CARD"], cards)
    if cls is predefined_recognizers.IbanRecognizer:
        return recognizer_of("IBANs", ["IBAN_CODE"], ibans)
    return cls(supported_language=LANGUAGE)


def listed_pattern(value: str) -> str:
    """A value with wildcards as an expression: `*` is any characters but white space, `?` one."""
    parts = re.split(r"([*?\s]+)", value.strip())
    inner = "".join(_wild(part) if n % 2 else re.escape(part) for n, part in enumerate(parts))
    return rf"(?<!\w){inner}(?!\w)"


def _wild(part: str) -> str:
    return re.sub(r"\s+|\*|\?", lambda m: {"*": r"\S*", "?": r"\S"}.get(m[0], r"\s+"), part)


def _explained_number(kind: str, words: tuple[str, ...]) -> EntityRecognizer:
    """A number of this kind, where one of the words stands shortly before it."""
    import regex  # type: ignore[import-untyped]

    cue = "|".join(regex.escape(word) for word in sorted(words, key=len, reverse=True))
    number = r"\b(?:[A-Z]{1,4}-?)?\d[\d\-/. ]{2,24}\d\b"
    return _pattern_recognizer(
        kind,
        (rf"(?:{cue})(?:[^\w\n]|\w+[ :])" r"{0,8}?\K" + number,),
        PATTERN_SCORE,
        ignore_case=True,
    )


def _pattern_recognizer(
    kind: str, expressions: tuple[str, ...], score: float, *, ignore_case: bool
) -> EntityRecognizer:
    import regex  # type: ignore[import-untyped]
    from presidio_analyzer import Pattern, PatternRecognizer

    flags = regex.MULTILINE | (regex.IGNORECASE if ignore_case else 0)
    for expression in expressions:
        try:
            regex.compile(expression, flags=flags)
        except regex.error as error:
            raise UserError(
                f"privacy.patterns.{kind}: {expression!r} is no regular expression: {error}",
                remedy="mend the expression; it follows the `regex` package.",
            ) from error
    return PatternRecognizer(
        supported_entity=kind,
        name=f"stillhouse {kind} patterns",
        patterns=[Pattern(f"{kind} {n}", x, score) for n, x in enumerate(expressions)],
        supported_language=LANGUAGE,
        global_regex_flags=flags,
    )


def unknown_kinds(unknown: set[str], patterns: Mapping[str, tuple[str, ...]]) -> UserError:
    known = sorted({*NER_KINDS, *library(), *model_recognizer.KINDS, *patterns})
    near = {hit for kind in unknown for hit in difflib.get_close_matches(kind.upper(), known)}
    return UserError(
        f"privacy.entities: unknown {', '.join(sorted(unknown))}",
        remedy=f"did you mean {', '.join(sorted(near))}?" if near else "use " + ", ".join(known),
    )
