"""The drift report: traffic of a student against what it learned from, test by test.

What texts say stands in the tables of the report alone, masked; its facts are numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.config.dataset import Task
from stillhouse.config.monitor import Drift
from stillhouse.errors import UserError
from stillhouse.evaluate.side_by_side import Candidate
from stillhouse.facts import DriftReportFacts, DriftTestFacts
from stillhouse.metrics.holm import holm
from stillhouse.monitor.answers import AnswerDrift, compare_answers
from stillhouse.monitor.chance import benjamini_hochberg
from stillhouse.monitor.compared import Test, TextDrift, compare_texts
from stillhouse.monitor.texts import (
    Texts,
    masked_inputs,
    reference_texts,
    traffic_texts,
    window_of,
)
from stillhouse.storage.files import digest
from stillhouse.storage.tables import table_writer

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger("stillhouse")

WORDS, REQUESTS, CONFIDENCES = "words.parquet", "requests.parquet", "confidences.parquet"


@dataclass(frozen=True)
class Compared:
    """A task's texts, and what the tests say of them; `answers` where models were asked."""

    reference: Texts
    traffic: Texts
    drift: TextDrift
    answers: AnswerDrift | None = None

    @property
    def tests(self) -> list[Test]:
        return [*self.drift.tests, *(self.answers.tests if self.answers else [])]


def report_drift(
    traffic: Path,
    dataset: Path,
    tasks: Sequence[Task],
    student: str,
    models: tuple[Candidate, Candidate] | None,
    settings: Drift,
    folder: Path,
) -> DriftReportFacts:
    """Compare the traffic of `student` with the snapshot `dataset`, and write to `folder` which
    words and requests differ most. `models` are student and teacher; None asks neither.

    A task of too few texts is left out and counted; so are answers where a model lacks the task's.
    """
    window = window_of(traffic, [task.name for task in tasks], student, settings)
    compared: dict[str, Compared] = {}
    too_few: dict[str, int] = {}
    for task in tasks if window.requests else ():
        old = reference_texts(dataset, task.name, settings)
        new = traffic_texts(traffic, task.name, student, settings)
        if min(len(old) // 2, len(new)) < settings.min_texts:
            too_few[task.name] = len(new)
            continue
        compared[task.name] = Compared(old, new, compare_texts(old, new, settings))
    not_compared: dict[str, str] = {}
    if compared and models is not None:
        asked = {name: _inputs(traffic, found.traffic) for name, found in compared.items()}
        for task in tasks:
            if task.name in compared:
                try:
                    found = compare_answers(dataset, [task], *models, asked, settings)
                except UserError as error:
                    not_compared[task.name] = error.message
                    continue
                before = compared[task.name]
                compared[task.name] = Compared(
                    before.reference, before.traffic, before.drift, found[task.name]
                )
    _write_tables(folder, compared)
    tests = list(_corrected(compared))
    for name, message in not_compared.items():
        logger.warning("Drift of %s: answers were not compared: %s", name, message)
    area = {n: c.drift.domain for n, c in compared.items()}
    return DriftReportFacts(
        digest=digest([asdict(test) for test in tests], too_few, window.requests),
        kept=window.requests,
        window_from=window.start,
        window_to=window.end,
        requests={name: len(found.traffic) for name, found in compared.items()},
        reference={name: len(found.reference) for name, found in compared.items()},
        too_few=too_few,
        not_compared=not_compared,
        tests=tests,
        answers={name: c.answers.mix for name, c in compared.items() if c.answers},
        auc={name: found.area for name, found in area.items()},
        auc_low={name: found.low for name, found in area.items()},
        auc_high={name: found.high for name, found in area.items()},
        liked=window.liked,
    )


def _inputs(traffic: Path, texts: Texts) -> list[str]:
    found = masked_inputs(traffic, texts.requests)
    return [found[request] for request in texts.requests]


def _corrected(compared: dict[str, Compared]) -> Iterator[DriftTestFacts]:
    """Corrected for all tests of all tasks together."""
    all_tests = [(name, test) for name, found in compared.items() for test in found.tests]
    values = [test.p for _, test in all_tests]
    for (task, test), q, adjusted in zip(
        all_tests, benjamini_hochberg(values), holm(values), strict=True
    ):
        yield DriftTestFacts(task, test.name, test.limit, test.effect, test.p, q, adjusted)


def _write_tables(folder: Path, compared: dict[str, Compared]) -> None:
    with table_writer(folder / WORDS, _words_schema()) as write:
        for name, found in compared.items():
            write([{"task": name, **asdict(word)} for word in found.drift.domain.words])
    with table_writer(folder / REQUESTS, _requests_schema()) as write:
        for name, found in compared.items():
            write(_request_rows(name, found))
    with table_writer(folder / CONFIDENCES, _confidences_schema()) as write:
        for name, found in compared.items():
            for side, values in enumerate(found.answers.confidences if found.answers else ()):
                write([{"task": name, "traffic": bool(side), "confidence": v} for v in values])


def _request_rows(task: str, found: Compared) -> list[dict[str, Any]]:
    given = found.answers.given if found.answers else []
    disagreed = found.answers.disagreed if found.answers else []
    return [
        {
            "task": task,
            "request": request,
            "score": float(found.drift.domain.scores[place]),
            "likeness": float(found.drift.likeness[place]),
            "novel": bool(found.drift.likeness[place] < found.drift.novel_below),
            "confidence": given[place].confidence if place < len(given) else None,
            "disagreed": disagreed[place] if place < len(disagreed) else None,
        }
        for place, request in enumerate(found.traffic.requests)
    ]


def _words_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema(
        [
            *((n, pa.string()) for n in ("task", "word")),
            ("weight", pa.float64()),
            *((n, pa.int64()) for n in ("reference", "traffic")),
        ]
    )


def _requests_schema() -> pa.Schema:
    """Requests by their ids in the table of traffic, which has their texts."""
    import pyarrow as pa

    return pa.schema(
        [
            *((n, pa.string()) for n in ("task", "request")),
            *((n, pa.float64()) for n in ("score", "likeness")),
            ("novel", pa.bool_()),
            *((n, pa.float64()) for n in ("confidence", "disagreed")),
        ]
    )


def _confidences_schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("task", pa.string()), ("traffic", pa.bool_()), ("confidence", pa.float64())])
