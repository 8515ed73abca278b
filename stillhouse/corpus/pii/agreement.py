"""Columns and text masked alike: what was a piece of the text is a piece of the masked text.

A recognizer knows a name or a number by the sentence around it. In a column the same value stands
alone, or in a question with other words; so what is found in one is looked for in the other.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

from stillhouse.corpus.pii.names import words_of
from stillhouse.corpus.pii.not_names import NOT_NAMES
from stillhouse.corpus.pii.parts import BREAK, COLUMNS_END, prose_of, values_of
from stillhouse.corpus.pii.spans import Finding, trimmed, without_overlaps

Span = tuple[int, int]
Places = Mapping[Span, list[Span]]
"""Of each value of the columns, where else it stands in the prose, as a whole."""

# Between the letters and digits of a number that is written otherwise.
_TOO_FAR = re.compile(r"[\W_]{4}|[\x1d\x1e]")
# So few digits are a quantity or a year as soon as a piece of somebody's number.
_SHORT_NUMBER = re.compile(r"\W?(?:\d\W?){1,4}")


def agreed(
    whole: str, findings: list[Finding], taken: list[Span], counts: Callable[[Finding], bool]
) -> list[Finding]:
    """Findings that don't overlap each other or `taken`, the same in columns and prose.

    - A value found in the prose or in a column is masked wherever it stands in a column, however
      it is written, and then wherever it stands in the prose.
    - A column's value that stands in the prose has the findings of its place there. Where it is
      only a part of what was found ("Schmidt" of "Anna Schmidt"), that becomes several findings,
      wherever it stands.

    A whole without columns has its findings, without overlaps. `counts` says of another place of
    what was found whether it may be masked.
    """
    start = prose_of(whole)
    if not start:
        return without_overlaps(whole, findings, taken)
    columns, prose = _Area(whole, 0, start - len(COLUMNS_END)), _Area(whole, start, len(whole))

    ours = sorted(taken)
    places = {
        span: [at for at in prose.exactly(whole[slice(*span)]) if not _crossing(at, ours)]
        for span in columns.values()
    }

    def beside(found: list[Finding], more: Iterable[Finding]) -> list[Finding]:
        return found + without_overlaps(whole, list(more), [*taken, *_spans(found)])

    in_prose = beside([], (f for f in findings if f.start >= start))
    known = [*columns.places(in_prose), *_as_names(columns, in_prose)]
    in_columns = beside([], filter(counts, known))
    in_columns = beside(in_columns, (f for f in findings if f.start < start))
    in_columns = beside(in_columns, filter(counts, columns.places(in_columns)))
    known = [*prose.places(in_columns), *_moved(in_columns, places)]
    in_prose = beside(in_prose, filter(counts, known))
    return _like_the_prose(whole, places, sorted([*in_columns, *in_prose], key=_start))


def _spans(findings: Iterable[Finding]) -> list[Span]:
    return [(f.start, f.end) for f in findings]


class _Area:
    """A stretch of the whole, and where values stand in it."""

    def __init__(self, whole: str, start: int, end: int) -> None:
        self.whole, self.start, self.end = whole, start, end

    def values(self) -> Iterator[Span]:
        at = self.start
        for value in values_of(self.whole):
            yield at, at + len(value)
            at += len(value) + len(BREAK)

    def places(self, known: Iterable[Finding]) -> Iterator[Finding]:
        """Where the values of `known` stand here: numbers however they are written."""
        distinct = {(f.kind, _text(self.whole, f)): f.score for f in known}
        for (kind, value), score in distinct.items():
            found = self._written_otherwise if any(map(str.isdigit, value)) else self.exactly
            for start, end in found(value):
                yield Finding(kind, start, end, score)

    def exactly(self, value: str) -> Iterator[Span]:
        """Where the value stands word for word, and is no part of a longer word."""
        at = self.whole.find(value, self.start, self.end) if value else -1
        while at >= 0:
            if self._whole_words(at, at + len(value)):
                yield at, at + len(value)
            at = self.whole.find(value, at + 1, self.end)

    def _written_otherwise(self, value: str) -> Iterator[Span]:
        characters, where = self._squeezed
        needle = "".join(_plain(value))
        at = characters.find(needle)
        while at >= 0:
            start, end = where[at], where[at + len(needle) - 1] + 1
            if self._whole_words(start, end) and not _TOO_FAR.search(self.whole, start, end):
                yield start, end
            at = characters.find(needle, at + 1)

    def _whole_words(self, start: int, end: int) -> bool:
        text = self.whole
        joined_before = start > self.start and text[start - 1].isalnum() and text[start].isalnum()
        joined_after = end < self.end and text[end].isalnum() and text[end - 1].isalnum()
        return not (joined_before or joined_after)

    @cached_property
    def _squeezed(self) -> tuple[str, list[int]]:
        """The letters and digits here, and the place of each."""
        pairs = [
            (plain, at) for at in range(self.start, self.end) for plain in _plain(self.whole[at])
        ]
        return "".join(plain for plain, _ in pairs), [at for _, at in pairs]


def _plain(text: str) -> Iterator[str]:
    for character in text:
        folded = unicodedata.normalize("NFKC", character).casefold()
        yield from (c for c in folded if c.isalnum())


def _as_names(columns: _Area, found: Iterable[Finding]) -> Iterator[Finding]:
    """Values of columns that are a name in the prose or a part of one, in whatever case."""
    parts: dict[tuple[str, ...], float] = {}
    for finding in found:
        if finding.kind == "PERSON":
            words = words_of(_text(columns.whole, finding))
            for first in range(len(words)):
                for last in range(first, len(words)):
                    parts[words[first : last + 1]] = finding.score
    for start, end in columns.values() if parts else ():
        words = words_of(columns.whole[start:end])
        if words in parts and not (len(words) == 1 and words[0] in NOT_NAMES):
            yield Finding("PERSON", start, end, parts[words])


def _moved(found: list[Finding], places: Places) -> Iterator[Finding]:
    """The findings of columns' values at all places of these in the prose."""
    found = sorted(found, key=_start)
    starts = [f.start for f in found]
    for (start, end), stands in places.items():
        for f in found[bisect_left(starts, start) : bisect_left(starts, end)]:
            for first, _ in stands:
                yield replace(f, start=f.start - start + first, end=f.end - start + first)


