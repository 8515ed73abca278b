"""The verdict of a leak audit as a check of its asset."""

from __future__ import annotations

from stillhouse.assets.leak_audit import _check
from stillhouse.audit.bounds import rate
from stillhouse.audit.verdict import judge, worst
from stillhouse.facts import LeakAuditFacts
from tests.made import facts_of


def audited(*found: int) -> LeakAuditFacts:
    rules = [judge("personal", f"model {i}", rate(n, 2000), 0.005) for i, n in enumerate(found)]
    figures = {f"{rule.model}_{rule.name}": rule.value for rule in rules}
    return facts_of(LeakAuditFacts, rules=rules, verdict=worst(rules), figures=figures)


def test_a_student_that_leaks_misses_the_check_and_is_named() -> None:
    kept = _check(audited(0, 1))
    assert kept.passed and kept.description == "All 2 rules are kept to."
    missed = _check(audited(0, 40))
    assert (
        not missed.passed and missed.description == "Of 2 rules, 1 is missed: personal (model 1)."
    )
    assert missed.metadata["model 1_personal"].value == 0.02
    assert missed.metadata["verdict"].value == "missed"


def test_a_rule_that_is_not_proven_fails_in_the_words_of_every_other_limit() -> None:
    found = _check(audited(0, 6))
    assert not found.passed and found.metadata["verdict"].value == "too few to tell"
