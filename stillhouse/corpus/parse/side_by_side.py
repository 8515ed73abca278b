"""Two columns that stand side by side in plain text, as layout-keeping converters write pages.

Only running text is put one column below the other: lines that go on in the next one. Tables have
cells that begin anew in each row, and stay as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from statistics import mean

# Lines with text in both columns, words of a line in each, characters between the columns.
LINES, WORDS, GAP = 5, 3.5, 2
# In each column so many lines begin in lower case, after one that doesn't end a sentence.
GOES_ON = 0.3
RIGHT = re.compile(rf"\S {{{GAP},}}(?=\S)")
SENTENCE_END = re.compile(r"[.!?:;][\"'”’)]*$")


def one_below_the_other(text: str) -> str:
    """The text with its columns in reading order; pages end at form feeds."""
    if not RIGHT.search(text):
        return text
    return "\f".join(map(_page, text.split("\f")))


def _page(page: str) -> str:
    lines = [line.expandtabs().rstrip() for line in page.splitlines()]
    begins = Counter(found.end() for line in lines for found in RIGHT.finditer(line))
    if not begins or begins.most_common(1)[0][1] < LINES:
        return page
    at = begins.most_common(1)[0][0]
    return "\n".join(_unfolded(lines, at))


def _unfolded(lines: Sequence[str], at: int) -> Iterator[str]:
    across = [bool(line[at - GAP : at].strip()) for line in lines]
    # A line that fills its column, between two that stand side by side.
    for number in range(1, len(lines) - 1):
        if not across[number]:
            continue
        beside = not across[number - 1] and not across[number + 1]
        if beside and lines[number][at - 1 : at + 1].startswith(" ") and lines[number][at:].strip():
            across[number] = not (_both(lines[number - 1], at) and _both(lines[number + 1], at))
    for crosses, group in groupby(zip(across, lines, strict=True), key=lambda pair: pair[0]):
        block = [line for _, line in group]
        left = [line[:at].rstrip() for line in block]
        right = [line[at:] for line in block]
        if not crosses and _is_text(left, right):
            yield from [*left, "", *right, ""]
        else:
            yield from block


def _both(line: str, at: int) -> bool:
    return bool(line[:at].strip() and line[at:].strip())


def _is_text(left: Sequence[str], right: Sequence[str]) -> bool:
    both = [(a, b) for a, b in zip(left, right, strict=True) if a.strip() and b.strip()]
    return len(both) >= LINES and all(map(_runs, zip(*both, strict=True)))


def _runs(column: Sequence[str]) -> bool:
    if mean(len(line.split()) for line in column) < WORDS or any(map(RIGHT.search, column)):
        return False
    goes_on = [
        bool(following.lstrip()[:1].islower() and not SENTENCE_END.search(line))
        for line, following in pairwise(column)
    ]
    return mean(goes_on) >= GOES_ON