def _like_the_prose(whole: str, places: Places, found: list[Finding]) -> list[Finding]:
    """`found`, sorted, with the findings of columns' values as they are where these stand."""
    cuts = _cuts(whole, places, found)
    pieces = [piece for f in found for piece in _pieces(whole, f, cuts.get(_text(whole, f), ()))]
    spans, starts = _spans(pieces), [piece.start for piece in pieces]
    agreed = pieces[bisect_left(starts, prose_of(whole)) :]
    for (start, end), stands in places.items():
        first, last = next((s for s in stands if not _crossing(s, spans)), (start, end))
        here = pieces[bisect_left(starts, first) : bisect_left(starts, last)]
        by = start - first
        agreed += [replace(f, start=f.start + by, end=f.end + by) for f in here]
    return sorted(agreed, key=_start)


def _cuts(whole: str, places: Places, found: list[Finding]) -> Mapping[str, set[int]]:
    """Where to cut what was found, by its text: at the ends of values that stand in the prose only
    as a part of it."""
    spans = _spans(found)
    cuts: defaultdict[str, set[int]] = defaultdict(set)
    for (start, end), stands in places.items():
        value = whole[start:end]
        if sum(map(str.isalnum, value)) < 2 or _SHORT_NUMBER.fullmatch(value):
            continue
        crossed = [_crossing(span, spans) for span in stands]
        if crossed and all(crossed):
            for begin, stop in crossed[0]:
                edges = {at - begin for at in stands[0] if begin < at < stop}
                cuts[whole[begin:stop]] |= edges
    return cuts


def _crossing(span: Span, others: list[Span]) -> list[Span]:
    """Those of `others`, which are sorted and apart, that lie both inside and outside the span."""
    start, end = span
    near = others[max(bisect_right(others, (start, start)) - 1, 0) : bisect_left(others, (end, 0))]
    return [(a, b) for a, b in near if a < start < b or a < end < b]


def _start(finding: Finding) -> int:
    return finding.start


def _text(whole: str, finding: Finding) -> str:
    return whole[finding.start : finding.end]


def _pieces(whole: str, finding: Finding, cuts: Iterable[int]) -> Iterator[Finding]:
    edges = [0, *sorted(cuts), finding.end - finding.start]
    if len(edges) == 2:
        yield finding
        return
    for first, last in pairwise(edges):
        start, end = trimmed(whole, finding.start + first, finding.start + last)
        if any(map(str.isalnum, whole[start:end])):
            yield replace(finding, start=start, end=end)
