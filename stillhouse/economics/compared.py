"""Ways beside each other: from which volume on one is cheaper, and what the answer hangs on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from stillhouse.economics.costs import API, STUDENT, TEACHER, VOLUME, capacity, cost, needs
from stillhouse.economics.inputs import Inputs, Values, at, values_of

# So many machines of the student are looked at, and so far to both sides of the volume.
MOST_MACHINES = 1000
CURVE_DECADES, CURVE_POINTS = 2, 41


@dataclass(frozen=True)
class BreakEven:
    """`volume` is the requests a month from which on the student is cheaper than `other`, None:
    never; `says` is that in words, with its condition."""

    other: str
    volume: float | None
    says: str


@dataclass(frozen=True)
class Sensitivity:
    """What the student saves in a month with one figure at its low and at its high end."""

    name: str
    low: float
    high: float
    saved_low: float
    saved_high: float

    @property
    def swing(self) -> float:
        return abs(self.saved_high - self.saved_low)


def ways(inputs: Inputs) -> list[str]:
    """All that the price file knows of."""
    apis = {name.rsplit(".", 1)[0]: None for name in inputs if name.startswith(API)}
    return [STUDENT, TEACHER, *apis]


def lacking(way: str, inputs: Inputs) -> list[str]:
    """What has to be filled in before this way can be compared."""
    known = values_of(inputs)
    return [name for name in needs(way) if name not in known]


def break_even(values: Values, other: str) -> BreakEven:
    """Of the student against `other`. Costs are straight lines between the volumes at which one
    more machine is bought, so each piece is looked at by itself."""
    pieces = list(_pieces(values, other))
    for number, (start, end, at_start, at_end) in enumerate(pieces):
        if at_start <= 0:
            volume = start
        elif at_end <= 0:
            volume = start + (end - start) * at_start / (at_start - at_end)
        else:
            continue
        again = _again(pieces[number:], volume)
        if not volume:
            return BreakEven(other, 0.0, f"from the first request on{again}")
        return BreakEven(other, volume, f"from {volume:,.0f} requests a month on{again}")
    own, theirs = _full(STUDENT, values), _full(other, values)
    if own >= theirs:
        why = (
            f"even a machine in full use costs {own:.3g} for 1,000 requests, the other {theirs:.3g}"
        )
    else:
        why = f"not with up to {MOST_MACHINES:,} machines: what it costs beside them is too much"
    return BreakEven(other, None, f"never: {why}")


def _pieces(values: Values, other: str) -> Iterator[tuple[float, float, float, float]]:
    """(from, to, what the student costs more at either end), a piece of the lines each."""
    end = MOST_MACHINES * capacity(STUDENT, values)
    places = {0.0, end}
    for way in (STUDENT, other):
        step = capacity(way, values)
        if math.isfinite(step):
            # A teacher on thousands of machines is far beyond what is asked.
            count = min(int(end / step), 10 * MOST_MACHINES)
            places |= {step * number for number in range(1, count + 1)}
    for start, stop in pairwise(sorted(places)):
        middle, last = (_more(values, other, v) for v in ((start + stop) / 2, stop))
        yield start, stop, 2 * middle - last, last


def _more(values: Values, other: str, volume: float) -> float:
    return cost(STUDENT, values, volume).month - cost(other, values, volume).month


def _again(pieces: Sequence[tuple[float, float, float, float]], since: float) -> str:
    """Where one more machine makes it dearer again."""
    for start, _, at_start, at_end in pieces:
        if start >= since and start > 0 and (at_start > 0 or at_end > 0):
            return f"; dearer again for a while from {start:,.0f} on, where a machine is added"
    return ""


def _full(way: str, values: Values) -> float:
    """Of 1,000 requests where machines are full and nothing else is counted."""
    step = capacity(way, values)
    items = cost(way, values, step if math.isfinite(step) else 1e6)
    running = sum(items.items.get(name, 0.0) for name in ("hardware", "power", "tokens"))
    return running / items.volume * 1000


def reference(values: Values, others: Sequence[str]) -> str | None:
    """The cheapest of the other ways at the file's volume: what a saving is told against."""
    return min(others, key=lambda way: cost(way, values).month, default=None)


def tornado(inputs: Inputs, other: str) -> list[Sensitivity]:
    """Each figure at both its ends, all others as they are; the one that matters most first."""
    asked = dict.fromkeys([*needs(STUDENT), *needs(other)])
    found = []
    for name in asked:
        ends = inputs[name].ends
        saved = [-_more_at(values_of(at(inputs, name, end)), other) for end in ends]
        found.append(Sensitivity(name, *ends, *saved))
    return sorted(found, key=lambda one: (-one.swing, one.name))


def _more_at(values: Values, other: str) -> float:
    return _more(values, other, values[VOLUME])


def curve(values: Values, compared: Sequence[str]) -> list[dict[str, float]]:
    """Cost of 1,000 requests of each way by volume, even on a logarithmic scale."""
    middle, half = values[VOLUME], CURVE_POINTS // 2
    volumes = [
        middle * 10 ** (CURVE_DECADES * step / half) for step in range(-half, CURVE_POINTS - half)
    ]
    return [
        {VOLUME: volume} | {way: cost(way, values, volume).per_thousand for way in compared}
        for volume in volumes
    ]
