"""Candidates side by side, as the UI and the terminal show them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.report.markdown import markdown_table
from stillhouse.selection.rows import ALLOWED, FEW, ZERO, Asked, Candidate
from stillhouse.wording import MISSING, human_bytes, human_count, shortened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = (
    "Version", "Licence", "Task", "Zero-shot", "Few-shot", "Params", "Label here", "Serve",
    "Languages",
)  # fmt: skip
REASON = 200


def rows_of(found: Sequence[Candidate]) -> list[list[str]]:
    """A line a candidate and task, the best candidate first; HEADER says what stands where."""
    lines = []
    for one in found:
        tasks = list(dict.fromkeys(a.task for a in one.asked)) or [MISSING]
        for number, task in enumerate(tasks):
            by = {a.how: a for a in one.asked if a.task == task}
            sizes = [
                human_count(one.parameters),
                f"{human_bytes(one.labelling)} ({'fits' if one.fits else 'does not fit'})"
                if one.labelling is not None
                else MISSING,
                human_bytes(one.serving),
                _languages(one, by.get(FEW) or by.get(ZERO)),
            ]
            about = [one.version, f"{one.licence}: {one.verdict}"]
            scores = [_score(by.get(how)) for how in (ZERO, FEW)]
            lines.append([*(["", ""] if number else about), task, *scores, *sizes])
    return lines


def _score(asked: Asked | None) -> str:
    if asked is None:
        return MISSING
    interval = "" if asked.low is None else f" ({asked.low:.2f}–{asked.high:.2f})"
    return f"{asked.score:.3f}{interval}"


def _languages(one: Candidate, asked: Asked | None) -> str:
    stated = f"stated {', '.join(one.languages)}" if one.languages else "none stated"
    measured = [f"{name} {score:.2f} of {n}" for name, n, score in asked.languages] if asked else []
    return "; ".join([stated, *(["here " + ", ".join(measured)] if measured else [])])


def reasons_of(found: Sequence[Candidate]) -> list[list[str]]:
    """Why candidates were not asked."""
    lines = [(one, one.reason) for one in found if one.verdict != ALLOWED]
    lines += [
        (one, "labelling with it takes more memory than there is; ask a machine that has it, or "
         "serve it behind an endpoint")
        for one in found if one.verdict == ALLOWED and not one.asked
    ]  # fmt: skip
    return [[one.version, shortened(reason, REASON)] for one, reason in lines]


def table_of(found: Sequence[Candidate]) -> str:
    return markdown_table(HEADER, rows_of(found))


def refused_table(found: Sequence[Candidate]) -> str | None:
    lines = reasons_of(found)
    return markdown_table(["Version", "Not asked, because"], lines) if lines else None


def plot_of(found: Sequence[Candidate]) -> str | None:
    """Scores with their intervals, a panel a task, as an embedded PNG; None without any."""
    if not any(one.asked for one in found):
        return None
    from stillhouse.tasks.figures import png_uri

    return f"![Candidates on the validation split]({png_uri(scores_by_candidate(found))})"


def scores_by_candidate(found: Sequence[Candidate]) -> Figure:
    from stillhouse.tasks.figures import SERIES, new_figure, short, style

    shown = [one for one in found if one.asked][::-1]  # the best on top
    tasks = list(dict.fromkeys(a.task for one in shown for a in one.asked))
    with style():
        figure = new_figure(7.0, max(1.8, 0.5 * len(shown) + 1.0) * len(tasks))
        axes = figure.subplots(len(tasks), 1, squeeze=False).flat
        for ax, task in zip(axes, tasks, strict=True):
            for (color, marker), how, beside in zip(SERIES, (ZERO, FEW), (-0.1, 0.1), strict=False):
                points = [
                    (place + beside, a)
                    for place, one in enumerate(shown)
                    for a in one.asked
                    if a.task == task and a.how == how
                ]
                ax.plot(
                    [a.score for _, a in points], [y for y, _ in points],
                    color=color, marker=marker, linestyle="none", label=how,
                )  # fmt: skip
                for y, a in points:
                    if a.low is not None:
                        ax.hlines(y, a.low, a.high, color=color, linewidth=1)
            ax.set(title=short(task), xlabel="score", xlim=(0, 1.02), ylim=(-0.6, len(shown) - 0.4))
            ax.set_yticks(range(len(shown)), [short(one.version) for one in shown])
            ax.legend(fontsize=9, loc="lower right")
    return figure
