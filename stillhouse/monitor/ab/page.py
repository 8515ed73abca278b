"""The A/B test as a page and as JSON: what was fixed, what was seen, what it tells."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from stillhouse.config.monitor import AbTest
from stillhouse.facts import AbTestFacts
from stillhouse.monitor.ab.said import (
    LOOKS_HEADER,
    WORDS,
    figures_of,
    picture,
    rows_of,
    summary,
    why,
    worst,
)
from stillhouse.storage.files import write_json, write_text
from stillhouse.templates import environment

PAGE, JSON = "ab_test.html", "ab_test.json"


def write_page(
    folder: Path, facts: AbTestFacts, terms: AbTest, project: str, student: str, version: str
) -> None:
    """Write `ab_test.html`, which loads nothing and runs nothing, and `ab_test.json`."""
    about = {"project": project, "student": student, "version": version}
    write_text(folder / PAGE, render(facts, terms, **about))
    said = {"verdict": worst(facts), "said": summary(facts, terms)}
    write_json(folder / JSON, {**about, **said, **asdict(facts)})


def render(facts: AbTestFacts, terms: AbTest, project: str, student: str, version: str) -> str:
    from stillhouse.tasks.figures import svg_uri

    tasks = [
        {
            "facts": task,
            "why": why(task, terms),
            "image": svg_uri(figure) if (figure := picture(task, terms)) else None,
            "looks": rows_of(task),
            "figures": figures_of(task),
        }
        for task in facts.tasks
    ]
    return (
        environment("stillhouse.monitor.ab")
        .get_template("ab_test.html.j2")
        .render(
            facts=facts,
            terms=terms,
            tasks=tasks,
            verdict=worst(facts),
            words=WORDS,
            said=summary(facts, terms),
            header=LOOKS_HEADER,
            project=project,
            student=student,
            version=version,
        )
    )
