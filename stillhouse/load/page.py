"""The latency profile as a page: curves, figures, limits, and what measured."""

from __future__ import annotations

from pathlib import Path

from stillhouse.facts import LatencyProfileFacts
from stillhouse.judged import in_words
from stillhouse.load.plots import drawn
from stillhouse.load.profile import FINDINGS
from stillhouse.load.shown import (
    LEVELS,
    LIMITS,
    MARKS,
    TASKS,
    about,
    level_rows,
    limit_rows,
    said,
    task_rows,
)
from stillhouse.storage.files import read_json, write_text
from stillhouse.templates import environment
from stillhouse.wording import setting

PAGE = "latency.html"


def write_page(
    folder: Path, facts: LatencyProfileFacts, project: str, student: str, version: str
) -> None:
    """Write `latency.html` beside the findings in `folder`."""
    write_text(folder / PAGE, render(folder, facts, project, student, version))


def render(
    folder: Path, facts: LatencyProfileFacts, project: str, student: str, version: str
) -> str:
    """The page: it loads nothing and runs nothing."""
    from stillhouse.tasks.figures import svg_uri

    pages = environment("stillhouse.load")
    pages.filters |= {"setting": setting, "in_words": in_words}
    open_ones = [level.late for level in facts.levels if level.loop == "open"]
    return pages.get_template("latency.html.j2").render(
        facts=facts,
        mark=MARKS.get(facts.verdict, facts.verdict),
        said=said(facts),
        limits=limit_rows(facts.limits),
        limits_header=LIMITS,
        levels=level_rows(facts.levels),
        levels_header=LEVELS,
        tasks=task_rows(facts.levels),
        tasks_header=TASKS,
        late=max(open_ones, default=None),
        figures=[(alt, svg_uri(draw())) for alt, draw in drawn(facts.levels)],
        about=about(facts),
        settings=read_json(folder / FINDINGS)["settings"],
        project=project,
        student=student,
        version=version,
    )
