"""What is masked in one go: the values of a record's columns, its title and its text.

In one, so that a name that is known from one of them is found in the others. The columns come
first: a signature still stands at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

from stillhouse.corpus.pii.spans import Finding

# No find reaches over these: between a title and its text, or two values; after all values.
BREAK = "\n\x1e\n"
COLUMNS_END = "\n\x1d\n"


class Finder(Protocol):
    def find(self, texts: list[str]) -> Iterator[list[Finding]]: ...


def joined(values: Iterable[str], prose: str) -> str:
    """The prose alone where there are no values."""
    values = list(values)
    return f"{BREAK.join(values)}{COLUMNS_END}{prose}" if values else prose


def prose_of(whole: str) -> int:
    """Where the prose begins: 0 where there are no values before it."""
    at = whole.find(COLUMNS_END)
    return at + len(COLUMNS_END) if at >= 0 else 0


def values_of(whole: str) -> list[str]:
    """The values before the prose."""
    at = whole.find(COLUMNS_END)
    return whole[:at].split(BREAK) if at >= 0 else []


def find_apart(detector: Finder, wholes: list[str]) -> Iterator[list[Finding]]:
    """The findings in each whole; columns and prose are read apart, so that a text is read alike
    whether or not somebody has answered it."""
    starts = [prose_of(whole) for whole in wholes]
    columns = [whole[:start] for whole, start in zip(wholes, starts, strict=True)]
    prose = [whole[start:] for whole, start in zip(wholes, starts, strict=True)]
    distinct = list(dict.fromkeys(part for part in (*prose, *columns) if part))
    found = dict(zip(distinct, detector.find(distinct), strict=True))
    for of_columns, text, start in zip(columns, prose, starts, strict=True):
        later = [replace(f, start=f.start + start, end=f.end + start) for f in found.get(text, [])]
        yield [*found.get(of_columns, []), *later]
