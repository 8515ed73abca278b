"""The comparison as people read it: in a terminal, in Dagster's UI and as a page, all alike.

Names and sources come from the user's file: they are escaped wherever they are shown.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillhouse.economics.costs import API, STUDENT, TEACHER
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.wording import number, plain

if TYPE_CHECKING:
    from stillhouse.economics.reckoned import Reckoned

ITEMS = ("hardware", "power", "staff", "distillation", "labelling", "tokens")
# Rows of the sensitivities that are shown.
MOST = 12

LEFT_OUT = (
    "what a wrong answer costs: whether student, teacher and API answer equally well says the "
    "evaluation report",
    "building the project for the first time, and the hardware that the teacher needs while it "
    "labels, if it is not the training machine",
    "the teacher's own adaptation where the teacher itself is served",
    "rooms, network, storage, spare machines, insurance, taxes, interest and resale",
    "discounts, cached or batched requests, minimum fees and retries of an API, and changes of "
    "prices in time",
    "what it is worth that no text leaves the house, and what it would cost if one did",
    "requests that come in peaks beyond the utilisation of the file: they wait",
)
A_YEAR = datetime.timedelta(days=366)  # after which a price is an old one
# How the sources of the template's values begin.
EXAMPLE = "EXAMPLE"
NOTHING = (
    "No price file is named, or no student was measured, so nothing is reckoned. `stillhouse tco "
    "--init` writes a file to fill in; then `economics: {prices: prices.yaml}` in the project file."
)
UNCERTAIN = (
    "Each figure is taken as if it were exact, and the costs are no better than the worst of them; "
    "the sensitivities say which one matters. Where the file gives no range, 20 % to either side "
    "is assumed. Speeds measured here are of batches without a server, on this machine: a served "
    "model answers fewer requests, another machine more or fewer."
)


@dataclass(frozen=True)
class Block:
    """A heading, sentences, and a table, where there is one."""

    title: str
    says: Sequence[str] = ()
    header: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def called(way: str) -> str:
    own = {STUDENT: "Student, own hardware", TEACHER: "Teacher, own hardware"}
    return own.get(way) or f"API: {plain(way.removeprefix(API))}"


def blocks(one: Reckoned) -> Iterator[Block]:
    yield _costs(one)
    if one.lacking:
        says = [f"{called(w)}: fill in {', '.join(names)}" for w, names in one.lacking.items()]
        yield Block("Not compared", says)
    if one.break_evens:
        says = [f"{called(b.other)}: {b.says}" for b in one.break_evens]
        yield Block("When the student is cheaper", says)
    if one.tornado and one.reference:
        yield _tornado(one, one.reference)
    yield _inputs(one)
    yield Block("How sure this is", [*_examples(one), *_days(one), UNCERTAIN])
    yield Block("What it leaves out", LEFT_OUT)


def _costs(one: Reckoned) -> Block:
    items = [item for item in ITEMS if any(item in c.items for c in one.costs.values())]
    rows = [
        [
            called(way),
            str(c.machines or "–"),
            *(number(c.items.get(item)) for item in items),
            number(c.month),
            number(c.per_thousand),
        ]
        for way, c in one.costs.items()
    ]
    title = f"Costs of {one.student} ({one.version})"
    if not one.costs:
        return Block(title, ["Of no way enough is known."])
    volume = next(iter(one.costs.values())).volume
    asked = f"{volume:,.0f} request{'' if volume == 1 else 's'}"
    says = f"In {one.currency} a month, at {asked} a month; prices of {one.as_of}."
    header = ["Way", "Machines", *(item.capitalize() for item in items), "A month", "Per 1,000"]
    return Block(title, [says], header, rows)


def _tornado(one: Reckoned, beside: str) -> Block:
    return Block(
        "What the answer hangs on",
        [f"What the student saves in a month beside {called(beside)}, in {one.currency}, with one "
         "figure at either end of its range; the widest first."],
        ["Figure", "Low", "High", "Saved at low", "Saved at high"],
        [
            [s.name, number(s.low), number(s.high), number(s.saved_low), number(s.saved_high)]
            for s in one.tornado[:MOST]
        ],
    )  # fmt: skip


def _examples(one: Reckoned) -> Iterator[str]:
    """The template's own values are nobody's prices."""
    left = [i.name for i in one.inputs.values() if i.source.startswith(EXAMPLE)]
    if left:
        yield (
            f"{_figures(left)} still the template's examples, to be replaced by your own: "
            f"{', '.join(left)}."
        )


def _days(one: Reckoned) -> Iterator[str]:
    """What no longer holds, maybe, or does not yet, on the day of the report."""
    today = datetime.date.today()  # noqa: DTZ011 - days of the file are the user's own
    dated = [(i.name, i.day) for i in one.inputs.values() if i.day]
    old = [name for name, day in dated if today - day > A_YEAR]
    ahead = [name for name, day in dated if day > today]
    if old:
        yield (
            f"{_figures(old)} of more than a year ago, and may no longer hold: {', '.join(old)}."
        )
    if ahead:
        yield f"{_figures(ahead)} of a day that is still to come: {', '.join(ahead)}."


def _figures(names: Sequence[str]) -> str:
    return "1 figure is" if len(names) == 1 else f"{len(names)} figures are"


def _inputs(one: Reckoned) -> Block:
    known = [i for i in one.inputs.values() if i.value is not None]
    return Block(
        "Figures and where they are from",
        [],
        ["Figure", "Value", "Source"],
        [[i.name, number(i.value), plain(i.source)] for i in known],
    )


def markdown(found: Sequence[Reckoned]) -> str:
    """All of it in Markdown; readable as text too."""
    if not found:
        return NOTHING
    return "\n\n".join(_markdown(block) for one in found for block in blocks(one))


def _markdown(block: Block) -> str:
    said = [literal(sentence) for sentence in block.says]
    lines = said if len(said) == 1 else [f"- {sentence}" for sentence in said]
    parts = [f"### {literal(block.title)}", *(["\n".join(lines)] if lines else [])]
    return "\n\n".join(
        [*parts, *([markdown_table(block.header, block.rows)] if block.rows else [])]
    )
