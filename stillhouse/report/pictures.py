"""Plots as Markdown, for places that show Markdown and nothing else."""

from __future__ import annotations

import base64
from typing import Any


def learning_curve_markdown(history: list[dict[str, Any]]) -> str | None:
    """The learning curve as an embedded PNG, and its figures below it; None without an epoch."""
    if not history:
        return None
    from stillhouse.report.plots import learning_curve_png

    picture = base64.b64encode(learning_curve_png(history)).decode()
    names = list(history[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " ---: |" * len(names)]
    lines += ["| " + " | ".join(f"{r[n]:.4g}" for n in names) + " |" for r in history]
    return f"![Learning curve](data:image/png;base64,{picture})\n\n" + "\n".join(lines)
