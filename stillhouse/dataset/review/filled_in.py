"""Reviews that people filled in: CSV files in a folder that no step writes to.

A row is one person's verdict on one pair. Pairs are known by their ids, which are of content: a
review holds as long as its pair says the same, whatever sample it was drawn for. A row that can't
be used is told with its place, and costs the others nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

from stillhouse.dataset.review.strata import GOLD
from stillhouse.metrics.agreement import cohens_kappa
from stillhouse.metrics.spans import Estimate
from stillhouse.storage.files import digest

REQUIRED = ("reviewer", "pair_id", "verdict")
COLUMNS = (*REQUIRED, "correction", "comment")
ACCEPT, REJECT, CORRECT = "accept", "reject", "correct"
# From the mildest to the strictest: of two that differ, the stricter wins.
VERDICTS = (ACCEPT, CORRECT, REJECT)
# As people write them in a sheet of their own.
_WORDS = {"accepted": ACCEPT, "rejected": REJECT, "corrected": CORRECT}

# What a spreadsheet would take for a formula: it is written with an apostrophe before it, which is
# taken away when it is read (OWASP, "CSV injection"). The page does the same.
GUARDED = re.compile(r"[\s']*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
LARGEST_CELL = 1 << 20  # characters
NOTHING_SAID = "none"


@dataclass(frozen=True)
class Problem:
    """What can't be used of a review, where it stands, and what to do about it. It names no pair,
    and says nothing of what stands there."""

    file: str
    line: int
    field: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.field}: {self.what}; {self.remedy}"


@dataclass(frozen=True)
class Row:
    """A row of a CSV, and where it stands."""

    file: str
    line: int
    reviewer: str
    pair_id: str
    verdict: str
    correction: str = field(repr=False, default="")

    def wrong(self, name: str, what: str, remedy: str) -> Problem:
        return Problem(self.file, self.line, name, what, remedy)


@dataclass(frozen=True)
class Reviewed:
    """The pair as it was reviewed: its task, its masked text, and what it answers."""

    task: str
    input: str = field(repr=False)
    response: str = field(repr=False)


@dataclass(frozen=True)
class Decision:
    """What all reviewers of a pair together decided; `response` and `label` are those of a
    correction. `contested` when they had not said the same."""

    verdict: str
    response: str | None = field(repr=False, default=None)
    label: str | None = field(repr=False, default=None)
    contested: bool = False


@dataclass(frozen=True)
class Settled:
    """Decisions by pair, what could not be used, and how far two reviewers agree: over `read_twice`
    pairs, of the two who share most. `unknown` counts rows of no pair that there is now."""

    decisions: dict[str, Decision]
    problems: list[Problem]
    reviewers: int
    unknown: int
    read_twice: int
    kappa: Estimate | None


def guarded(text: str) -> str:
    """A cell that no spreadsheet computes."""
    return f"'{text}" if GUARDED.match(text) else text


def unguarded(text: str) -> str:
    """What `guarded` was given."""
    return text[1:] if text.startswith("'") and GUARDED.match(text[1:]) else text


def review_files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.glob("*.csv") if p.is_file()) if folder.is_dir() else []


def reviews_digest(folder: Path, kind: str) -> str:
    """Of what the files say of this kind of ids, whatever their names and whatever the order of
    their rows; of what is wrong with them too, where it is counted (gold pairs)."""
    rows, problems = read_reviews(folder)
    said = [
        [row.reviewer, row.pair_id, row.verdict, row.correction]
        for row in rows
        if _is_of(row, kind)
    ]
    wrong = [[problem.field, problem.what] for problem in problems if kind == GOLD]
    return digest(sorted(said), sorted(wrong)) if said or wrong else NOTHING_SAID


def _is_of(row: Row, kind: str) -> bool:
    """Whether its pair is of this kind; a bare id is that of a gold pair."""
    return (row.pair_id.rpartition("-")[0] or GOLD) == kind


def read_reviews(folder: Path) -> tuple[list[Row], list[Problem]]:
    """The rows of all CSV files there, and what can't be read of them.

    UTF-8, with or without a byte-order mark; separated by commas, semicolons or tabs. Rows without
    a verdict are of pairs that nobody decided yet. Never raises for what a file holds.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    for file in review_files(folder):
        try:
            text = file.read_bytes().decode("utf-8-sig")
        except OSError as error:
            said = f"can't be read ({error.strerror or 'error'})"
            problems.append(Problem(file.name, 1, "file", said, "let this user read it"))
            continue
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            remedy = "save it as CSV in UTF-8"
            problems.append(Problem(file.name, line, "file", "this is no UTF-8", remedy))
            continue
        _read(file.name, text, rows, problems)
    return rows, problems


