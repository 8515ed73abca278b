"""Where personal data stands in a text: Presidio's recognizers over a lean spaCy pipeline.

Of the pipeline only the tokenizer and the named-entity recogniser run, and of Presidio's hundred
recognizers only those of the kinds asked for. Nothing is fetched: the model is loaded here, and
the e-mail recognizer does without the public suffix list that it would download.
"""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.nlp import pipeline, transformers_hidden
from stillhouse.errors import UserError

logger = logging.getLogger("stillhouse")

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer

# Presidio asks every recognizer for a language. Ours run on every text whatever its language.
LANGUAGE = "en"
NER_KINDS = {"PERSON", "LOCATION", "ORGANIZATION", "NRP", "DATE_TIME"}

# The small model is made for texts of a few pages; names don't reach over paragraphs.
PIECE_CHARACTERS = 4000
BATCH = 64

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


@dataclass(frozen=True)
class Finding:
    """A span that looks like personal data, `[start, end)` in characters."""

    kind: str
    start: int
    end: int
    score: float


class Detector:
    """Finds the given kinds; `patterns` are further kinds by regular expressions.

    Raises:
        UserError: a kind or the model is unknown, or a pattern is no regular expression.
    """

    def __init__(
        self,
        *,
        nlp_model: str,
        languages: tuple[str, ...],
        kinds: Iterable[str],
        patterns: Mapping[str, tuple[str, ...]],
        phone_regions: tuple[str, ...],
    ) -> None:
        self.kinds = list(kinds)
        self._engine = _engine(nlp_model, self.kinds, patterns, phone_regions)
        if NER_KINDS.intersection(self.kinds):
            _check_languages(nlp_model, languages)

    def find(self, texts: list[str]) -> Iterator[list[Finding]]:
        """The findings of each text, in the texts' order; they may overlap."""
        pieces = [(number, *piece) for number, text in enumerate(texts) for piece in _pieces(text)]
        findings: list[list[Finding]] = [[] for _ in texts]
        artifacts = self._engine.nlp_engine.process_batch(
            [piece for _, _, piece in pieces], language=LANGUAGE, batch_size=BATCH
        )
        for (number, offset, piece), (_, artifact) in zip(pieces, artifacts, strict=True):
            for result in self._engine.analyze(
                piece, LANGUAGE, entities=self.kinds, nlp_artifacts=artifact, score_threshold=0.0
            ):
                findings[number].append(
                    Finding(
                        result.entity_type, offset + result.start, offset + result.end, result.score
                    )
                )
        yield from findings


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces of bounded size, cut at paragraphs, lines or words, with their offsets."""
    start = 0
    while len(text) - start > PIECE_CHARACTERS:
        window = text[start : start + PIECE_CHARACTERS]
        cut = max(window.rfind("\n\n"), window.rfind("\n", PIECE_CHARACTERS // 2))
        if cut <= 0:
            cut = window.rfind(" ", PIECE_CHARACTERS // 2)
        end = start + (cut if cut > 0 else PIECE_CHARACTERS)
        yield start, text[start:end]
        start = end
    if start < len(text):
        yield start, text[start:]


def _engine(
    nlp_model: str,
    kinds: list[str],
    patterns: Mapping[str, tuple[str, ...]],
    phone_regions: tuple[str, ...],
) -> AnalyzerEngine:
    with transformers_hidden():
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    named = [kind for kind in kinds if kind in NER_KINDS]
    nlp = pipeline(nlp_model, *(["ner"] if named else []))
    _lower_case_as_lemmas(nlp)
    configuration = NerModelConfiguration()
    mapping = configuration.model_to_presidio_entity_mapping or {}
    labels = nlp.get_pipe("ner").labels if named else ()
    configuration.labels_to_ignore = [x for x in labels if mapping.get(x) not in named]
    nlp_engine = SpacyNlpEngine(
        models=[{"lang_code": LANGUAGE, "model_name": nlp_model}],
        ner_model_configuration=configuration,
    )
    nlp_engine.nlp = {LANGUAGE: nlp}
    recognizers = list(_recognizers(kinds, patterns, phone_regions))
    unknown = set(kinds) - {kind for r in recognizers for kind in r.supported_entities}
    if unknown:
        raise _unknown_kinds(unknown, patterns)
    return AnalyzerEngine(
        registry=RecognizerRegistry(recognizers, supported_languages=[LANGUAGE]),
        nlp_engine=nlp_engine,
        supported_languages=[LANGUAGE],
        context_aware_enhancer=LemmaContextAwareEnhancer(context_matching_mode="whole_word"),
    )


def _check_languages(nlp_model: str, languages: tuple[str, ...]) -> None:
    spoken = pipeline(nlp_model, "ner").meta["lang"]
    others = [language for language in languages if language != spoken]
    if spoken == "xx" or not others:  # xx: a model of many languages
        return
    message = (
        f"privacy.nlp_model: {nlp_model!r} knows names in {spoken}, not for {', '.join(others)}"
    )
    remedy = "name a model of that language, or one of many languages (xx)."
    if spoken not in languages:
        raise UserError(message, remedy=remedy)
    logger.warning("%s: there, only greetings and signatures give names away; %s", message, remedy)


def _lower_case_as_lemmas(nlp: Any) -> None:
    """Presidio looks for context words among lemmas; lower-case words do, at no cost."""
    from spacy.language import Language
    from spacy.tokens import Doc

    name = "stillhouse_lower_case_lemmas"
    if name in nlp.pipe_names:
        return
    if not Language.has_factory(name):

        @Language.component(name)  # type: ignore[untyped-decorator]
        def lower(doc: Doc) -> Doc:
            for token in doc:
                token.lemma_ = token.lower_
            return doc

    nlp.add_pipe(name)


def _recognizers(
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


def _unknown_kinds(unknown: set[str], patterns: Mapping[str, tuple[str, ...]]) -> UserError:
    known = sorted({*NER_KINDS, *_library(), *patterns})
    near = {hit for kind in unknown for hit in difflib.get_close_matches(kind.upper(), known)}
    return UserError(
        f"privacy.entities: unknown {', '.join(sorted(unknown))}",
        remedy=f"did you mean {', '.join(sorted(near))}?" if near else "use " + ", ".join(known),
    )
