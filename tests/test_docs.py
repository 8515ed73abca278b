"""What the documentation says of the graph is what the graph is.

`python -m tests.test_docs` writes the table of steps into docs/architecture.md.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from stillhouse.steps import STEPS

ARCHITECTURE = Path(__file__).resolve().parent.parent / "docs" / "architecture.md"
BEGIN, END = "<!-- steps -->\n", "<!-- /steps -->"


def table_of_steps() -> str:
    lines = ["| step | one for each | reads | code that shapes it |", "| --- | --- | --- | --- |"]
    scopes = {"project": "project", "teacher": "teacher version", "student": "student and version"}
    for step in STEPS.values():
        reads = ", ".join(
            [
                *step.reads,
                *(f"every {name}" for name in step.gathers),
                *(f"({name})" for name in step.outside),
            ]
        )
        cells = (f"`{step.name}`", scopes[step.scope], reads, ", ".join(step.code))
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def test_the_table_of_steps_is_the_graphs() -> None:
    assert BEGIN + table_of_steps() + END in ARCHITECTURE.read_text()


def test_every_kind_of_document_is_named() -> None:
    from stillhouse.corpus.parse.kinds import SUPPORTED_SUFFIXES

    guide = ARCHITECTURE.with_name("guide.md").read_text()
    assert not [suffix for suffix in SUPPORTED_SUFFIXES if f"`{suffix}`" not in guide]


def test_every_room_is_named() -> None:
    text = ARCHITECTURE.read_text()
    package = ARCHITECTURE.parent.parent / "stillhouse"
    rooms = [p.parent.name for p in package.glob("*/__init__.py") if not p.parent.is_symlink()]
    assert not [room for room in rooms if f"`{room}/`" not in text]


def test_every_room_has_a_nameplate() -> None:
    """Its `__init__.py` says what belongs in it."""
    root = ARCHITECTURE.parent.parent
    rooms = [
        *(root / "stillhouse").rglob("__init__.py"),
        *(root / name / "__init__.py" for name in ("assets", "resources", "sensors", "schedules")),
    ]
    assert not [r for r in rooms if not ast.get_docstring(ast.parse(r.read_text()))]


if __name__ == "__main__":
    text = ARCHITECTURE.read_text()
    pattern = re.escape(BEGIN) + ".*?" + re.escape(END)
    ARCHITECTURE.write_text(
        re.sub(pattern, lambda _: BEGIN + table_of_steps() + END, text, flags=re.S)
    )
