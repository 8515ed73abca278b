"""Has a student's traffic drifted: the report's tests against the limits of the project file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stillhouse.config.monitor import Drift
from stillhouse.facts import DriftReportFacts, DriftTestFacts
from stillhouse.wording import number

# What a test is called in a sentence.
CALLED = {
    "domain": "telling traffic from the reference",
    "length": "length",
    "unknown_words": "unknown words",
    "novel": "requests like nothing known",
    "answers": "mix of answers",
    "confidence": "confidence",
    "disagreement": "disagreement with the teacher",
}


@dataclass(frozen=True)
class Verdict:
    """`drifted` where some test is over its limit and no chance; None: there was nothing to
    compare. `said` in one line; `over` are those tests, the surest first."""

    drifted: bool | None
    said: str
    over: list[DriftTestFacts] = field(default_factory=list)


def verdict(found: DriftReportFacts, limits: Drift) -> Verdict:
    """By the limits as they are now. All tests of a report raise a false alarm together in at most
    `limits.false_alarms` of unchanged streams: each counts by its family-wise p."""
    if not found.tests:
        if found.too_few:
            fewest = ", ".join(f"{task} {n}" for task, n in found.too_few.items())
            return Verdict(None, f"too few texts to compare ({fewest} of {limits.min_texts})")
        return Verdict(None, "no request of this student is in the logs")
    over = over_limit(found.tests, limits)
    if not over:
        return Verdict(False, "traffic is like what was learned from, within the limits")
    told = "; ".join(
        f"{called(t)} of {t.task}: {number(t.effect)}, limit {number(limit_of(t, limits))}"
        for t in over[:3]
    )
    return Verdict(True, f"traffic has drifted: {told}", over)


def over_limit(tests: Sequence[DriftTestFacts], limits: Drift) -> list[DriftTestFacts]:
    found = [
        test
        for test in tests
        if test.adjusted <= limits.false_alarms and test.effect > limit_of(test, limits)
    ]
    return sorted(found, key=lambda test: test.p)


def limit_of(test: DriftTestFacts, limits: Drift) -> float:
    return float(getattr(limits, test.limit))


def called(test: DriftTestFacts) -> str:
    return CALLED.get(test.name, test.name.replace("_", " "))
