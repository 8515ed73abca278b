"""What a report says of the leak audit, which is a step and a page of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.config.student import Gates
from stillhouse.facts import GateFacts
from stillhouse.judged import IN_WORDS, MISSED, PASSED, UNPROVEN
from stillhouse.tasks.results import display_name
from stillhouse.tasks.sections import Link, Section, Table
from stillhouse.wording import MISSING, number

NAME = "leak_audit"
TITLE = "Leak audit"
INTRO = "What the student gives away of what it learned from, beside a model that never saw it."
# From the folder of the report to that of the audit's page.
PAGE = Link("The whole audit, and how to find it again", "../leak_audit/leak_audit.html")
HEADER = ("Rule", "Model", "Found", "95% interval", "Limit", "Tried", "Verdict")
CAPTION = (
    "Rules were fixed before the audit ran. One is passed where all of its interval keeps to the "
    "limit, missed where the figure itself doesn't."
)

Rules = Sequence[Mapping[str, Any]]


def gate(evaluation: Mapping[str, Any], limits: Gates) -> GateFacts | None:  # noqa: ARG001
    """How many of its rules are not kept to, or not proven to be; the worst of them decides."""
    found = evaluation.get(NAME)
    if not found or not found["rules"]:
        return None
    broken = [rule for rule in found["rules"] if rule["verdict"] != PASSED]
    verdicts = {rule["verdict"] for rule in broken}
    asks = "Every rule is kept to, by the student and by its quantized form."
    if broken:
        asks += f" {len(broken)} of {len(found['rules'])} are not, or are not proven to be."
    return GateFacts(
        NAME,
        MISSED not in verdicts,
        asks,
        float(len(broken)),
        0.0,
        proven=UNPROVEN not in verdicts or MISSED in verdicts,
    )


def sections(evaluation: Mapping[str, Any]) -> list[Section]:
    found = evaluation.get(NAME)
    if not found:
        return []
    if not found["rules"]:
        return [Section("Not tried", ["Whether it gives away what it learned from was not tried."])]
    every = found["rules"]
    broken = [rule for rule in every if rule["verdict"] != PASSED]
    tables = [_table(broken)] if broken else []
    sections = [Section("What was found", [said(every)], tables=tables, link=PAGE)]
    if len(broken) < len(every):
        title = f"All {len(every)} rules" if len(every) > 1 else "The rule"
        sections.append(Section(title, tables=[_table(every)], folded=True))
    return sections


def _table(rules: Rules) -> Table:
    return Table(HEADER, [_row(rule) for rule in rules], CAPTION)


def said(rules: Rules) -> str:
    """What was concluded, in a sentence."""
    of = len(rules)
    parts = []
    for name, what in ((MISSED, "missed"), (UNPROVEN, "not proven")):
        found = [_called(rule) for rule in rules if rule["verdict"] == name]
        if found:
            many = f"{len(found)} {'is' if len(found) == 1 else 'are'}" if of > 1 else "is"
            parts.append(f"{many} {what}: {', '.join(found)}")
    if of == 1:
        return f"The only rule {parts[0] if parts else 'is kept to'}."
    return f"Of {of} rules, {'; '.join(parts)}." if parts else f"All {of} rules are kept to."


def _called(rule: Mapping[str, Any]) -> str:
    return f"{rule['name']} ({display_name(rule['model'])})"


def _row(rule: Mapping[str, Any]) -> list[str]:
    known = rule["low"] is not None
    return [
        f"{rule['name']}: {rule['asks']}" + (f" ({rule['said']})" if rule["said"] else ""),
        display_name(rule["model"]),
        number(rule["value"]),
        f"{number(rule['low'])} to {number(rule['high'])}" if known else MISSING,
        number(rule["limit"]),
        f"{rule['tried']:,}",
        IN_WORDS.get(rule["verdict"], rule["verdict"]),
    ]
