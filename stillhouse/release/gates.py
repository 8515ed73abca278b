"""What a student is held to before it goes out: every gate with its figure, limit and verdict.

A gate that nobody measured stands among the others and says so; it never counts as passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from stillhouse.corpus.document_confidentiality import above
from stillhouse.corpus.pii_quality import proven
from stillhouse.corpus.reidentification_risk import COVERS, too_risky
from stillhouse.dataset.lineage import LEARNED_FROM
from stillhouse.facts import (
    EvaluationReportFacts,
    LatencyProfileFacts,
    LeakAuditFacts,
    ReleaseGateFacts,
    ReviewFacts,
)
from stillhouse.judged import MISSED, NO_LIMIT, NOT_MEASURED, PASSED, UNPROVEN, judge, worst
from stillhouse.report.assemble import EVALUATION
from stillhouse.report.gates import GATES
from stillhouse.state import State


def gates_of(state: State, version: str, student: str) -> list[ReleaseGateFacts]:
    """The gates of a student of a teacher version, from what its steps recorded.

    Raises `UserError` when one of them was not made yet.
    """
    report = state.facts_of("evaluation_report", version, student)
    checkpoint = state.layout.student(student, version) / "checkpoint"
    limit = state.project.gates.max_reject_rate
    return [
        *_of_report(report),
        _masking(state),
        *_risk(state),
        _confidentiality(state, checkpoint / LEARNED_FROM),
        *_review("reject_rate", "review_sample", state.facts_of("review_sample"), limit),
        *_answers(state.facts_of("teacher_answers", version), limit),
        _leaks(state.facts_of("leak_audit", version, student)),
        _latency(state.facts_of("latency_profile", version, student)),
    ]


def missed(gates: Sequence[ReleaseGateFacts]) -> list[str]:
    return [gate.name for gate in gates if gate.verdict == MISSED]


def not_measured(gates: Sequence[ReleaseGateFacts]) -> list[str]:
    """Also those whose figure chance may explain."""
    return [gate.name for gate in gates if gate.verdict in (NOT_MEASURED, UNPROVEN)]


def _of_report(report: EvaluationReportFacts) -> Iterator[ReleaseGateFacts]:
    found = {gate.name: gate for gate in report.gates}
    for name, (_, asks) in GATES.items():
        gate = found.get(name)
        if gate is None or gate.value is None:
            says = gate.description if gate else f"{asks} The report does not say."
            yield ReleaseGateFacts(name, NOT_MEASURED, says, EVALUATION)
        else:
            figures = (gate.value, gate.limit, gate.task)
            yield ReleaseGateFacts(name, gate.verdict, gate.description, EVALUATION, *figures)


def _kept(passed: bool) -> str:
    return PASSED if passed else MISSED


def _masking(state: State) -> ReleaseGateFacts:
    found, limit = state.facts_of("pii_quality"), state.project.privacy.min_recall
    says = "Personal data that was marked in texts is masked: the low end of the 95 % interval."
    if found.recall is None:
        says = "No texts are marked to measure masking on (privacy.pii_gold)."
        return ReleaseGateFacts("pii_quality", NOT_MEASURED, says, "pii_quality", None, limit)
    verdict = _kept(proven(found, limit))
    return ReleaseGateFacts("pii_quality", verdict, says, "pii_quality", found.recall_low, limit)


def _risk(state: State) -> Iterator[ReleaseGateFacts]:
    where, privacy = "reidentification_risk", state.project.privacy
    found = state.facts_of(where)
    over = too_risky(found, privacy)
    for setting, share in (
        ("max_unique", found.unique_share),
        ("max_below_5", found.below_5_share),
    ):
        limit = getattr(privacy, setting)
        verdict = NO_LIMIT if limit is None else _kept(setting not in over)
        name = f"reidentification_{setting.removeprefix('max_')}"
        yield ReleaseGateFacts(name, verdict, COVERS, where, share, limit)


def _confidentiality(state: State, learned: Path) -> ReleaseGateFacts:
    name, where = "confidentiality", "document_confidentiality"
    if not learned.exists():
        says = "Which documents it learned from was not kept."
        return ReleaseGateFacts(name, NOT_MEASURED, says, where)
    level = state.project.privacy.train_up_to
    found = above(state.layout, level, learned)
    says = f"Documents above {level} that it learned from, of those that are still there."
    return ReleaseGateFacts(name, _kept(not found["above"]), says, where, found["above"], 0)


def _answers(found: Any, limit: float) -> Iterator[ReleaseGateFacts]:
    if found.asked:
        yield from _review("answers_reject_rate", "teacher_answers", found, limit)


def _review(name: str, where: str, found: ReviewFacts, limit: float) -> Iterator[ReleaseGateFacts]:
    rate, high = found.reject_rate, found.reject_rate_high
    if rate is None or high is None:
        says = "Nobody has reviewed any of the sample."
        yield ReleaseGateFacts(name, NOT_MEASURED, says, where, None, limit)
        return
    verdict = judge(rate, high, limit)
    says = "Answers that reviewers would not accept as they are" + (
        "; so few were read that it may be more than the limit." if verdict == UNPROVEN else "."
    )
    yield ReleaseGateFacts(name, verdict, says, where, rate, limit)
    if found.kappa is not None:
        says = "Agreement of the two reviewers who share most pairs (kappa)."
        yield ReleaseGateFacts(f"{name}_kappa", NO_LIMIT, says, where, found.kappa)


def _leaks(found: LeakAuditFacts) -> ReleaseGateFacts:
    """The audit's rules were judged when it ran; how many of them are not kept to."""
    name, where = "leak_audit", "leak_audit"
    if not found.rules:
        says = "Whether it gives away what it learned from was not tried."
        return ReleaseGateFacts(name, NOT_MEASURED, says, where)
    broken = [rule for rule in found.rules if rule.verdict != PASSED]
    verdict = worst((rule.verdict for rule in broken), none=PASSED)
    says = "Rules of the leak audit that are not kept to, or not proven to be" + (
        f": {', '.join(f'{r.name} of {r.model} ({r.verdict})' for r in broken)}." if broken else "."
    )
    return ReleaseGateFacts(name, verdict, says, where, len(broken), 0)


def _latency(found: LatencyProfileFacts) -> ReleaseGateFacts:
    """The limits were judged when it was measured; how many of them are not kept to."""
    name, where = "latency", "latency_profile"
    if not found.levels:
        says = "How fast it answers on the machine that is to serve it was not measured."
        return ReleaseGateFacts(name, NOT_MEASURED, says, where)
    if not found.limits:
        says = "How fast it answers: 95 of 100 answers are whole within so many seconds."
        value = found.figures.get("p95_seconds")
        return ReleaseGateFacts(name, NO_LIMIT, says, where, value)
    broken = [one for one in found.limits if one.verdict != PASSED]
    says = "Limits of latency and memory that are not kept to, or not proven to be" + (
        f": {', '.join(f'{one.name} ({one.verdict})' for one in broken)}." if broken else "."
    )
    return ReleaseGateFacts(
        name, worst((one.verdict for one in broken), none=PASSED), says, where, len(broken), 0
    )
