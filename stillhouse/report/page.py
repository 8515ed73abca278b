"""The evaluation report as a self-contained page.

Texts, labels and names come from documents: they are untrusted, and escaped wherever shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stillhouse.report import audit, engineering, findings, plots
from stillhouse.report.beside import parts_beside
from stillhouse.report.verdict import HEADER, rows, verdict
from stillhouse.tasks.figures import svg_uri
from stillhouse.tasks.results import shipped
from stillhouse.templates import environment
from stillhouse.wording import MISSING, number, plain, plain_lines

if TYPE_CHECKING:
    from markupsafe import Markup

    from stillhouse.facts import Epoch
    from stillhouse.tasks.sections import Section, Table


def render_html(
    evaluation: Mapping[str, Any],
    sections: Mapping[str, Sequence[Section]],
    learning_curve: Sequence[Epoch],
    provenance: Mapping[str, Any],
) -> str:
    """The page: it loads nothing and runs nothing, so that it can be mailed, archived, printed."""
    pages = environment("stillhouse.report")
    pages.filters |= {
        "number": number,
        "plain": plain,
        "plain_lines": plain_lines,
        "breakable": breakable,
        "columns": columns,
        "drawn": lambda figure: svg_uri(figure.draw()),
    }
    gates, about = findings.gates(evaluation), evaluation["about"]
    outcome, said = verdict(gates)
    told = findings.against_production(evaluation)
    shown = [*gates, *([told] if told else [])]
    return pages.get_template("report.html.j2").render(
        about=about,
        gates=list(zip(shown, rows(shown), strict=True)),
        gate_header=HEADER,
        beside=parts_beside(evaluation),
        outcome=outcome,
        verdict=said,
        headlines=findings.headlines(evaluation),
        shipped=findings.shown_name(evaluation, shipped(about["models"]) or ""),
        tasks=[
            {
                "name": task["name"],
                "n": evaluation[findings.models_of(evaluation, task["name"])[0]][task["name"]]["n"],
                "table": findings.table(evaluation, task),
                "baseline": task.get("baseline"),
                "readings": findings.readings(evaluation, task["name"]),
                "sections": sections.get(task["name"], ()),
            }
            for task in about["tasks"]
        ],
        curves=[
            svg_uri(plots.learning_curve(learning_curve, panel))
            for panel in ("losses", "validation")
            if learning_curve
        ],
        parts=[
            (name, title, intro, found)
            for name, title, intro, found in (
                ("audit", audit.TITLE, audit.INTRO, audit.audit_sections(evaluation)),
                (
                    "engineering",
                    engineering.TITLE,
                    engineering.INTRO,
                    engineering.engineering_sections(evaluation),
                ),
            )
            if found
        ],
        provenance=[
            (name, flatten(value) if isinstance(value, Mapping) else [("", text(value))])
            for name, value in provenance.items()
        ],
    )


def columns(table: Table) -> list[bool]:
    """For each column whether it holds numbers alone, which stand at the right."""
    figures = re.compile(rf"[-\d.,%() {MISSING}]*(of [\d,]+)?")
    return [all(figures.fullmatch(row[i]) for row in table.rows) for i in range(len(table.header))]


def flatten(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (dotted name, text). Pairs of a name and a value are a mapping whose order
    counts; of what stands in them, only what is set."""
    if _are_pairs(value):
        inner = flatten(dict(value), prefix)
        return [row for row in inner if row[1] != MISSING] or [(prefix, MISSING)]
    if not isinstance(value, Mapping):
        return [(prefix, text(value))]
    join = f"{prefix}." if prefix else ""
    return [pair for key, inner in value.items() for pair in flatten(inner, f"{join}{key}")]


def _are_pairs(value: Any) -> bool:
    return (
        isinstance(value, (list, tuple))
        and bool(value)
        and all(
            isinstance(one, (list, tuple)) and len(one) == 2 and isinstance(one[0], (str, int))
            for one in value
        )
    )


def text(value: Any) -> str:
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text, value)) or MISSING
    if isinstance(value, Mapping):
        return "; ".join(f"{name}: {text(one)}" for name, one in value.items()) or MISSING
    return str(value)


def breakable(value: str) -> Markup:
    """Escaped HTML, its lines kept, in which a long label may break after its _ - / and dots (but
    those of numbers), and before a capital within it."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[-_/])(?=\S)|(?<=\.)(?=[^\s\d])|(?<=[a-z])(?=[A-Z])", plain_lines(value))
    return Markup("<wbr>").join(escape(part) for part in parts)
