"""Names in capitals: a recognizer that learned from newspapers misreads "JOHN LEE", "Ana DIAZ".

Words in capitals beside other capitalised words are read once more as if written "John Lee". The
length stays, and so do places.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import Any

from stillhouse.corpus.pii.not_names import ACRONYMS, NOT_NAMES

CAPITALS = r"\p{Lu}(?:[\p{Lu}'’\-]*\p{Lu})"
CAPITALISED = r"\p{Lu}[\p{L}'’\-]*+"
RUN = rf"(?<!\w){CAPITALISED}(?:\.?[ ,;:/]{{1,2}}{CAPITALISED})++"

# A word of a sentence; in an address names stand in lower case too.
LOWER_CASE = re.compile(r"(?<![^\s(\"'])[a-zà-öø-ÿ]{2,}(?=[\s,;:!?)\"']|\.?(?:\s|$))")


@dataclass(frozen=True)
class Reading:
    """A text as it may have been meant, and the runs in which it is not what was written."""

    text: str
    runs: list[tuple[int, int]]


def recased(text: str) -> Reading:
    """The text with its words in capitals written like names."""
    import regex  # type: ignore[import-untyped]

    parts: list[str] = []
    runs: list[tuple[int, int]] = []
    end = 0
    for run in regex.finditer(RUN, text):
        words = [w for w in regex.findall(r"[\w'’\-]+", run[0]) if w.casefold() not in ACRONYMS]
        if len(words) > 1 and any(_in_capitals(word) for word in words):
            parts += [text[end : run.start()], regex.sub(CAPITALS, _as_name, run[0])]
            runs.append(run.span())
            end = run.end()
    return Reading("".join([*parts, text[end:]]), runs)


def _in_capitals(word: str) -> bool:
    return len(word) > 1 and word.isupper() and word.casefold() not in NOT_NAMES


def _as_name(word: Any) -> str:
    """MACALLAN -> Macallan, O'NEIL -> O'Neil; acronyms stay, and what would change its length."""
    value: str = word[0]
    named = re.sub(r"[^\W\d_]+", lambda part: part[0][0] + part[0][1:].lower(), value)
    return value if value.casefold() in ACRONYMS or len(named) != len(value) else named


def names_in_runs(
    text: str, runs: Iterable[tuple[int, int]], people: Iterable[tuple[int, int]]
) -> list[tuple[int, int]]:
    """Those of the `people` read in the recased text that stand, in capitals, in its runs.

    Words that the text also has in lower case are headings: "SEAL KIT" above words on a kit. What
    is left at the ends of a find without words that are no names ("DEAR", "INVOICE") is the name.
    """
    found: list[tuple[int, int]] = []
    spans = list(runs)
    plain = set(LOWER_CASE.findall(text)) if spans else set()
    for start, end in people:
        if not any(start < b and a < end for a, b in spans):
            continue
        words = list(re.finditer(r"[^\W\d_][\w'’\-]*", text[start:end]))
        while words and words[0][0].casefold() in NOT_NAMES | ACRONYMS:
            del words[0]
        while words and words[-1][0].casefold() in NOT_NAMES | ACRONYMS:
            del words[-1]
        if not any(len(word[0]) > 1 and word[0].isupper() for word in words):
            continue
        name = (start + words[0].start(), start + words[-1].end())
        if not _heading(text[slice(*name)], plain):
            found.append(name)
    return found


def _heading(value: str, plain: Container[str]) -> bool:
    """Whether each word of it also stands in the text in lower case, so among `plain`."""
    return all(word.casefold() in plain for word in re.findall(r"[\w'’\-]+", value))
