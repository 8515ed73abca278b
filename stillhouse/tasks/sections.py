"""What a kind of task shows in a report, without saying how: the page renders these, whatever the
kind. All text is untrusted and escaped where it is rendered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """Cells as plain text; `caption` says how to read them."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""


@dataclass(frozen=True)
class Figure:
    """`draw` returns a matplotlib figure; `alt` says in words what it shows. A `wide` one keeps its
    width on a small screen, and is scrolled there."""

    draw: Callable[[], object]
    alt: str
    wide: bool = False


@dataclass(frozen=True)
class Answer:
    """`given` by `model`, with its confidence where it has one, and whether it counts as right.

    Where answers are better or worse rather than right or wrong, `right` is None, and `score`,
    0..1, is shown instead.
    """

    model: str
    given: str
    confidence: float | None
    right: bool | None
    score: float | None = None


@dataclass(frozen=True)
class Sample:
    """An example; `text`, `gold` and what is given may have several lines."""

    text: str
    gold: str
    answers: Sequence[Answer]


@dataclass(frozen=True)
class SampleGroup:
    """`total` counts all of the group's examples, `samples` holds the most telling of them."""

    title: str
    total: int
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Link:
    """To a page that lies at `path`, as seen from the folder of the report."""

    text: str
    path: str


@dataclass(frozen=True)
class Section:
    """A heading, what to say below it, and what to show, in the order of these fields; several
    figures stand side by side. `folded` sections open on demand. `link` stands below what is
    said."""

    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    samples: Sequence[SampleGroup] = ()
    folded: bool = False
    link: Link | None = None
