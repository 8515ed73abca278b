"""The check on what people reviewed: of gold pairs, and of what a teacher answered."""

from __future__ import annotations

import dagster as dg

from stillhouse.facts import ReviewFacts
from stillhouse.judged import NOT_MEASURED


def check_of(found: ReviewFacts, limit: float) -> dg.AssetCheckResult:
    """Above the limit it fails; below, it warns as long as chance may explain that."""
    warns = dg.AssetCheckSeverity.WARN
    if found.reject_rate is None or found.reject_rate_high is None:
        return dg.AssetCheckResult(
            passed=False,
            severity=warns,
            description="Nobody has reviewed any of the sample: how many answers are wrong is "
            "unknown. `stillhouse review` says where its page is.",
            metadata={
                "verdict": NOT_MEASURED,
                "unusable": found.unusable,
                "unknown": found.unknown,
            },
        )
    above, unproven = found.reject_rate > limit, found.reject_rate_high > limit
    shown = {name: value for name, value in vars(found).items() if value is not None}
    del shown["overrides"]
    return dg.AssetCheckResult(
        passed=not unproven,
        severity=dg.AssetCheckSeverity.ERROR if above or not unproven else warns,
        description="More answers are wrong than the gate allows."
        if above
        else "So few were reviewed that more may be wrong than the gate allows."
        if unproven
        else None,
        metadata={**shown, "max_reject_rate": limit},
    )
