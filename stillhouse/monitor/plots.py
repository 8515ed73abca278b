"""Figures of a drift report. Words and answers are untrusted, and shortened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.monitor.verdict import called, limit_of
from stillhouse.tasks.figures import BLUE, CARD, GREY, ORANGE, new_figure, short, style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from stillhouse.config.monitor import Drift
    from stillhouse.facts import DriftTestFacts
    from stillhouse.monitor.domain import Word

MOST_ANSWERS = 12
SIDES = ("learned from", "traffic")


def effects(tests: Sequence[DriftTestFacts], limits: Drift) -> Figure:
    """Each test's effect as a share of its limit; filled where it is no chance."""
    with style():
        figure = new_figure(7.2, 1.2 + 0.3 * len(tests))
        ax = figure.add_subplot()
        ax.axvline(1.0, color=GREY, linestyle="--", linewidth=1)
        for place, test in enumerate(reversed(tests)):
            # Of an area, 0.5 is nothing.
            base = 0.5 if test.limit == "auc" else 0.0
            ratio = (test.effect - base) / max(1e-9, limit_of(test, limits) - base)
            sure = test.adjusted <= limits.false_alarms
            color = ORANGE if sure and ratio > 1 else BLUE
            shown = min(max(ratio, 0.0), 4.0)
            ax.plot([0, shown], [place] * 2, color=color, linewidth=1.5)
            fill = color if sure else CARD
            ax.plot([shown], [place], "o", color=color, markerfacecolor=fill, markersize=7)
        ax.set_yticks(range(len(tests)), [short(called(t)) for t in reversed(tests)])
        ax.set(xlabel="Difference, as a share of its limit (at most 4); filled: no chance")
        ax.set_xlim(0, 4.1)
        ax.grid(axis="y", visible=False)
    return figure


def words(found: Sequence[Word], most: int = 12) -> Figure:
    """The words that speak loudest for traffic, and for what was learned from."""
    traffic = [w for w in found if w.weight > 0][:most]
    reference = [w for w in found if w.weight < 0][:most]
    shown = [*reversed(reference), *reversed(traffic)] if traffic else [*reversed(reference)]
    with style():
        figure = new_figure(6.2, 1.2 + 0.26 * max(1, len(shown)))
        ax = figure.add_subplot()
        colors = [ORANGE if w.weight > 0 else BLUE for w in shown]
        ax.barh(range(len(shown)), [w.weight for w in shown], color=colors, height=0.7)
        ax.set_yticks(range(len(shown)), [short(w.word) for w in shown])
        ax.axvline(0, color=GREY, linewidth=1)
        ax.set(xlabel=f"← {SIDES[0]}   weight   {SIDES[1]} →")
        ax.grid(axis="y", visible=False)
    return figure


def answer_mix(shares: Mapping[str, Sequence[float]]) -> Figure:
    """What the student answers, of held-out pairs and of traffic; the largest changes first."""
    names = sorted(shares, key=lambda n: -abs(shares[n][1] - shares[n][0]))[:MOST_ANSWERS]
    with style():
        figure = new_figure(6.2, 1.3 + 0.36 * len(names))
        ax = figure.add_subplot()
        for side, (color, label) in enumerate(zip((BLUE, ORANGE), SIDES, strict=True)):
            at = [place + 0.2 - 0.4 * side for place in range(len(names))]
            values = [100 * shares[name][side] for name in reversed(names)]
            ax.barh(at, values, height=0.38, color=color, label=label)
        ax.set_yticks(range(len(names)), [short(name) for name in reversed(names)])
        ax.set(xlabel="Share of answers, %")
        ax.grid(axis="y", visible=False)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9)
    return figure


def confidences(reference: Sequence[float], traffic: Sequence[float]) -> Figure:
    """How sure the student is, of held-out pairs and of traffic."""
    import numpy as np

    edges = np.linspace(0, 1, 21)
    with style():
        figure = new_figure(6.2, 2.8)
        ax = figure.add_subplot()
        both = zip((reference, traffic), (BLUE, ORANGE), ("-", "--"), SIDES, strict=True)
        for values, color, line, label in both:
            share = np.histogram(values, edges)[0] / max(1, len(values))
            ax.stairs(100 * share, edges, color=color, linestyle=line, linewidth=1.8, label=label)
        ax.set(xlabel="Confidence", ylabel="Share, %", xlim=(0, 1))
        figure.legend(loc="outside upper left", ncols=2, fontsize=9)
    return figure
