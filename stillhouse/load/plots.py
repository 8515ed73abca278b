"""Curves of a latency profile: latency and throughput against load."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from stillhouse.facts import LatencyLevelFacts
from stillhouse.tasks.figures import GREY, INK, SERIES, new_figure, style
from stillhouse.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLOSED, OPEN = "closed", "open"
X = {CLOSED: "Callers at once", OPEN: "Requests a second that arrive"}
Levels = Sequence[LatencyLevelFacts]


def drawn(levels: Levels) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """What each figure shows, in words, and how it is drawn; none that has nothing to show."""
    for loop in (CLOSED, OPEN):
        some = answered(levels, loop)
        if not some:
            continue
        by = "callers at once" if loop == CLOSED else "requests that arrive a second"
        yield f"Seconds until an answer is whole, by {by}", partial(latencies, some)
        if loop == CLOSED:
            yield f"Requests and tokens a second, by {by}", partial(throughput, some)
            yield f"Seconds to the first token and between tokens, by {by}", partial(tokens, some)


def answered(levels: Levels, loop: str) -> list[LatencyLevelFacts]:
    """Of one loop, those that got any answer, by their load."""
    return sorted((x for x in levels if x.loop == loop and x.whole), key=lambda x: x.load)


def latencies(levels: Levels) -> Figure:
    """Percentiles of the whole answer against load; a bar spans the bounds of the 95th. Levels are
    those of one loop."""
    with style():
        figure = new_figure(6.4, 3.3)
        ax = figure.subplots()
        places = range(len(levels))
        for (color, marker), name in zip(SERIES, ("p50", "p95", "p99"), strict=False):
            values = [getattr(level.whole, name) for level in levels]
            ax.plot(places, values, color=color, marker=marker, label=name)
        color = SERIES[1][0]
        for place, level in zip(places, levels, strict=True):
            assert level.whole is not None  # noqa: S101 - see `answered`
            low, high = level.whole.p95_low, level.whole.p95_high
            if low is not None and high is not None:
                ax.vlines(place, low, high, color=color, linewidth=1.2)
        ax.set(ylabel="Seconds until whole", xlabel=X[levels[0].loop])
        _ticks(ax, levels)
        ax.legend(fontsize=9)
    return figure


def throughput(levels: Levels) -> Figure:
    """Requests a second at the left, tokens a second at the right, against callers."""
    with style():
        figure = new_figure(6.4, 3.3)
        ax = figure.subplots()
        other = ax.twinx()
        places = range(len(levels))
        for axes, (color, marker), values, name in (
            (ax, SERIES[0], [level.requests_per_second for level in levels], "Requests a second"),
            (other, SERIES[2], [level.tokens_per_second for level in levels], "Tokens a second"),
        ):
            axes.plot(places, values, color=color, marker=marker, label=name)
            axes.set_ylabel(name)
        other.grid(visible=False)
        other.spines["right"].set_visible(True)
        other.spines["right"].set_color(GREY)
        ax.set_xlabel(X[CLOSED])
        _ticks(ax, levels)
        other.set_ylim(0, None)
        figure.legend(loc="outside upper left", ncols=2, fontsize=9)
    return figure


def tokens(levels: Levels) -> Figure:
    """Two panels: to the first token, and from one to the next; both p50 and p95."""
    panels = (("To the first token", "first"), ("Between tokens", "between"))
    with style():
        figure = new_figure(8.4, 3.1)
        for ax, (title, part) in zip(figure.subplots(1, 2), panels, strict=True):
            some = [level for level in levels if getattr(level, part) is not None]
            for (color, marker), name in zip(SERIES, ("p50", "p95"), strict=False):
                values = [getattr(getattr(level, part), name) for level in some]
                ax.plot(range(len(some)), values, color=color, marker=marker, label=name)
            ax.set(title=title, xlabel=X[CLOSED], ylabel="Seconds")
            if some:
                _ticks(ax, some)
                ax.legend(fontsize=9)
            else:
                ax.annotate("answers are one token", (0.5, 0.5), xycoords="axes fraction",
                            ha="center", color=INK)  # fmt: skip
                ax.set_yticks([])
                ax.set_xticks([])
    return figure


def _ticks(ax: Any, levels: Levels) -> None:
    """Loads stand side by side, whatever lies between them."""
    ax.set_xticks(range(len(levels)), [number(level.load) for level in levels])
    ax.set_xlim(-0.3, len(levels) - 0.7)
    ax.set_ylim(0, None)
    ax.grid(axis="x", visible=False)