def _read(name: str, text: str, rows: list[Row], problems: list[Problem]) -> None:
    first = text.partition("\n")[0]
    separator = max(",;\t", key=first.count)
    csv.field_size_limit(LARGEST_CELL)
    # Strictly, else a quotation mark that is not closed would swallow all rows after it.
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    line = 1
    try:
        header = [cell.strip().lower() for cell in next(lines, [])]
        if missing := [column for column in REQUIRED if column not in header]:
            said = f"the first line names no column {missing[0]}"
            remedy = f"begin the file with {','.join(COLUMNS)}"
            problems.append(Problem(name, 1, missing[0], said, remedy))
            return
        line = lines.line_num + 1
        for cells in lines:
            given = dict.fromkeys(header, "")
            given |= {n: unguarded(c) for n, c in zip(header, cells, strict=False)}
            found = _row(name, line, given)
            if isinstance(found, Row):
                rows.append(found)
            elif found is not None:
                problems.append(found)
            line = lines.line_num + 1
    except csv.Error:
        said, remedy = "this is no CSV from here on", "look for a quotation mark that is not closed"
        problems.append(Problem(name, line, "file", said, remedy))


def _row(name: str, line: int, given: Mapping[str, str]) -> Row | Problem | None:
    """A row; what is wrong with it; None where nothing was decided."""
    word = given["verdict"].strip().lower()
    if not word:
        return None
    row = Row(
        name,
        line,
        " ".join(given["reviewer"].split()).casefold(),
        given["pair_id"].strip(),
        _WORDS.get(word, word),
        given.get("correction", ""),
    )
    corrects = bool(row.correction.strip())
    if not row.reviewer:
        return row.wrong("reviewer", "nobody is named", "write a name or initials")
    if not row.pair_id:
        return row.wrong("pair_id", "no pair is named", "copy its id from the page's CSV")
    if row.verdict not in VERDICTS:
        return row.wrong("verdict", "this is none", f"write {ACCEPT}, {REJECT} or {CORRECT}")
    if row.verdict == CORRECT and not corrects:
        return row.wrong("correction", "it is empty", f"write the right answer, or {REJECT}")
    if row.verdict != CORRECT and corrects:
        remedy = f"write the verdict {CORRECT}, or take it out"
        return row.wrong("correction", f"the verdict says {row.verdict}", remedy)
    return row


Corrected = Callable[[Reviewed, str], tuple[str, str | None]]
"""Response and label of a correction, from the pair and what was written; raises `ValueError`."""


def settle(
    rows: Iterable[Row], pairs: Mapping[str, Reviewed], kind: str, corrected: Corrected
) -> Settled:
    """What the rows that are of this kind of ids decide of `pairs`.

    One person's two rows on a pair that say the same are one; else the stricter counts, and both
    places are told. Of several people the strictest counts: who corrects otherwise than another
    leaves nothing to learn from, so that pair is rejected.
    """
    problems: list[Problem] = []
    said: dict[str, dict[str, Decision]] = defaultdict(dict)
    unknown = 0
    for row in rows:
        bare = row.pair_id.rpartition("-")[2]
        if not _is_of(row, kind):
            continue
        pair = pairs.get(bare)
        if pair is None:
            unknown += 1
            continue
        try:
            one = _decided(row, pair, corrected)
        except ValueError as error:
            remedy = "correct it as the task's answers are written, or reject the pair"
            problems.append(row.wrong("correction", str(error), remedy))
            continue
        before = said[bare].get(row.reviewer)
        if before is not None and before != one:
            remedy = "keep the row that holds; the stricter counts until then"
            problems.append(row.wrong("pair_id", "this reviewer decided otherwise before", remedy))
            one = stricter([before, one])
        said[bare][row.reviewer] = one
    shared = _most_shared(said)
    return Settled(
        {pair: stricter(list(by.values())) for pair, by in sorted(said.items())},
        problems,
        len({reviewer for by in said.values() for reviewer in by}),
        unknown,
        len(shared),
        cohens_kappa(shared),
    )


def _decided(row: Row, pair: Reviewed, corrected: Corrected) -> Decision:
    if row.verdict != CORRECT:
        return Decision(row.verdict)
    response, label = corrected(pair, row.correction)
    # Who writes what stood there already has accepted it.
    return Decision(ACCEPT) if response == pair.response else Decision(CORRECT, response, label)


def stricter(decisions: Sequence[Decision]) -> Decision:
    """The strictest of what one or several people said of a pair."""
    contested = len({(d.verdict, d.response) for d in decisions}) > 1
    corrections = {d.response for d in decisions if d.verdict == CORRECT}
    strictest = max(decisions, key=lambda d: VERDICTS.index(d.verdict))
    if strictest.verdict == CORRECT and len(corrections) > 1:
        return Decision(REJECT, contested=True)
    return Decision(strictest.verdict, strictest.response, strictest.label, contested)


def _most_shared(said: Mapping[str, Mapping[str, Decision]]) -> list[tuple[str, str]]:
    """The verdicts of the two reviewers who read most pairs both."""
    both = Counter(two for by in said.values() for two in combinations(sorted(by), 2))
    if not both:
        return []
    (one, other), _ = min(both.items(), key=lambda found: (-found[1], found[0]))
    return [
        (by[one].verdict, by[other].verdict) for by in said.values() if one in by and other in by
    ]
