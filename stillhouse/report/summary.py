"""What `evaluation.json` says, as Markdown for Dagster's UI and the terminal: numbers, no texts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stillhouse.report import edge_cases, findings, leaks, limits, people, released, slices, trust
from stillhouse.report.assemble import EVALUATION
from stillhouse.report.markdown import literal, markdown_table
from stillhouse.report.verdict import HEADER, verdict
from stillhouse.report.verdict import rows as gate_rows
from stillhouse.storage.files import read_json


def table_markdown(evaluation: Mapping[str, Any]) -> str:
    """The tables of models, one a task; with several tasks, each below its task's name."""
    tasks = evaluation["about"]["tasks"]
    tables = [(task["name"], markdown_table(*findings.table(evaluation, task))) for task in tasks]
    if len(tables) == 1:
        return tables[0][1]
    return "\n\n".join(f"{literal(name)}\n\n{table}" for name, table in tables)


def said_of(folder: Path) -> str:
    """The verdict of the report in `folder`, in a line of plain text."""
    evaluation = read_json(folder / EVALUATION)
    _, said = verdict(findings.gates(evaluation))
    return f"{said}. {findings.headline(evaluation)}"


def markdown_of(folder: Path) -> str:
    """The summary of the report in `folder`: verdict, table, gates, and whether models differ.

    Raises FileNotFoundError when there is no report.
    """
    evaluation = read_json(folder / EVALUATION)
    gates = findings.gates(evaluation)
    _, said = verdict(gates)
    parts = [
        f"**{literal(said)}.** {literal(findings.headline(evaluation))}",
        table_markdown(evaluation),
    ]
    told = findings.against_production(evaluation)
    if gates:
        parts.append(markdown_table(HEADER, gate_rows([*gates, *([told] if told else [])])))
    if audit := evaluation.get(leaks.NAME):
        parts.append(f"{leaks.TITLE}: {literal(leaks.said(audit['rules']))}")
    tasks = [task["name"] for task in evaluation["about"]["tasks"]]
    for task in tasks:
        readings = findings.readings(evaluation, task)
        if readings and len(tasks) > 1:
            parts.append(literal(task))
        parts.append("\n".join(f"- {literal(reading)}" for reading in readings))
        parts += _proof(evaluation, task)
    return "\n\n".join(part for part in parts if part) + "\n"


def _proof(evaluation: Mapping[str, Any], task: str) -> list[str]:
    """What the test set can't say, where a student is worse, what confidence is worth, and how
    models did on edge cases."""
    parts: list[str] = []
    nothing: tuple[list[str], list[list[str]]] = ([], [])
    shown = (
        (limits.TITLE, nothing, limits.limit_readings(evaluation, task)),
        (slices.TITLE, nothing, slices.slice_readings(evaluation, task)),
        (trust.TITLE, trust.table(evaluation, task), trust.trust_readings(evaluation, task)),
        (
            edge_cases.TITLE,
            edge_cases.edge_table(evaluation, task),
            edge_cases.edge_readings(evaluation, task),
        ),
        (
            released.TITLE,
            released.table(evaluation, task),
            released.released_readings(evaluation, task),
        ),
        (people.TITLE, people.table(evaluation, task), people.people_readings(evaluation, task)),
    )
    for name, (header, rows), said in shown:
        if rows or said:
            parts.append(f"{name}:")
        if rows:
            parts.append(markdown_table(header, rows))
        parts.append("\n".join(f"- {literal(text)}" for text in said))
    return [part for part in parts if part]
