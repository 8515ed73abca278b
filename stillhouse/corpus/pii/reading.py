"""What the model reads of a text: its sentences, each once, and only those that may hold a find.

Measured with the model that comes along, whole messages, lines and sentences give the same recall
to a hundredth; sentences repeat between texts, and masking a name leaves the others as they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

from stillhouse.corpus.pii.not_names import ACRONYMS, NOT_NAMES
from stillhouse.corpus.pii.token_classifier import Label, TokenClassifier

# The model was trained on texts of about this length; what is longer is cut at a line end.
MOST_CHARACTERS = 480
# Sentences that are remembered: those of some thousand short texts.
REMEMBERED = 20_000

# A sentence ends behind a word of some letters: "St." and "Str." are no end. Lines stay together,
# as an address has several.
SENTENCE_END = re.compile(r"(?<=[^\W\d_A-Z]{4}[.!?])\s+(?=[A-ZÀ-ÖØ-Þ])|\n\s*\n")
LINE_END = re.compile(r"\n")

WORD = re.compile(r"[^\W\d_][\w\-]*")
LONG_NUMBER = re.compile(r"\d(?:[\s().\-/]{0,3}\d){4}|@")


class Reader:
    """Gives what the classifier says of texts, and remembers sentences.

    `known` is what no find is in: pseudonyms of an earlier masking.
    """

    def __init__(self, classifier: TokenClassifier, known: re.Pattern[str]) -> None:
        self._masked = known
        self._read = lru_cache(maxsize=REMEMBERED)(classifier.read)

    def bare(self, text: str) -> str:
        """The text without pseudonyms: an article stands there."""
        return self._masked.sub("A", text)

    def labels(self, text: str) -> Iterator[list[Label]]:
        """The labels in each part of the text that may hold any; their places are the text's."""
        for start, part in parts_of(text):
            if worth_reading(self.bare(part)):
                yield [
                    replace(label, start=label.start + start, end=label.end + start)
                    for label in self._read(part)
                ]


def parts_of(text: str) -> Iterator[tuple[int, str]]:
    """The sentences and paragraphs of a text, without the white space around them."""
    for start, part in _split(text, 0, SENTENCE_END):
        if len(part) <= MOST_CHARACTERS:
            yield start, part
            continue
        first, so_far = start, ""
        for at, line in _split(part, start, LINE_END):
            if so_far and at + len(line) - first > MOST_CHARACTERS:
                yield first, so_far
                first = at
            so_far = text[first : at + len(line)]
        if so_far:
            yield first, so_far


def _split(text: str, offset: int, where: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    start = 0
    for end, following in [*(m.span() for m in where.finditer(text)), (len(text), len(text))]:
        part = text[start:end]
        if stripped := part.strip():
            yield offset + start + len(part) - len(part.lstrip()), stripped
        start = following


def worth_reading(part: str) -> bool:
    """Whether a find is possible: a long number, or among words one that may be a name. Of a word
    alone, a value of some column, the model can only guess.

    That is a capitalised word that is no usual one, or any where nothing is capitalised, as in a
    chat, or where the script has no capitals.
    """
    if LONG_NUMBER.search(part):
        return True
    words = WORD.findall(part)
    if len(words) < 2:
        return False
    if not any(word[0].isupper() for word in words):
        return bool(words)
    return any(_may_be_a_name(word) for word in words)


def _may_be_a_name(word: str) -> bool:
    if word[0].islower():
        return False
    plain = word.casefold()
    return plain not in NOT_NAMES and plain not in ACRONYMS and plain not in _usual()


def _usual() -> set[str]:
    """Words that sentences begin with."""
    from spacy.lang.en.stop_words import STOP_WORDS

    found: set[str] = STOP_WORDS
    return found
