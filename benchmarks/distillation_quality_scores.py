"""Scores of students by seed, and which of their differences are more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stillhouse.metrics.classification import classification_metrics
from stillhouse.metrics.paired import SIGNIFICANCE
from stillhouse.progress import track

FIGURES = ("accuracy", "macro_f1", "ece", "nll")
RESAMPLES = 1_000
COMPARED = [(arm, "ce") for arm in ("top_k", "sampled", "labels", "full")]
COMPARED += [(arm, "full") for arm in ("top_k", "sampled", "labels")]
COMPARED += [("labels", "top_k")]
COMPARED += [(arm, "gold") for arm in ("ce", "labels", "full")]

# Test probabilities [queries, intents] by contender, one array a seed.
Predicted = Mapping[str, list[NDArray[Any]]]


def spread(predicted: Predicted, gold: NDArray[Any], labels: list[str]) -> dict[str, Any]:
    """Mean, lowest and highest of the seeds, by contender and figure."""
    found: dict[str, Any] = {}
    for name, by_seed in predicted.items():
        scores = [figures(p, gold, labels) for p in by_seed]
        found[name] = {
            figure: {
                "mean": float(np.mean([s[figure] for s in scores])),
                "min": min(s[figure] for s in scores),
                "max": max(s[figure] for s in scores),
            }
            for figure in FIGURES
        }
    return found


def figures(probabilities: NDArray[Any], gold: NDArray[Any], labels: list[str]) -> dict[str, float]:
    found = classification_metrics(probabilities, gold, labels)
    return {figure: float(getattr(found, figure)) for figure in FIGURES}


def differences(
    predicted: Predicted, gold: NDArray[Any], labels: list[str]
) -> list[dict[str, Any]]:
    """Paired bootstrap over seeds and queries, of each pair in COMPARED that was predicted."""
    seeds, rng = len(next(iter(predicted.values()))), np.random.default_rng(1)
    drawn: dict[str, NDArray[Any]] = {arm: np.zeros((RESAMPLES, len(FIGURES))) for arm in predicted}
    for resample in track(range(RESAMPLES), "Resampling", unit="resamples"):
        queries, chosen = rng.integers(len(gold), size=len(gold)), rng.integers(seeds, size=seeds)
        for arm, by_seed in predicted.items():
            scored = [figures(by_seed[s][queries], gold[queries], labels) for s in chosen]
            drawn[arm][resample] = np.mean([list(s.values()) for s in scored], axis=0)
    found = []
    for arm, other in COMPARED:
        if arm not in predicted or other not in predicted:
            continue
        for figure, change in zip(FIGURES, (drawn[arm] - drawn[other]).T, strict=True):
            low, high = np.quantile(change, [0.025, 0.975])
            # Two-sided; 1 is added to both because the data as they are count as one draw.
            tail = min((change <= 0).sum(), (change >= 0).sum())
            found.append(
                {
                    "student": arm,
                    "against": other,
                    "figure": figure,
                    "difference": float(change.mean()),
                    "interval": [float(low), float(high)],
                    "p": min(1.0, 2 * (int(tail) + 1) / (RESAMPLES + 1)),
                }
            )
    for figure in FIGURES:
        correct_holm([row for row in found if row["figure"] == figure])
    return found


def correct_holm(rows: list[dict[str, Any]]) -> None:
    """Add `p_holm` to each: the comparisons of one figure are one family."""
    highest = 0.0
    for place, row in enumerate(sorted(rows, key=lambda row: row["p"])):
        highest = max(highest, min(1.0, row["p"] * (len(rows) - place)))
        row["p_holm"] = highest


def markdown(results: dict[str, Any]) -> str:
    """Scores by contender, then the differences; those with p_holm < 0.05 are set in bold."""
    lines = [
        f"{results['intents']} intents, {results['training_queries']} training, "
        f"{results['unlabelled_queries']} unlabelled and {results['test_queries']} test queries, "
        f"{results['seeds']} seeds; "
        f"{results['minutes']} minutes, {results['students_of_earlier_calls']} of "
        f"{results['students']} students from earlier calls. Mean (lowest to highest of the "
        "seeds).",
        "",
        "| contender | accuracy | macro-F1 | ECE | NLL |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, scores in results["scores"].items():
        cells = []
        for figure in FIGURES:
            s = scores[figure]
            spread = f" ({s['min']:.3f} to {s['max']:.3f})" if s["min"] < s["max"] else ""
            cells.append(f"{s['mean']:.3f}{spread}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "| difference | accuracy | macro-F1 | ECE | NLL |", "|---|--:|--:|--:|--:|"]
    rows = {(r["student"], r["against"], r["figure"]): r for r in results["differences"]}
    for arm, other in dict.fromkeys((arm, other) for arm, other, _ in rows):
        cells = []
        for figure in FIGURES:
            r = rows[arm, other, figure]
            low, high = r["interval"]
            cell = f"{r['difference']:+.3f} [{low:+.3f}, {high:+.3f}]"
            cells.append(f"**{cell}**" if r["p_holm"] < SIGNIFICANCE else cell)
        lines.append(f"| {arm} - {other} | {' | '.join(cells)} |")
    return "\n".join(lines)
