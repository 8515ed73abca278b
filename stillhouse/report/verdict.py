"""What a report concludes from its gates, and each gate in words."""

from __future__ import annotations

from collections.abc import Sequence

from stillhouse.facts import GateFacts
from stillhouse.judged import IN_WORDS, MISSED, NOT_MEASURED, PASSED, ROUNDING, UNPROVEN
from stillhouse.report.beside import TITLES
from stillhouse.report.gates import GATES, LOSSES
from stillhouse.wording import MISSING, about, number

MARKS = {PASSED: "✓", MISSED: "✗", UNPROVEN: "?", NOT_MEASURED: MISSING}
HEADER = ("Gate", "Value", "95% interval", "Limit", "Margin", "Verdict")


def title(gate: GateFacts) -> str:
    """What a gate is called; with the task that decides, where there are several."""
    known = GATES[gate.name][0] if gate.name in GATES else TITLES.get(gate.name, gate.name)
    return f"{known} on {gate.task}" if gate.task and len(gate.by_task) > 1 else known


def mark(gate: GateFacts) -> str:
    """A tick, a cross, a question mark; or that there was nothing to measure."""
    return MARKS[gate.verdict]


def said(gate: GateFacts) -> str:
    """The verdict in words."""
    return IN_WORDS.get(gate.verdict, gate.verdict)


def value(gate: GateFacts) -> str:
    """What was measured: of a loss, whether it is one."""
    if gate.value is None or not _is_loss(gate):
        return number(gate.value)
    if abs(gate.value) < ROUNDING:
        return "0"
    found = number(abs(gate.value))
    return f"{'loses' if gate.value > 0 else 'gains'} {found}"


def interval(gate: GateFacts) -> str:
    """Both ends as `value` says them."""
    if gate.low is None or gate.high is None:
        return MISSING
    if not _is_loss(gate):
        return f"{number(gate.low)} to {number(gate.high)}"
    worst, best = (number(abs(end)) for end in (gate.high, gate.low))
    if gate.low >= 0:
        return f"{best} to {worst} lost"
    if gate.high <= 0:
        return f"{worst} to {best} gained"
    return f"{worst} lost to {best} gained"


def _is_loss(gate: GateFacts) -> bool:
    return gate.name in LOSSES or gate.name == "production"


def margin(gate: GateFacts) -> str:
    """How far `value` lies from the limit, in words; nothing where it was not measured."""
    if gate.value is None or gate.limit is None:
        return ""
    gap = number(abs(gate.value - gate.limit), digits=2)
    if gate.name in TITLES and gate.low is None:  # counted, not measured
        return ""
    if gate.verdict == MISSED:
        doubt = "; chance may explain it" if _may_be_chance(gate, gate.limit) else ""
        return f"missed by {gap}{doubt}" if gate.value != gate.limit else "no higher"
    if gate.name == "calibrated" and gate.value > gate.limit:
        return f"over by {gap}; chance may explain it"
    return f"{gap} to spare"


def _may_be_chance(gate: GateFacts, limit: float) -> bool:
    """Whether the interval of a figure beyond its limit reaches back within it."""
    if gate.low is None or gate.high is None:
        return False
    return gate.high > limit if gate.name == "beats_baseline" else gate.low <= limit


def rows(gates: Sequence[GateFacts]) -> list[list[str]]:
    """The table of gates as text; see HEADER."""
    return [
        [
            title(gate),
            value(gate),
            interval(gate),
            number(gate.limit),
            margin(gate) or MISSING,
            f"{mark(gate)} {said(gate)}",
        ]
        for gate in gates
    ]


def verdict(gates: Sequence[GateFacts]) -> tuple[str, str]:
    """("pass" | "fail" | "open" | "none", what to say in one line); "open" where none is missed,
    and there are too few examples to tell of some. What was not measured is named and not
    counted."""
    by = {
        name: [gate for gate in gates if gate.verdict == name]
        for name in (PASSED, MISSED, UNPROVEN, NOT_MEASURED)
    }
    measured = len(gates) - len(by[NOT_MEASURED])
    if not measured:
        return "none", "Nothing was judged: no gate was set or measured"
    left = _names(by[NOT_MEASURED])
    beside = f"; not measured: {left}" if left else ""
    if by[MISSED]:
        missed = ", ".join(
            f"{title(gate)} ({margin(gate)})" if margin(gate) else title(gate)
            for gate in by[MISSED]
        )
        doubt = f"; too few examples to tell: {_names(by[UNPROVEN])}" if by[UNPROVEN] else ""
        return (
            "fail",
            f"Held back: misses {len(by[MISSED])} of {measured} gates: {missed}{doubt}{beside}",
        )
    if by[UNPROVEN]:
        return (
            "open",
            f"Can't be told yet: none of {measured} gates is missed, {_counted(by[PASSED])} "
            f"passed; too few examples to tell: {_names(by[UNPROVEN])}{more(by[UNPROVEN])}{beside}",
        )
    passed = f"all {measured} gates" if measured > 1 else "its gate"
    return "pass", f"Fit for release: passes {passed}{beside}"


def _counted(gates: Sequence[GateFacts]) -> str:
    return {0: "none is", 1: "1 is"}.get(len(gates), f"{len(gates)} are")


def _names(gates: Sequence[GateFacts]) -> str:
    return ", ".join(title(gate) for gate in gates)


def more(unproven: Sequence[GateFacts]) -> str:
    """How many examples would tell of all of them, were the figures to stay."""
    wanted = [gate.enough - gate.n for gate in unproven if gate.enough and gate.n]
    if not wanted or max(wanted) <= 0:
        return ""
    some = "" if len(wanted) == len(unproven) else " of some"
    return f" (about {about(max(wanted)):,} more would tell{some})"
