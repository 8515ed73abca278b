"""The recognizers: Presidio's, of the kinds asked for, and our own patterns."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

# Presidio asks every recognizer for a language. Ours run on every text whatever its language.
LANGUAGE = "en"
NER_KINDS = {"PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME"}

DIGIT_RUN = re.compile(r"\d(?:[\s().\-/]{0,3}\d){5}")

WORD = r"\p{Lu}[\p{L}'’\-]+"
NAME = rf"{WORD}(?:[ ](?:{WORD}|\p{{Lu}}\.)){{0,2}}"
FULL_NAME = rf"{WORD}(?:[ ]\p{{Lu}}\.)?[ ]{WORD}"
# What says that a name stands here; `\K` leaves what comes before it out of the match.
NAME_CUES = (
    rf"(?i:\b(?:mr|mrs|ms|miss|mx|dr|prof|herr|frau|mme|sr|sra)\b\.?)[ ]\K{NAME}",
    rf"(?i:\bmy[ ]name(?:[ ]is(?:[ ]now)?|'s)|\bmein[ ]name[ ]ist|\bname:)[ ]\K{NAME}",
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


def recognizers_of(
    kinds: list[str], patterns: Mapping[str, tuple[str, ...]], phone_regions: tuple[str, ...]
) -> Iterator[EntityRecognizer]:
    from presidio_analyzer.predefined_recognizers import SpacyRecognizer

    for kind, expressions in patterns.items():
        if kind in kinds:
            yield _pattern_recognizer(kind, expressions, PATTERN_SCORE, ignore_case=True)
    if "PERSON" in kinds:
        yield _pattern_recognizer("PERSON", NAME_CUES, NAME_CUE_SCORE, ignore_case=False)
    if named := [kind for kind in kinds if kind in NER_KINDS]:
        yield SpacyRecognizer(supported_language=LANGUAGE, supported_entities=named)
    for kind, recognizer in _library().items():
        if kind in kinds:
            yield from (_built(cls, phone_regions) for cls in recognizer)


def _library() -> dict[str, list[type[EntityRecognizer]]]:
    """Presidio's recognizers that need no model and no service, by the kind they find."""
    from presidio_analyzer import LocalRecognizer, predefined_recognizers

    found: dict[str, list[type[EntityRecognizer]]] = {}
    for cls in vars(predefined_recognizers).values():
        if inspect.isclass(cls) and issubclass(cls, LocalRecognizer):
            parameter = inspect.signature(cls.__init__).parameters.get("supported_entity")
            if parameter is not None and isinstance(parameter.default, str):
                found.setdefault(parameter.default, []).append(cls)
    return found


def _built(cls: type[Any], phone_regions: tuple[str, ...]) -> EntityRecognizer:
    from presidio_analyzer import PatternRecognizer
    from presidio_analyzer.predefined_recognizers import EmailRecognizer, PhoneRecognizer

    if cls is EmailRecognizer:
        # Its check of the top-level domain would reject hosts of a company's own network.
        return PatternRecognizer(
            supported_entity="EMAIL_ADDRESS",
            patterns=cls.PATTERNS,
            context=cls.CONTEXT,
            supported_language=LANGUAGE,
        )
    if cls is PhoneRecognizer:

        class LeanPhoneRecognizer(PhoneRecognizer):  # type: ignore[misc, valid-type]
            """Scans a text once a region, which most texts can do without."""

            def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> Any:
                if not DIGIT_RUN.search(text):
                    return []
                return super().analyze(text, entities, nlp_artifacts)

        return LeanPhoneRecognizer(
            supported_regions=phone_regions,
            supported_language=LANGUAGE,
            context=[*PhoneRecognizer.CONTEXT, "tel", "fax", "telefon", "mobil", "handy"],
        )
    return cls(supported_language=LANGUAGE)


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
    known = sorted({*NER_KINDS, *_library(), *patterns})
    near = {hit for kind in unknown for hit in difflib.get_close_matches(kind.upper(), known)}
    return UserError(
        f"privacy.entities: unknown {', '.join(sorted(unknown))}",
        remedy=f"did you mean {', '.join(sorted(near))}?" if near else "use " + ", ".join(known),
    )
