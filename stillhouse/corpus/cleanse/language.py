"""In which language a text is written, as a whole and passage by passage.

py3langid (BSD, 114 languages with a code of two letters) carries its model in its wheel, in arrays
without pickles; the same text gives the same answer, a passage in a millisecond or two.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from stillhouse.corpus.cleanse.lines import unspaced

# Fewer letters than this may be a name or a code. Scripts without spaces say as much in a third.
ENOUGH = 10
# What is asked of a passage: more of it makes the answer no surer.
SAMPLE = 2000
SURE = 0.5
# Its word for what is no language.
NO_LANGUAGE = ("zxx", "und", "mul")


@dataclass(frozen=True)
class Passage:
    """Paragraphs that follow each other in one language, at `start` to `end` of their text.

    `language` is an ISO 639-1 code, None where there is too little to tell; `letters` counts its
    letters.
    """

    start: int
    end: int
    language: str | None
    letters: int


def language_of(text: str) -> str | None:
    """The language of a passage, None where it is too short to tell, or not clear."""
    sample = text[:SAMPLE]
    if _enough(sample) < ENOUGH:
        return None
    language, confidence = _identifier().classify(sample)
    return None if confidence < SURE or language in NO_LANGUAGE else str(language)


def passages_of(text: str) -> list[Passage]:
    """The text's paragraphs, those in one language joined; short ones go with what is before."""
    found: list[Passage] = []
    at = 0
    for paragraph in text.split("\n\n"):
        start, at = at, at + len(paragraph) + 2
        if not paragraph.strip():
            continue
        language = language_of(paragraph)
        now = Passage(start, start + len(paragraph), language, sum(map(str.isalpha, paragraph)))
        before = found[-1] if found else None
        if before and (language is None or before.language in (language, None)):
            kept = before.language or language
            found[-1] = replace(
                before, end=now.end, language=kept, letters=before.letters + now.letters
            )
        else:
            found.append(now)
    return found


def main_language(text: str, passages: list[Passage]) -> str | None:
    """The language of most of the text; of many short paragraphs, that of all together."""
    if len(passages) == 1 and "\n\n" not in text:
        return passages[0].language
    known: Counter[str] = Counter()
    for passage in passages:
        if passage.language:
            known[passage.language] += passage.letters
    return max(sorted(known), key=lambda name: known[name]) if known else language_of(text)


def _enough(text: str) -> int:
    letters = sum(map(str.isalpha, text))
    return letters if text.isascii() else letters + 2 * unspaced(text)


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    # Those of three letters are close to a larger one, and short texts of that are taken for them.
    identifier.set_languages([n for n in identifier.labels if len(n) == 2 or n in NO_LANGUAGE])
    return identifier
