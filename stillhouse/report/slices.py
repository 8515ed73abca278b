"""What a report says of slices of the test split, from the numbers of `evaluation.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.evaluate.slices import FEWEST
from stillhouse.tasks.results import prose_name, shipped
from stillhouse.tasks.sections import Section, Table
from stillhouse.wording import MISSING

TITLE = "Slice by slice"
CAPTION = (
    "Scores with 95% intervals, examples of one family drawn together. The last column says "
    "whether the difference is more than chance explains, corrected for all slices that were "
    "looked at (Holm)."
)

Evaluation = Mapping[str, Any]
Row = Mapping[str, Any]


def slice_sections(evaluation: Evaluation, task: str) -> list[Section]:
    """What there is to say, those that are worse as a table, and all of them on demand; empty where
    nothing is known to cut by."""
    rows, model = _rows(evaluation, task)
    if not rows or model is None:
        return []
    worse = [row for row in rows if row["worse"]]
    tables = [Table(*table(evaluation, task, worse), CAPTION)] if worse else []
    every = Table(*table(evaluation, task), CAPTION)
    return [
        Section(TITLE, slice_readings(evaluation, task), tables=tables),
        Section(f"All {len(rows)} slices", tables=[every], folded=True),
    ]


def _rows(evaluation: Evaluation, task: str) -> tuple[Sequence[Row], str | None]:
    return evaluation.get("slices", {}).get(task) or [], shipped(evaluation["about"]["models"])


def table(
    evaluation: Evaluation, task: str, rows: Sequence[Row] | None = None
) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text."""
    every, model = _rows(evaluation, task)
    header = ["Slice", "n", "Teacher", "Student", "Difference in points", "Holm"]
    chosen = every if rows is None else rows
    return header, [_cells(row, str(model)) for row in chosen]


def called(row: Row) -> str:
    return f"{row['by']}: {row['value']}"


def _cells(row: Row, model: str) -> list[str]:
    low, high = (end * 100 for end in row["ci"])
    return [
        called(row),
        f"{row['n']:,}",
        *(_scored(row[name]) for name in ("teacher", model)),
        f"{row['difference'] * 100:+z.1f} ({low:+z.0f} to {high:+z.0f})",
        _told(row),
    ]


def _scored(found: Mapping[str, Any]) -> str:
    low, high = found["ci"]
    return f"{found['score']:.2f} ({low:.2f}–{high:.2f})"


def _told(row: Row) -> str:
    if not row["judged"]:
        return "too few"
    if row["worse"] or row["better"]:
        return "worse" if row["worse"] else "better"
    return MISSING


def worse_of(evaluation: Evaluation, task: str) -> list[str]:
    """Slices where what is shipped is worse than the teacher by more than chance explains."""
    rows, _ = _rows(evaluation, task)
    return [called(row) for row in rows if row["worse"]]


def slice_readings(evaluation: Evaluation, task: str) -> list[str]:
    """Where it is worse than its teacher, where it does worst, and what was not judged."""
    rows, model = _rows(evaluation, task)
    if not rows or model is None:
        return []
    judged = [row for row in rows if row["judged"]]
    said = [_worse(model, judged), _lowest(model, judged)]
    few = len(rows) - len(judged)
    if few:
        have, they = ("has", "it is") if few == 1 else ("have", "they are")
        said.append(
            f"{few} of {len(rows)} slices {have} fewer than {FEWEST} examples, or families of "
            f"them: {they} shown, and not judged."
        )
    return [sentence for sentence in said if sentence]


def _worse(model: str, judged: Sequence[Row]) -> str:
    if not judged:
        return "No slice has enough examples to be judged."
    worse = sorted((row for row in judged if row["worse"]), key=lambda row: row["difference"])
    name = prose_name(model)
    if worse:
        parts = [f"{called(row)} ({row['difference'] * 100:+z.1f} points)" for row in worse]
        where = f"{len(worse)} of {len(judged)} slices" if len(judged) > 1 else "the one slice"
        return (
            f"The {name} is worse than its teacher, by more than chance explains, in {where} that "
            f"can be judged: {'; '.join(parts)}."
        )
    found = (
        f"In none of the {len(judged)} slices that can be judged was the {name} shown to be"
        if len(judged) > 1
        else f"In the one slice that can be judged, the {name} was not shown to be"
    )
    return f"{found} worse than its teacher. That is not proof that it isn't."


def _lowest(model: str, judged: Sequence[Row]) -> str:
    if len({row[model]["score"] for row in judged}) < 2:  # none, or none that is lower
        return ""
    row = min(judged, key=lambda row: row[model]["score"])
    low, high = row[model]["ci"]
    return (
        f"It scores lowest in {called(row)}: {row[model]['score']:.3f} on {row['n']:,} examples "
        f"(95% interval {low:.2f} to {high:.2f}; its teacher {row['teacher']['score']:.3f})."
    )
