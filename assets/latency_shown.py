"""What the UI shows of a latency profile: what was found, its tables, its curves, its page."""

from typing import Any

import dagster as dg

from stillhouse.facts import LatencyProfileFacts
from stillhouse.state import Artefact, State


def latency(facts: LatencyProfileFacts, state: State, artefact: Artefact) -> dict[str, Any]:
    from stillhouse.load.page import PAGE
    from stillhouse.load.plots import drawn
    from stillhouse.load.shown import LEVELS, LIMITS, level_rows, limit_rows, said
    from stillhouse.report.markdown import literal, markdown_table
    from stillhouse.tasks.figures import png_uri

    verdict = f"**{facts.verdict}**: {literal(said(facts))}"
    found: dict[str, Any] = {"verdict": dg.MetadataValue.md(verdict)}
    if not facts.levels:
        return found
    pictures = [f"![{alt}]({png_uri(draw())})" for alt, draw in drawn(facts.levels)]
    limits = [cells for _, cells in limit_rows(facts.limits)]
    tables = {
        "loads_milliseconds": markdown_table(LEVELS, level_rows(facts.levels)),
        "limits_asked": markdown_table(LIMITS, limits) if limits else None,
        "curves": "\n\n".join(pictures),
    }
    found |= {name: dg.MetadataValue.md(text) for name, text in tables.items() if text}
    page, root = state.folder(artefact) / PAGE, state.project.root
    shown = page.relative_to(root) if page.is_relative_to(root) else page
    found["page"] = dg.MetadataValue.path(str(shown))
    return {**found, **{name: round(value, 4) for name, value in facts.figures.items()}}
