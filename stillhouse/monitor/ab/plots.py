"""The figure of an A/B test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.tasks.figures import BLUE, GREY, ORANGE, new_figure, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from stillhouse.config.monitor import AbTest
    from stillhouse.facts import AbLookFacts


def looks_over_requests(looks: Sequence[AbLookFacts], terms: AbTest) -> Figure:
    """The difference at each look with its interval, the margin, and what the difference has to be
    above for the candidate not to be inferior."""
    at = [one.requests for one in looks]
    with style():
        figure = new_figure(7.2, 3.4)
        ax = figure.add_subplot()
        ax.axhline(0, color=GREY, linewidth=1)
        ax.axhline(-terms.margin, color=ORANGE, linestyle="--", linewidth=1.4, label="margin")
        bounds = [one.difference - one.low - terms.margin for one in looks]
        ax.plot(at, bounds, color=ORANGE, marker="_", markersize=12, linestyle=":",
                label="boundary: not inferior above")  # fmt: skip
        low = [one.difference - one.low for one in looks]
        high = [one.high - one.difference for one in looks]
        ax.errorbar(at, [one.difference for one in looks], [low, high], color=BLUE, marker="o",
                    markersize=6, linewidth=1.6, capsize=4, label="difference")  # fmt: skip
        ax.set(xlabel="Requests", ylabel="Candidate minus the other", xlim=(0, 1.05 * max(
            [terms.requests, *at])))  # fmt: skip
        figure.legend(loc="outside upper left", ncols=3, fontsize=9)
    return figure
