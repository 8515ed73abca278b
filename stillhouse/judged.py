"""What it means that a limit is kept to: one rule for every gate, of report, audit and release.

A figure measured on a few examples could be off by their luck, so its 95 % interval decides:

- missed: the figure itself lies beyond the limit;
- passed: all of its interval keeps to the limit;
- unproven: the figure does, its interval doesn't: there are too few examples to tell.

What is missed holds a release back. What is unproven does so only where `release.require` names
it: else a project with few examples could never release anything, and its report says what is not
known.
"""

from __future__ import annotations

from collections.abc import Iterable

PASSED, MISSED = "passed", "missed"
UNPROVEN = "unproven"
NOT_MEASURED = "not measured"
# Measured, and the project sets no limit to it.
NO_LIMIT = "no limit"

# From what holds a student back to what doesn't.
VERDICTS = (MISSED, UNPROVEN, NOT_MEASURED, PASSED)
IN_WORDS = {UNPROVEN: "too few to tell"}


def in_words(verdict: str) -> str:
    """A verdict as a person reads it."""
    return IN_WORDS.get(verdict, verdict)


# A figure of exactly the limit keeps to it, however a subtraction rounds.
ROUNDING = 1e-9


def judge(value: float, high: float, limit: float) -> str:
    """Of a figure that may be at most `limit`, `high` being the upper end of its interval.

    Of an error that chance can only make larger, as that of a calibration, `value` is what is left
    when that is taken off.
    """
    if value > limit + ROUNDING:
        return MISSED
    return PASSED if high <= limit + ROUNDING else UNPROVEN


def judge_above(value: float, low: float, limit: float) -> str:
    """Of a figure that has to be more than `limit`."""
    if value <= limit + ROUNDING:
        return MISSED
    return PASSED if low > limit + ROUNDING else UNPROVEN


def worst(verdicts: Iterable[str], none: str) -> str:
    """What comes of several limits: the worst of their verdicts, `none` where there are none."""
    found = set(verdicts)
    return next((one for one in VERDICTS if one in found), none)
