"""The check of masking stops what would learn from its texts, on a real instance."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from stillhouse.definitions import build_defs

QUICK = "{entities: [EMAIL_ADDRESS], pii_gold: gold.jsonl, min_recall: %s}"


@pytest.fixture
def run(small_project: Callable[..., Path]) -> Callable[[str], dg.ExecuteInProcessResult]:
    """Runs `pii_quality` and `instruction_pairs` with a section `privacy`; what the latter needs
    besides was not made, so it fails where it is not stopped before."""
    file = small_project(tickets=5)
    lines = [{"text": f"mail a{n}@acme.example", "spans": [[5, 20, "EMAIL"]]} for n in range(20)]
    lines[0] = {"text": "Ann Lee was here", "spans": [[0, 7, "PERSON"]]}
    (file.parent / "gold.jsonl").write_text("\n".join(map(json.dumps, lines)))
    text = file.read_text()

    def run(privacy: str) -> dg.ExecuteInProcessResult:
        file.write_text(f"{text}privacy: {privacy}\n" if privacy else text)
        with dg.DagsterInstance.ephemeral() as instance:
            return (
                build_defs(file)
                .resolve_job_def("ingest")
                .execute_in_process(
                    instance=instance,
                    asset_selection=[dg.AssetKey("pii_quality"), dg.AssetKey("instruction_pairs")],
                    raise_on_error=False,
                )
            )

    return run


def outcome(done: dg.ExecuteInProcessResult) -> tuple[bool, bool]:
    """Whether the check passed, and whether the pairs were begun."""
    (check,) = [e for e in done.get_asset_check_evaluations() if e.check_name == "recall_is_proven"]
    begun = {e.step_key for e in done.all_events if e.event_type_value == "STEP_START"}
    return check.passed, "instruction_pairs" in begun


def test_too_little_masked_stops_the_pairs_and_nothing_is_measured_twice(
    run: Callable[[str], dg.ExecuteInProcessResult],
) -> None:
    # 19 of 20 are masked: 0.95, of which 0.76 is certain.
    missed = run(QUICK % 0.9)
    assert outcome(missed) == (False, False)
    enough = run(QUICK % 0.7)
    assert outcome(enough) == (True, True)
    reused = [
        made.metadata["reused"].value
        for done in (missed, enough)
        for made in done.asset_materializations_for_node("pii_quality")
    ]
    assert reused == [False, True]


def test_without_marked_texts_it_warns_and_stops_nothing(
    run: Callable[[str], dg.ExecuteInProcessResult],
) -> None:
    done = run("")
    assert outcome(done) == (False, True)
    (check,) = [e for e in done.get_asset_check_evaluations() if e.check_name == "recall_is_proven"]
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "unknown" in str(check.description)
