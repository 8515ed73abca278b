"""The leak audit as a page: what was found, by which rules, and how to find it again.

What models wrote is masked before it comes here, and escaped; no value of the vault and no canary's
secret is on it.
"""

from __future__ import annotations

from pathlib import Path

from stillhouse.audit.audit import FINDINGS
from stillhouse.audit.plots import NAMES
from stillhouse.audit.shown import HEADER, figures, row_of
from stillhouse.audit.verdict import said
from stillhouse.facts import LeakAuditFacts
from stillhouse.judged import in_words
from stillhouse.storage.files import read_json, write_text
from stillhouse.templates import environment
from stillhouse.wording import number, plain, setting, shortened

PAGE = "leak_audit.html"
LONGEST = 300


def write_page(
    folder: Path, facts: LeakAuditFacts, project: str, student: str, version: str
) -> None:
    """Write `leak_audit.html` beside the findings in `folder`."""
    write_text(folder / PAGE, render(folder, facts, project, student, version))


def render(folder: Path, facts: LeakAuditFacts, project: str, student: str, version: str) -> str:
    """The page: it loads nothing and runs nothing."""
    from stillhouse.tasks.figures import svg_uri

    content = read_json(folder / FINDINGS)
    pages = environment("stillhouse.audit")
    pages.filters |= {
        "number": number,
        "setting": setting,
        "in_words": in_words,
        "short": lambda text: shortened(plain(text), LONGEST),
        "called": lambda name: NAMES.get(name, name),
    }
    return pages.get_template("leak_audit.html.j2").render(
        facts=facts,
        said=said(facts.rules),
        header=HEADER,
        rules=[(rule.verdict, row_of(rule)) for rule in facts.rules],
        found=content,
        figures=[(written, svg_uri(figure)) for written, figure in figures(content)],
        project=project,
        student=student,
        version=version,
    )
