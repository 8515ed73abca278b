"""Parts of a test split: where a student is worse than its teacher, though not on average.

What is known of a pair comes with it: source, class, length, level, date. Its language is told from
its text. No document's name or id is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.corpus.cleanse.language import language_of
from stillhouse.evaluate.telling import score_among, tell_apart
from stillhouse.metrics.bootstrap import INTERVAL_REPEATS, SIGNIFICANCE
from stillhouse.metrics.holm import holm
from stillhouse.storage.query import counts, rows_in_batches
from stillhouse.tasks.common import Kind, Row, gold_of, quoted
from stillhouse.tasks.results import Scored, shipped

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Of fewer examples a slice is shown, and not judged: its interval would be wider than half the
# scale.
FEWEST = 20
# Values of one kind; the rarer ones are one.
MOST = 12
OTHERS = "others"
NOT_TOLD = "not told"
LENGTHS = ("short", "middle", "long")

Slices = dict[str, list[str | None]]
"""By what they are cut by: of each example, in the order of `Scored`, its value or None."""


def slices_of(dataset: Path, kind: Kind) -> Slices:
    """What a task's test pairs can be cut by; a cut that would leave one slice is none."""
    name = kind.task.name
    rows = _rows(dataset, name)
    found: Slices = {"source": [row["source"] for row in rows]}
    if kind.countable:
        answers = [gold_of(row) for row in rows]
        found["class"] = list(answers)
        found["class by training examples"] = _rarity(dataset, name, answers)
    found["length"] = _thirds([len(row["input"]) for row in rows])
    found["language"] = [language_of(row["input"]) or NOT_TOLD for row in rows]
    found["confidentiality"] = [row["confidentiality"] for row in rows]
    found["time"] = _halves([row["created_at"] for row in rows])
    cut = {name: _few(values) for name, values in found.items()}
    return {name: values for name, values in cut.items() if len(set(values) - {None}) > 1}


def _rows(dataset: Path, task: str) -> list[Row]:
    rows = rows_in_batches(
        f"""SELECT source, input, response, label, confidentiality, created_at FROM dataset
            WHERE task = {quoted([task])} AND split = 'test' AND response IS NOT NULL
            ORDER BY pair_id""",  # noqa: S608 - quoted
        dataset=dataset,
    )
    return [row for batch in rows for row in batch]


def _rarity(dataset: Path, task: str, answers: Sequence[str]) -> list[str | None]:
    """A third of the classes, those with the fewest training examples, against the others."""
    learned = counts(
        f"""SELECT coalesce(label, response), count(*) FROM dataset
            WHERE task = {quoted([task])} AND split = 'train' AND response IS NOT NULL
            GROUP BY ALL""",  # noqa: S608
        dataset=dataset,
    )
    classes = sorted({*learned, *answers}, key=lambda name: (learned.get(name, 0), name))
    rare = set(classes[: len(classes) // 3])
    return ["fewest" if answer in rare else "more" for answer in answers]


def _thirds(lengths: Sequence[int]) -> list[str | None]:
    """By characters: as many short as middle and long ones, equally long ones together."""
    ordered = sorted(lengths)
    if not ordered:
        return []
    first, second = ordered[len(ordered) // 3], ordered[2 * len(ordered) // 3]
    return [LENGTHS[(n >= first) + (n >= second)] for n in lengths]


def _halves(times: Sequence[str | None]) -> list[str | None]:
    """Of those that have a date."""
    known = sorted(time for time in times if time)
    if not known:
        return [None] * len(times)
    middle = known[len(known) // 2]
    return [None if not time else "newer" if time >= middle else "older" for time in times]


def _few(values: Sequence[str | None]) -> list[str | None]:
    often = [value for value, _ in Counter(v for v in values if v is not None).most_common()]
    kept = set(often if len(often) <= MOST else often[: MOST - 1])
    return [value if value is None or value in kept else OTHERS for value in values]


def judged_slices(
    slices: Slices, scored: Mapping[str, Scored], families: Sequence[str]
) -> list[dict[str, Any]]:
    """A row a slice (JSON values): what it is, its examples, score and interval of the teacher and
    of what is shipped, their paired difference, and whether that is more than chance explains,
    corrected for how many slices were looked at (Holm 1979).

    A slice of fewer than FEWEST examples, or families, is not judged. Empty without a teacher and a
    student.
    """
    import numpy as np

    model = shipped(scored)
    if model is None or "teacher" not in scored:
        return []
    rows: list[dict[str, Any]] = []
    for by, values in slices.items():
        for value in sorted({v for v in values if v is not None}, key=_place):
            among = np.flatnonzero([v == value for v in values])
            rows.append({"by": by, "value": value, **_row(scored, model, families, among)})
    judged = [row for row in rows if row["judged"]]
    for row, p in zip(judged, holm([row["p_value"] for row in judged]), strict=True):
        row["p_holm"] = p
        row["worse"] = p < SIGNIFICANCE and row["ci"][1] < 0
        row["better"] = p < SIGNIFICANCE and row["ci"][0] > 0
    return rows


def _place(value: str) -> tuple[int, str]:
    return (LENGTHS.index(value), "") if value in LENGTHS else (0, value)


def _row(
    scored: Mapping[str, Scored], model: str, families: Sequence[str], among: NDArray[Any]
) -> dict[str, Any]:
    test = tell_apart(scored[model], scored["teacher"], families, among, INTERVAL_REPEATS)
    found: dict[str, Any] = {"n": len(among), "families": test.groups}
    for name in ("teacher", model):
        score, low, high = score_among(scored[name], families, among)
        found[name] = {"score": score, "ci": [low, high]}
    few = min(len(among), test.groups or 0) < FEWEST
    return found | {
        "difference": test.difference,
        "ci": [test.low, test.high],
        "p_value": test.p_value,
        "judged": not few,
        "p_holm": None,
        "worse": False,
        "better": False,
    }


def sliced(
    kinds: Sequence[Kind],
    dataset: Path,
    scored: Mapping[str, Mapping[str, Scored]],
    families: Mapping[str, Sequence[str]],
) -> dict[str, list[dict[str, Any]]]:
    """`judged_slices` by task; `scored` is by model and task."""
    return {
        name: judged_slices(
            slices_of(dataset, kind),
            {model: answers[name] for model, answers in scored.items() if name in answers},
            families[name],
        )
        for kind in kinds
        if (name := kind.task.name) in families
    }
