"""Cost by volume, and what it hangs on, as figures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from stillhouse.economics.costs import VOLUME
from stillhouse.economics.page import MOST, called
from stillhouse.tasks.figures import BLUE, INK, ORANGE, SERIES, new_figure, short, style
from stillhouse.wording import human_count, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from stillhouse.economics.reckoned import Reckoned


def drawn(one: Reckoned) -> Iterator[tuple[str, Figure]]:
    """What each figure shows, in words, and the figure; none that has nothing to show."""
    if one.curve:
        yield f"Cost of 1,000 requests by volume, in {one.currency}", by_volume(one)
    if one.tornado:
        yield f"What {one.student} saves in a month, in {one.currency}", sensitivities(one)


def by_volume(one: Reckoned) -> Figure:
    """Both axes logarithmic; the file's volume is marked."""
    with style():
        figure = new_figure(6.4, 3.6)
        ax = figure.subplots()
        volumes = [row[VOLUME] for row in one.curve]
        for place, way in enumerate(one.costs):
            color, marker = SERIES[place % len(SERIES)]
            costs = [row[way] for row in one.curve]
            label = short(called(way))
            ax.plot(volumes, costs, color=color, marker=marker, markevery=5, label=label)
        ax.axvline(next(iter(one.costs.values())).volume, color=INK, linestyle=":", linewidth=1)
        ax.set(xscale="log", xlabel="Requests a month", ylabel=f"{one.currency} per 1,000")
        if all(row[way] > 0 for row in one.curve for way in one.costs):
            ax.set_yscale("log")
        # Labels of powers would be formulas, which labels are never read as.
        ax.xaxis.set_major_formatter(lambda value, _: human_count(round(value)))
        ax.yaxis.set_major_formatter(lambda value, _: number(value))
        ax.legend(fontsize=9)
    return figure


def sensitivities(one: Reckoned) -> Figure:
    """A bar from the saving at a figure's low end to that at its high end."""
    shown = one.tornado[:MOST][::-1]
    with style():
        figure = new_figure(6.4, 0.9 + 0.32 * len(shown))
        ax = figure.subplots()
        for place, found in enumerate(shown):
            ends = (found.saved_low, found.saved_high)
            color = BLUE if ends[1] >= ends[0] else ORANGE
            ax.barh(place, max(ends) - min(ends), left=min(ends), color=color, height=0.7)
        ax.axvline(0, color=INK, linewidth=1)
        ax.set_yticks(range(len(shown)), [short(found.name) for found in shown])
        ax.set_xlabel(f"Saved a month, {one.currency} (blue: more of it saves more)")
    return figure
