"""The leak audit as Markdown: its verdict, its rules, and how canaries fared. Names of attacks are
a user's, and shown as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.audit import plots
from stillhouse.audit.audit import FINDINGS
from stillhouse.audit.verdict import ASKS, said
from stillhouse.facts import LeakAuditFacts, LeakRuleFacts
from stillhouse.judged import in_words
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.storage.files import read_json
from stillhouse.wording import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HEADER = ("rule", "model", "verdict", "found", "95 % interval", "limit", "tried", "control", "note")


def shown(facts: LeakAuditFacts, folder: Path) -> dict[str, str]:
    """Markdown by name, in the order in which it is read."""
    found = {
        "verdict": f"**{in_words(facts.verdict)}**: {literal(said(facts.rules))}",
        "rules": markdown_table(HEADER, [row_of(rule) for rule in facts.rules]),
    }
    content = read_json(folder / FINDINGS)
    from stillhouse.tasks.figures import png_uri

    for written, figure in figures(content):
        found[f"exposure_{'answers' if written else 'texts'}"] = f"![Exposure]({png_uri(figure)})"
    return found


def figures(content: dict[str, Any]) -> list[tuple[bool, Figure]]:
    """The exposure of canaries in answers (True), and in texts, where there are any."""
    models = {name: of_model["exposed"] for name, of_model in content["models"].items()}
    models["control"] = content["control"]["exposed"]
    limit = content["settings"]["rules"]["exposure"]
    kinds = sorted({e["written"] for e in content["control"]["exposed"]}, reverse=True)
    return [(kind, plots.exposures(models, limit, written=kind)) for kind in kinds]


def row_of(rule: LeakRuleFacts) -> list[str]:
    """A rule as cells under `HEADER`."""
    interval = "" if rule.low is None else f"{number(rule.low)} to {number(rule.high)}"
    control = "" if rule.control is None else number(rule.control)
    return [
        ASKS.get(rule.name, rule.name),
        plots.NAMES.get(rule.model, rule.model),
        in_words(rule.verdict),
        number(rule.value),
        interval,
        number(rule.limit),
        f"{rule.tried:,}",
        control,
        rule.said,
    ]
