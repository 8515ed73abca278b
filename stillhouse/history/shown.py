"""The comparison as Dagster's UI shows it: tables in Markdown, and the plot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.report.markdown import literal, markdown_table
from stillhouse.tasks.results import display_name
from stillhouse.wording import MISSING, human_bytes, human_count, number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Row = dict[str, Any]
MODELS = ("teacher", "student", "student_quantized")
# Of the latency profile, on the machine that measured it.
SPEEDS = ("p95, ms", "Requests/s")
MOST_SLICES = 15
# Letters that names below a panel may have together, to stand level.
LEVEL = 45


def table_of(rows: Sequence[Row]) -> str:
    """A row a student, task and version, with the gap and how much it moved."""
    before: dict[tuple[str, str], float] = {}
    shown = []
    for row in _by_task(rows):
        key = (row["student"], row["task"])
        moved = f"{row['gap'] - before[key]:+.3f}" if key in before else MISSING
        before[key] = row["gap"]
        scores = [_score(row, model) for model in MODELS]
        sizes = [human_count(row["student_parameters"]), human_bytes(row["student_bytes"])]
        sizes += _speeds(row)
        shown.append([*key, row["version"], *scores, f"{row['gap']:+.3f}", moved, *sizes])
    models = [display_name(model) for model in MODELS]
    header = ["Student", "Task", "Version", *models, "Gap", "Moved", "Params", "Size", *SPEEDS]
    return markdown_table(header, shown)


def _speeds(row: Row) -> list[str]:
    p95 = row["p95_seconds"]
    return [number(p95 and 1000 * p95), number(row["requests_per_second"])]


def _by_task(rows: Sequence[Row]) -> list[Row]:
    places = {version: n for n, version in enumerate(dict.fromkeys(r["version"] for r in rows))}
    return sorted(rows, key=lambda r: (r["student"], r["task"], places[r["version"]]))


def _score(row: Row, model: str) -> str:
    low, high = row[f"{model}_low"], row[f"{model}_high"]
    interval = f" ({low:.2f}–{high:.2f})" if low is not None else ""
    return f"{row[f'{model}_score']:.3f}{interval}"


def leaderboard(rows: Sequence[Row], gates: dict[tuple[str, str], tuple[int, list[str]]]) -> str:
    """Students of all versions by their mean score over tasks; `gates` has how many each kept to,
    and those that it missed."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        found.setdefault((row["student"], row["version"]), []).append(row)

    def mean(key: tuple[str, str], name: str) -> float:
        return sum(row[name] for row in found[key]) / len(found[key])

    ranked = sorted(found, key=lambda key: -mean(key, "student_quantized_score"))
    return markdown_table(
        [
            *("Student", "Version", "Tasks", "Mean score", "Mean gap", "Gates kept", "Missed"),
            *("Size", *SPEEDS),
        ],
        [
            [
                *key,
                len(found[key]),
                number(mean(key, "student_quantized_score")),
                f"{mean(key, 'gap'):+.3f}",
                gates.get(key, (0, []))[0],
                ", ".join(gates.get(key, (0, []))[1]) or "none",
                human_bytes(found[key][0]["student_bytes"]),
                *_speeds(found[key][0]),
            ]
            for key in ranked
        ],
    )


def slices_of(rows: Sequence[Row]) -> str | None:
    """The classes and fields whose F1 fell most from a version to the next; None where none did."""
    fallen = sorted(_fallen(rows), key=lambda found: found[-1])[:MOST_SLICES]
    if not fallen:
        return None
    header = ["Student", "Task", "Class or field", "From", "To", "F1 before", "F1 after"]
    return markdown_table(
        header, [[*names, number(old), number(new)] for *names, old, new, _ in fallen]
    )


def _fallen(rows: Sequence[Row]) -> Iterator[tuple[Any, ...]]:
    last: dict[tuple[str, str], Row] = {}
    for row in _by_task(rows):
        key = (row["student"], row["task"])
        if (old := last.get(key)) is not None:
            before = {part["slice"]: part["f1"] for part in old["slices"]}
            for part in row["slices"]:
                name, f1 = part["slice"], part["f1"]
                if before.get(name, f1) > f1:
                    versions = (old["version"], row["version"])
                    yield (*key, name, *versions, before[name], f1, f1 - before[name])
        last[key] = row


def plot_of(rows: Sequence[Row]) -> str | None:
    """Scores by version, a panel a student and task, as an embedded PNG; None without rows."""
    if not rows:
        return None
    from stillhouse.tasks.figures import png_uri

    return f"![Scores by teacher version]({png_uri(scores_by_version(rows))})"


def scores_by_version(rows: Sequence[Row]) -> Figure:
    from stillhouse.tasks.figures import new_figure, series_of, short, style

    panels: dict[tuple[str, str], list[Row]] = {}
    for row in _by_task(rows):
        panels.setdefault((row["student"], row["task"]), []).append(row)
    columns = min(2, len(panels))
    lines = -(-len(panels) // columns)
    with style():
        figure = new_figure(5.2 * columns, 3.3 * lines)
        axes = figure.subplots(lines, columns, squeeze=False).flat
        for ax, ((student, task), some) in zip(axes, panels.items(), strict=False):
            ax.set(title=short(f"{student}: {task}"), ylabel="score")
            for beside, model in zip((-0.04, 0.0, 0.04), MODELS, strict=True):
                color, marker = series_of(model)
                # A little apart, or one interval would hide another.
                places = [place + beside for place in range(len(some))]
                scores = [row[f"{model}_score"] for row in some]
                ax.plot(places, scores, color=color, marker=marker, label=display_name(model))
                for place, row in zip(places, some, strict=True):
                    if (low := row[f"{model}_low"]) is not None:
                        ax.vlines(place, low, row[f"{model}_high"], color=color, linewidth=1)
            names = [short(row["version"]) for row in some]
            # Level, long names would run into each other.
            tilt = {"rotation": 20, "ha": "right"} if sum(map(len, names)) > LEVEL else {}
            ax.set_xticks(range(len(some)), names, **tilt)
            ax.set(xlim=(-0.5, len(some) - 0.5), ylim=(0, 1.02))
            ax.legend(fontsize=9, loc="lower left")
        for ax in list(axes)[len(panels) :]:
            ax.set_axis_off()
    return figure


def said(remedies: Sequence[str]) -> str:
    return "\n".join(f"- {literal(remedy)}" for remedy in remedies)
