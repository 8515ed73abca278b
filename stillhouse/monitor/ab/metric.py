"""A downstream metric, where both releases were served for a while: no part of the verdict.

What an answer led to is known of the answer that was given alone, so two models are compared on
different requests here. Unless it was by chance who was asked, other things differ as well.
"""

# Queries are composed of names of our own and of quoted settings.
# ruff: noqa: S608

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from stillhouse.storage.query import connected
from stillhouse.tasks.common import quoted

# Requests of each side, below which nothing is said.
LEAST = 10


def by_release(traffic: Path, task: str, releases: Collection[str]) -> dict[str, float]:
    """The metric's mean of answers by these releases and by others, and the 95 % interval of their
    difference (Welch 1947); empty where one side has too few."""
    if not releases:
        return {}
    of_candidate = f"release IN ({quoted(sorted(releases))})"
    sql = f"""SELECT metric, {of_candidate} AS own FROM traffic
              WHERE task = {quoted([task])} AND metric IS NOT NULL AND release IS NOT NULL
              ORDER BY request"""
    with connected({"traffic": traffic}) as db:
        rows = db.sql(sql).fetchall()
    sides = [[value for value, own in rows if own is side] for side in (True, False)]
    if min(map(len, sides)) < LEAST:
        return {}
    from scipy.stats import ttest_ind

    interval = ttest_ind(*sides, equal_var=False).confidence_interval()
    means = [sum(side) / len(side) for side in sides]
    return {
        "metric_candidate": means[0],
        "metric_other": means[1],
        "metric_low": float(interval.low),
        "metric_high": float(interval.high),
    }
