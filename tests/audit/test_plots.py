"""Figures of the leak audit."""

from __future__ import annotations

from stillhouse.audit.plots import exposures


def test_words_at_the_limit_stand_within_the_figure() -> None:
    """Beyond the end of an axis nothing is drawn."""
    exposure = {"value": 2.0, "low": 1.0, "high": 3.0}
    found = [{"written": True, "repeats": n, "exposure": exposure} for n in (1, 4)]
    (ax,) = exposures({"student": found, "control": found}, 5.0, written=True).axes
    (words,) = ax.texts
    assert words.get_text() == "limit of those that stood once"
    assert ax.get_xlim()[0] <= words.xy[0] <= ax.get_xlim()[1]  # type: ignore[attr-defined]
