"""Scores of students by seed, and which of their differences are more than chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stillhouse.metrics.bootstrap import SIGNIFICANCE
from stillhouse.progress import track

Tested: TypeAlias = Mapping[str, Sequence[NDArray[Any]]]
"""By contender one array a seed, a row a test example: whatever its figures can be told from."""

Measure: TypeAlias = Callable[[NDArray[Any], NDArray[Any]], Mapping[str, float]]
"""Figures of some rows of such an array, and of where they stand among the test examples."""

RESAMPLES = 1_000


def spread(tested: Tested, measure: Measure) -> dict[str, Any]:
    """Mean, lowest and highest of the seeds, by contender and figure."""
    found: dict[str, Any] = {}
    for name, by_seed in tested.items():
        scores = [measure(rows, np.arange(len(rows))) for rows in by_seed]
        found[name] = {
            figure: {
                "mean": float(np.mean([s[figure] for s in scores])),
                "min": min(s[figure] for s in scores),
                "max": max(s[figure] for s in scores),
            }
            for figure in scores[0]
        }
    return found


def differences(
    tested: Tested,
    measure: Measure,
    compared: Sequence[tuple[str, str]],
    resamples: int = RESAMPLES,
) -> list[dict[str, Any]]:
    """Paired bootstrap over seeds and test examples, of each pair that is compared and tested.

    All contenders have the same seeds.
    """
    compared = [pair for pair in compared if all(name in tested for name in pair)]
    if not compared:
        return []
    by_name = {name: tested[name] for name in dict.fromkeys(n for pair in compared for n in pair)}
    some = next(iter(by_name.values()))
    seeds, size, rng = len(some), len(some[0]), np.random.default_rng(1)
    names = list(measure(some[0], np.arange(size)))
    drawn = {name: np.zeros((resamples, len(names))) for name in by_name}
    for resample in track(range(resamples), "Resampling", unit="resamples"):
        places, chosen = rng.integers(size, size=size), rng.integers(seeds, size=seeds)
        for name, by_seed in by_name.items():
            scored = [measure(by_seed[s][places], places) for s in chosen]
            drawn[name][resample] = np.mean([list(s.values()) for s in scored], axis=0)
    found = []
    for one, other in compared:
        for figure, change in zip(names, (drawn[one] - drawn[other]).T, strict=True):
            low, high = np.quantile(change, [SIGNIFICANCE / 2, 1 - SIGNIFICANCE / 2])
            # Two-sided; 1 is added to both because the data as they are count as one draw.
            tail = min((change <= 0).sum(), (change >= 0).sum())
            found.append(
                {
                    "student": one,
                    "against": other,
                    "figure": figure,
                    "difference": float(change.mean()),
                    "interval": [float(low), float(high)],
                    "p": min(1.0, 2 * (int(tail) + 1) / (resamples + 1)),
                }
            )
    for figure in names:
        correct_holm([row for row in found if row["figure"] == figure])
    return found


def correct_holm(rows: list[dict[str, Any]]) -> None:
    """Add `p_holm` to each: the comparisons of one figure are one family."""
    highest = 0.0
    for place, row in enumerate(sorted(rows, key=lambda row: row["p"])):
        highest = max(highest, min(1.0, row["p"] * (len(rows) - place)))
        row["p_holm"] = highest


def markdown(
    results: Mapping[str, Any],
    titles: Mapping[str, str],
    more: Mapping[str, Mapping[str, str]] | None = None,
) -> str:
    """Scores by contender, then the differences; those with p_holm < 0.05 are set in bold.

    `titles` are those of the figures; `more` has further columns, cells by title and contender.
    """
    more = more or {}
    minutes = f"{results['minutes']} minutes, {results['students_of_earlier_calls']} of "
    lines = [
        f"{results['seeds']} seeds; {minutes}{results['students']} students from earlier calls. "
        "Mean (lowest to highest of the seeds).",
        "",
        *_header("contender", [*titles.values(), *more]),
    ]
    for name, scores in results["scores"].items():
        cells = []
        for figure in titles:
            s = scores[figure]
            spread = f" ({s['min']:.3f} to {s['max']:.3f})" if s["min"] < s["max"] else ""
            cells.append(f"{s['mean']:.3f}{spread}")
        cells += [column.get(name, "") for column in more.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", *_header("difference", titles.values())]
    rows = {(r["student"], r["against"], r["figure"]): r for r in results["differences"]}
    for one, other in dict.fromkeys((one, other) for one, other, _ in rows):
        cells = []
        for figure in titles:
            r = rows[one, other, figure]
            low, high = r["interval"]
            cell = f"{r['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
            cells.append(f"**{cell}**" if r["p_holm"] < SIGNIFICANCE else cell)
        lines.append(f"| {one} - {other} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", _verdict(results["differences"], titles)])


def _header(first: str, titles: Iterable[str]) -> list[str]:
    titles = list(titles)
    return [f"| {first} | {' | '.join(titles)} |", f"|---|{'--:|' * len(titles)}"]


def _verdict(differences: Sequence[Mapping[str, Any]], titles: Mapping[str, str]) -> str:
    found = []
    for figure, title in titles.items():
        pairs = [
            f"{r['student']} - {r['against']}"
            for r in differences
            if r["figure"] == figure and r["p_holm"] < SIGNIFICANCE
        ]
        found += [f"{title}: {'; '.join(pairs)}"] if pairs else []
    if not found:
        return "No difference is significant after Holm's correction."
    return f"Significant after Holm's correction: {'. '.join(found)}."
