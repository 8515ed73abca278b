"""What a report takes from other steps and from elsewhere: a module each, which knows its gate and
its section.

To add one: a module with TITLE, INTRO, `gate(evaluation, limits)` (None where it was not measured
or sets none) and `sections(evaluation)`, a line in BESIDE, and its facts in `evaluation.json`,
under the name of its gate (see `make_report`, whose `proof` they are part of).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from stillhouse.config.student import Gates
from stillhouse.facts import GateFacts
from stillhouse.report import latency, leaks
from stillhouse.tasks.sections import Section


class Beside(Protocol):
    TITLE: str
    INTRO: str

    @staticmethod
    def gate(evaluation: Mapping[str, Any], limits: Gates) -> GateFacts | None: ...

    @staticmethod
    def sections(evaluation: Mapping[str, Any]) -> list[Section]: ...


# By the name of its gate, in the order in which they are shown.
BESIDE: dict[str, Any] = {leaks.NAME: leaks, latency.NAME: latency}
TITLES = {name: module.TITLE for name, module in BESIDE.items()} | {
    "production": "Release in production"
}


def gates_beside(evaluation: Mapping[str, Any], limits: Gates) -> list[GateFacts]:
    """They stand in the report; a release asks their own steps."""
    found = (module.gate(evaluation, limits) for module in BESIDE.values())
    return [gate for gate in found if gate is not None]


def parts_beside(evaluation: Mapping[str, Any]) -> list[tuple[str, str, str, list[Section]]]:
    """Name, title, introduction and sections of each that there is something to say of."""
    found = [
        (name, module.TITLE, module.INTRO, module.sections(evaluation))
        for name, module in BESIDE.items()
    ]
    return [part for part in found if part[-1]]
