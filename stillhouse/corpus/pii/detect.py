"""Where personal data stands in a text: Presidio's recognizers over a lean spaCy pipeline.

Of the pipeline only the tokenizer and the named-entity recogniser run, and of Presidio's hundred
recognizers only those of the kinds asked for; a text that was seen before is not read again.
Nothing is fetched: the model is loaded here, and the e-mail recognizer does without the public
suffix list that it would download.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.nlp import pipeline, torch_hidden
from stillhouse.corpus.pii.at_once import use_at_once
from stillhouse.corpus.pii.capitals import names_in_runs, recased
from stillhouse.corpus.pii.functions import LANGUAGE
from stillhouse.corpus.pii.model_recognizer import KINDS as MODEL_KINDS
from stillhouse.corpus.pii.model_recognizer import model_recognizer
from stillhouse.corpus.pii.names import acronym
from stillhouse.corpus.pii.pieces import pieces_of, together
from stillhouse.corpus.pii.recognizers import (
    NER_KINDS,
    recognizers_of,
    unknown_kinds,
)
from stillhouse.corpus.pii.settings import MaskSettings
from stillhouse.corpus.pii.spans import Finding
from stillhouse.corpus.pii.token_classifier import NO_MODEL
from stillhouse.errors import UserError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

logger = logging.getLogger("stillhouse")

BATCH = 64
# Texts whose findings are remembered, of 4000 characters each at most.
REMEMBERED = 4096
# What Presidio gives every find of a spaCy model; names in capitals are as sure.
NER_SCORE = 0.85
# Kinds of which a model knows no more than their patterns: for these alone none is loaded.
PATTERNED_KINDS = {"EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "IP_ADDRESS", "US_SSN", "URL"}


class Detector:
    """Finds the kinds of the settings. No kinds find nothing, and load nothing: an engine without
    recognizers would take Presidio's own.

    Raises:
        UserError: a kind, a country or a model is unknown, or a pattern is no regular expression.
    """

    def __init__(self, settings: MaskSettings) -> None:
        self.kinds = list(settings.kinds())
        if self.kinds:
            self._engine = engine_of(settings, self.kinds)
            # Without the model some kinds have no recognizer.
            supported = self._engine.get_supported_entities(LANGUAGE)
            self._sought = [kind for kind in self.kinds if kind in supported]
        if NER_KINDS.intersection(self.kinds):
            _check_languages(settings.nlp_model, settings.languages)
        self._known: dict[str, list[Finding]] = {}

    def find(self, texts: list[str]) -> Iterator[list[Finding]]:
        """The findings of each text, in the texts' order; they may overlap."""
        if not self.kinds:
            yield from ([] for _ in texts)
            return
        pieces = [list(pieces_of(text)) for text in texts]
        distinct = dict.fromkeys(piece for of_text in pieces for _, piece in of_text)
        new = [piece for piece in distinct if piece not in self._known]
        found = {p: self._known[p] for p in distinct if p in self._known}
        found |= zip(new, self._in_pieces(new), strict=True)
        self._remember(found)
        for of_text in pieces:
            yield together([((start, piece), found[piece]) for start, piece in of_text])

    def _remember(self, found: dict[str, list[Finding]]) -> None:
        """A text that is masked without a find is scanned again, and others come again."""
        self._known |= found
        for piece in itertools.islice(list(self._known), max(0, len(self._known) - REMEMBERED)):
            del self._known[piece]

    def _in_pieces(self, pieces: list[str]) -> Iterator[list[Finding]]:
        in_capitals = self.names_in_capitals(pieces) if "PERSON" in self.kinds else {}
        for number, (piece, artifact) in enumerate(
            zip(pieces, self._artifacts(pieces), strict=True)
        ):
            names = in_capitals.get(number, [])
            results = self._engine.analyze(
                piece, LANGUAGE, entities=self._sought, nlp_artifacts=artifact, score_threshold=0.0
            )
            yield as_meant(piece, results, names)

    def names_in_capitals(self, pieces: list[str]) -> dict[int, list[Finding]]:
        """Names that stand in runs of capitals, by the number of the piece that has any."""
        readings = {n: r for n, piece in enumerate(pieces) if (r := recased(piece)).runs}
        artifacts = self._artifacts([reading.text for reading in readings.values()])
        found: dict[int, list[Finding]] = {}
        for (number, reading), artifact in zip(readings.items(), artifacts, strict=True):
            people = [
                (entity.start_char, entity.end_char)
                for entity in artifact.entities
                if entity.label_ == "PERSON"
            ]
            spans = names_in_runs(pieces[number], reading.runs, people)
            found[number] = [Finding("PERSON", start, end, NER_SCORE) for start, end in spans]
        return found

    def _artifacts(self, pieces: list[str]) -> Iterator[Any]:
        """What the pipeline made of each piece."""
        batches = self._engine.nlp_engine.process_batch(pieces, language=LANGUAGE, batch_size=BATCH)
        return (artifact for _, artifact in batches)


