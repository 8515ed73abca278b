"""The comparison of all teacher versions: read from the reports on disk, kept as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stillhouse.errors import UserError
from stillhouse.facts import VersionComparisonFacts
from stillhouse.history.gaps import MODELS, SPEEDS, Measured, grown, measured
from stillhouse.history.remedies import remedies
from stillhouse.report.assemble import EVALUATION
from stillhouse.storage.files import digest, read_json
from stillhouse.storage.tables import write_table

NAME = "version_comparison"


def compare_versions(
    reports: Sequence[tuple[str, str, Path]], table: Path
) -> VersionComparisonFacts:
    """Compare students by version, and write a row a student, version and task to `table`.

    `reports` are (student, version, folder of its report), a student's versions in their order.
    """
    import pyarrow as pa

    rows = read_reports(reports)
    gaps, compared = grown(rows)
    write_table(table, pa.Table.from_pylist([_flat(row) for row in rows], schema=_schema()))
    return VersionComparisonFacts(
        digest=digest([_flat(row) for row in rows]),
        reports=len(reports),
        versions=list(dict.fromkeys(version for _, version, _ in reports)),
        compared=compared,
        largest_gap=max((row.gap for row in rows), default=None),
        grown=gaps,
        remedies=remedies(rows, gaps),
    )


def read_reports(reports: Sequence[tuple[str, str, Path]]) -> list[Measured]:
    """Raises `UserError` where a report can't be read."""
    rows: list[Measured] = []
    for student, version, folder in reports:
        try:
            evaluation: Mapping[str, Any] = read_json(folder / EVALUATION)
            rows += measured(student, version, evaluation)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder / EVALUATION}: it is no report of this release ({type(error).__name__})",
                remedy=f"`stillhouse run --teacher {version}` makes it anew; or remove the folder "
                "of a version that is no longer wanted.",
            ) from error
    return rows


def _flat(row: Measured) -> dict[str, Any]:
    scores = {
        name: value
        for model in MODELS
        for name, value in zip(
            (f"{model}_score", f"{model}_low", f"{model}_high"),
            (row.scores[model], *row.intervals.get(model, (None, None))),
            strict=True,
        )
    }
    about = {"student": row.student, "version": row.version, "task": row.task, "n": row.n}
    sizes = {"teacher_parameters": row.parameters[0], "student_parameters": row.parameters[1]}
    sizes |= {"teacher_bytes": row.bytes[0], "student_bytes": row.bytes[1]}
    sizes |= {speed: getattr(row, speed) for speed in SPEEDS}
    slices = [{"slice": name, "f1": value} for name, value in sorted(row.slices.items())]
    return {**about, **scores, "gap": row.gap, "gap_error": row.error, **sizes, "slices": slices}


def _schema() -> Any:
    import pyarrow as pa

    scores = [f"{model}{part}" for model in MODELS for part in ("_score", "_low", "_high")]
    sizes = [f"{who}_{what}" for what in ("parameters", "bytes") for who in ("teacher", "student")]
    return pa.schema(
        [
            *((name, pa.string()) for name in ("student", "version", "task")),
            ("n", pa.int64()),
            *((name, pa.float64()) for name in (*scores, "gap", "gap_error")),
            *((name, pa.int64()) for name in sizes),
            *((name, pa.float64()) for name in SPEEDS),
            ("slices", pa.list_(pa.struct([("slice", pa.string()), ("f1", pa.float64())]))),
        ]
    )
