"""Plots as Markdown, for places that show Markdown and nothing else; made when they are shown."""

from __future__ import annotations

from collections.abc import Sequence

from stillhouse.facts import Epoch
from stillhouse.report.markdown import markdown_table
from stillhouse.wording import number


def learning_curve_markdown(history: Sequence[Epoch]) -> str | None:
    """The learning curve as an embedded PNG, and its figures below it; None without an epoch."""
    if not history:
        return None
    from stillhouse.report.plots import learning_curve
    from stillhouse.tasks.figures import png_uri

    names = list(dict.fromkeys(name for row in history for name in row))
    rows = [[number(row.get(name), digits=4) for name in names] for row in history]
    picture = png_uri(learning_curve(history))
    return f"![Learning curve]({picture})\n\n{markdown_table(names, rows)}"