def as_meant(piece: str, results: Iterable[Any], names: list[Finding]) -> list[Finding]:
    """Presidio's results, corrected by the `names` that stand in capitals."""
    read = [Finding(r.entity_type, r.start, r.end, r.score) for r in results]
    addresses = {(f.start, f.end) for f in read if f.kind == "IP_ADDRESS"}
    read = [f for f in read if not _misread(piece, f, names) and not _dotted(f, addresses)]
    read += [name for name in names if not _part_of_a_name(name, read)]
    return [_as_sure_as_its_parts(f, read) for f in read]


def _misread(piece: str, finding: Finding, names: list[Finding]) -> bool:
    """A find in capitals that is an acronym, or of which the second reading is surer.

    That knows where a whole name ends; of the greeting or signature around one word it says less.
    """
    value = piece[finding.start : finding.end]
    if finding.kind != "PERSON" or not any(map(str.isupper, value.split())):
        return False
    if finding.score == NER_SCORE and acronym(value):
        return True
    near = [n for n in names if finding.start < n.end and n.start < finding.end]
    return any(finding.score == NER_SCORE or " " in piece[n.start : n.end] for n in near)


def _dotted(finding: Finding, addresses: set[tuple[int, int]]) -> bool:
    """An IP address that some region's telephone numbers look like."""
    return finding.kind == "PHONE_NUMBER" and (finding.start, finding.end) in addresses


def _part_of_a_name(name: Finding, others: list[Finding]) -> bool:
    return any(f.kind == "PERSON" and f.start <= name.start and name.end <= f.end for f in others)


def _as_sure_as_its_parts(name: Finding, others: list[Finding]) -> Finding:
    """A name around a surer one is the whole of it."""
    if name.kind != "PERSON":
        return name
    inside = (
        f.score
        for f in others
        if f.kind == "PERSON" and name.start <= f.start and f.end <= name.end
    )
    return replace(name, score=max(inside))


def engine_of(settings: MaskSettings, kinds: list[str]) -> AnalyzerEngine:
    """Presidio's engine with the recognizers of these kinds."""
    with torch_hidden():
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
        from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    named = [kind for kind in kinds if kind in NER_KINDS]
    nlp = pipeline(settings.nlp_model, *(["ner"] if named else []))
    use_at_once(nlp)
    lower_case_as_lemmas(nlp)
    configuration = NerModelConfiguration()
    mapping = configuration.model_to_presidio_entity_mapping or {}
    labels = nlp.get_pipe("ner").labels if named else ()
    configuration.labels_to_ignore = [x for x in labels if mapping.get(x) not in named]
    nlp_engine = SpacyNlpEngine(
        models=[{"lang_code": LANGUAGE, "model_name": settings.nlp_model}],
        ner_model_configuration=configuration,
    )
    nlp_engine.nlp = {LANGUAGE: nlp}
    recognizers = list(recognizers_of(settings, kinds))
    if settings.recognizer != NO_MODEL and set(kinds) - PATTERNED_KINDS:
        recognizers.append(model_recognizer(settings, kinds))
    known = {kind for r in recognizers for kind in r.supported_entities}
    if unknown := set(kinds) - known - set(MODEL_KINDS):
        raise unknown_kinds(unknown, settings.patterns)
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


def lower_case_as_lemmas(nlp: Any) -> None:
    """Presidio looks for context words among lemmas; lower-case words do, at no cost."""
    from spacy.language import Language
    from spacy.tokens import Doc

    name = "stillhouse_lower_case_lemmas"
    if name in nlp.pipe_names:
        return
    if not Language.has_factory(name):

        @Language.component(name)  # type: ignore[untyped-decorator]
        def lower(doc: Doc) -> Doc:
            found: Doc = doc.from_array(["LEMMA"], doc.to_array(["LOWER"]))
            return found

    nlp.add_pipe(name)
