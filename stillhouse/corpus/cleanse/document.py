"""One document: what is taken out of it and what is mended, with the reason of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from stillhouse.corpus.clean.text import SUSPENDED
from stillhouse.corpus.cleanse.boilerplate import Known, boilerplate_of
from stillhouse.corpus.cleanse.edits import (
    BOILERPLATE,
    COOKIE_BANNER,
    HYPHENATION,
    NAVIGATION,
    NOISE,
    PAGE_NUMBER,
    REPEATED_LINE,
    RUNNING_HEADER,
    SYMBOLS,
    Edit,
    apply,
)
from stillhouse.corpus.cleanse.lines import Line, lines_of
from stillhouse.corpus.cleanse.mojibake import mojibake_of
from stillhouse.corpus.cleanse.pages import (
    cookie_banner,
    edit_mark,
    page_numbers,
    path_of_page,
    running_headers,
)
from stillhouse.corpus.cleanse.quality import (
    NOISY,
    is_symbols,
    noise_of,
    quality_of,
    repeated,
)

# Halves of a word with nothing but what was taken out, or a paragraph's end, between them.
FIRST_HALF = re.compile(r"[^\W\d_]{2}[-\u2010]$")
SECOND_HALF = re.compile(r"[^\W\d_]{2,}")


@dataclass(frozen=True)
class Cleansed:
    """`text` as later stages see it, `edits` what was done, by place in the text as it was.

    `quality` (0 to 1) is the share of words in the text as it was.
    """

    text: str
    edits: tuple[Edit, ...]
    quality: float


def cleanse(text: str, known: Known, *, prose: bool = True) -> Cleansed:
    """Take out what a text doesn't say itself; `prose` is False of rows of data, of which only
    mojibake is mended."""
    lines = lines_of(text)
    noise = [noise_of(line) for line in lines] if prose else []
    reasons = _removed(lines, noise, known) if prose else {}
    edits = list(_removals(text, lines, reasons))
    kept = [line for number, line in enumerate(lines) if number not in reasons]
    edits += [edit for line in kept if (edit := mojibake_of(line))]
    if prose and not known.is_record:
        edits += _edit_marks(text, kept)
    if prose:
        edits += _hyphenation(text, kept, edits)
    return Cleansed(
        apply(text, edits), tuple(sorted(edits)), quality_of(lines, noise) if prose else 1.0
    )


def _removed(lines: Sequence[Line], noise: Sequence[float | None], known: Known) -> dict[int, str]:
    """Why a line goes, by its number; the surer reason where there are two."""
    found: dict[int, str] = {}
    for number, line in enumerate(lines):
        if is_symbols(line):
            found[number] = SYMBOLS
        elif (noise[number] or 0.0) >= NOISY:
            found[number] = NOISE
    found |= dict.fromkeys(repeated(lines), REPEATED_LINE)
    for run in boilerplate_of(lines, known):
        found |= dict.fromkeys(run, BOILERPLATE)
    if not known.is_record:
        pages = page_numbers(lines)
        found |= dict.fromkeys(running_headers(lines, pages), RUNNING_HEADER)
        found |= dict.fromkeys(pages, PAGE_NUMBER)
        found |= dict.fromkeys(cookie_banner(lines), COOKIE_BANNER)
        found |= dict.fromkeys(path_of_page(lines, known.title, found), NAVIGATION)
    return found


def _removals(text: str, lines: Sequence[Line], reasons: dict[int, str]) -> Iterator[Edit]:
    """An edit for each run of lines that go for one reason.

    Of the line ends around lines that go together one stays, that of a paragraph if there is one.
    """
    for goes, group in groupby(range(len(lines)), key=lambda number: number in reasons):
        if not goes:
            continue
        block = list(group)
        first, last = block[0], block[-1]
        start, end = lines[first].start, lines[last].end
        before = lines[first - 1].end if first else 0
        after = lines[last + 1].start if last + 1 < len(lines) else len(text)
        at_end = last + 1 == len(lines)
        if first and (at_end or after - end > start - before):
            start = before
        else:
            end = after
        runs = [list(run) for _, run in groupby(block, key=lambda number: reasons[number])]
        starts = [start, *(lines[run[0]].start for run in runs[1:]), end]
        for run, (since, until) in zip(runs, pairwise(starts), strict=True):
            yield Edit(since, until, text[since:until], "", reasons[run[0]])


def _edit_marks(text: str, kept: Sequence[Line]) -> Iterator[Edit]:
    for line in kept:
        if place := edit_mark(line):
            yield Edit(*place, text[slice(*place)], "", NAVIGATION)


def _hyphenation(text: str, kept: Sequence[Line], edits: Sequence[Edit]) -> Iterator[Edit]:
    """Words that were broken where a page, a column or a paragraph ends, made whole."""
    gone = sorted((edit.start, edit.end) for edit in edits)
    for line, following in pairwise(kept):
        second = SECOND_HALF.match(following.text)
        if not second or not FIRST_HALF.search(line.text) or not second[0][0].islower():
            continue
        at = line.end - 1
        if second[0] in SUSPENDED or any(start <= at < end for start, end in gone):
            continue
        between = [span for span in gone if at <= span[0] and span[1] <= following.start]
        for start, end in [*between, (following.start, following.start)]:
            if start > at:
                yield Edit(at, start, text[at:start], "", HYPHENATION)
            at = end
