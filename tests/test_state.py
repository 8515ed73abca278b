"""Making artefacts: once, by one writer, from what their record says, on one dataset."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.facts import ParsedDocumentsFacts, ReviewSampleFacts
from stillhouse.outside import open_state
from stillhouse.state import Artefact, State, state_of
from stillhouse.steps import STEPS
from stillhouse.storage import snapshots
from stillhouse.storage.files import write_json
from stillhouse.storage.layout import Layout
from stillhouse.storage.snapshots import (
    current_snapshot,
    pin_run,
    prune_snapshots,
    write_snapshot,
)
from stillhouse.storage.tables import write_table
from tests.made import facts_of, make_all
from tests.test_steps import write

PARSED = Artefact(STEPS["parsed_documents"])


@pytest.fixture
def state(tmp_path: Path) -> State:
    return make_all(write(tmp_path))


def facts(digest: str) -> ParsedDocumentsFacts:
    return facts_of(ParsedDocumentsFacts, digest=digest)  # type: ignore[no-any-return]


def outdated(state: State) -> State:
    """The same project after a setting of parsing changed."""
    return write(state.project.root, ("sources.0.strip_quotes", False))


def test_what_is_up_to_date_is_reused_and_waits_for_nothing(state: State) -> None:
    from stillhouse.storage.locks import exclusive

    def fail(*_: Any) -> Any:
        raise AssertionError

    heavy = Artefact(STEPS["soft_labels"], "v1")
    with exclusive(state.layout.lock("gpu"), "another run"):
        assert state.make(PARSED, fail)[1] is True
        assert state.make(heavy, fail)[1] is True


def test_how_long_it_took_is_recorded(state: State) -> None:
    record, _ = outdated(state).make(PARSED, lambda *_: time.sleep(0.05) or facts("made"))
    assert record.seconds is not None and 0.05 <= record.seconds < 60
    assert state.record(PARSED) == record


def test_inputs_that_change_while_it_is_made_make_it_again(state: State) -> None:
    changed = outdated(state)
    calls: list[int] = []

    def make(folder: Path, recipe: Any) -> ParsedDocumentsFacts:
        calls.append(1)
        if len(calls) == 1:  # another process ingests meanwhile
            source = Artefact(STEPS["source_files"])
            record = changed.record(source)
            assert record is not None
            replace(record, facts={**record.facts, "digest": "later"}).write(changed.folder(source))
        return facts("new")

    record, reused = changed.make(PARSED, make)
    assert (len(calls), reused) == (2, False)
    assert record.recipe.inputs["source_files"] == "later"


def test_a_read_error_that_may_pass_is_tried_again(state: State) -> None:
    record = state.record(PARSED)
    assert record is not None
    facts = {**record.facts, "quarantined_by_category": {"unreadable": 2, "corrupt": 1}}
    replace(record, facts=facts).write(state.folder(PARSED))
    assert state.why_stale(PARSED) == "2 files could not be read and are tried again"
    assert state.make(PARSED, lambda *_: facts_of(PARSED.step.facts))[1] is False
    assert state.why_stale(PARSED) is None


def test_inputs_that_never_rest_are_told(state: State) -> None:
    changed = outdated(state)
    number = iter(range(100))
    restless = replace(
        changed, outside={"files": lambda *_: "x", "pseudonym_key": lambda *_: str(next(number))}
    )
    masked = Artefact(STEPS["masked_documents"])
    with pytest.raises(UserError, match="its inputs changed each of 3 times"):
        restless.make(masked, lambda *_: facts_of(masked.step.facts))


def test_a_failure_leaves_no_record_of_what_was_there_before(state: State) -> None:
    """The parsed table may have been replaced by garbage before its step failed."""
    changed = outdated(state)

    def fail(folder: Path, recipe: Any) -> Any:
        (folder / "data.parquet").write_text("garbage")
        raise UserError("everything went to quarantine", remedy="look there")

    with pytest.raises(UserError):
        changed.make(PARSED, fail)
    assert write(state.project.root).why_stale(PARSED) == "not made yet"


SECOND = """
import sys, time
from pathlib import Path
from tests.test_state import PARSED, facts, outdated
from tests.test_steps import write
state = write(Path(sys.argv[1]), ("sources.0.strip_quotes", False))
def make(folder, recipe):
    time.sleep(1)
    with open(sys.argv[2], "a") as log:
        log.write("made\\n")
    return facts("new")
print(state.make(PARSED, make)[1])
"""


def test_two_runs_at_once_make_it_once(state: State, tmp_path: Path) -> None:
    outdated(state)
    command = [sys.executable, "-c", SECOND, str(state.project.root), str(tmp_path / "log")]
    root = Path(__file__).resolve().parent.parent
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(2)
    ]
    reused = sorted(child.communicate()[0].strip() for child in children)
    assert reused == ["False", "True"]
    assert (tmp_path / "log").read_text() == "made\n"


def snapshot_of(layout: Layout, digest: str, **digests: str) -> None:
    """A dataset as its step leaves it: table, record and snapshot."""
    import pyarrow as pa

    state = State(load_project(layout.root.parent))
    splits = {"train": "t", "validation": "v", "test": "s"} | digests
    found = facts_of(STEPS["dataset_splits"].facts, digest=digest, digests=splits)
    write_table(layout.table("dataset_splits"), pa.table({"pair_id": [digest]}))
    artefact = Artefact(STEPS["dataset_splits"])
    record = state.record(artefact)
    assert record is not None
    replace(record, facts=vars(found)).write(state.folder(artefact))
    write_snapshot(layout, vars(found), lambda path: write_json(path, {}))


def test_a_run_keeps_the_dataset_that_it_began_with(state: State) -> None:
    layout = state.layout
    snapshot_of(layout, "one")
    first = state_of(state.project, {}, run_id="run-1")
    snapshot_of(layout, "two", train="t2")
    again = state_of(state.project, {}, run_id="run-1")
    assert first.snapshot is not None and again.snapshot is not None
    assert again.snapshot.digest == first.snapshot.digest == "one"
    assert again.facts_of("dataset_splits").digests["train"] == "t"
    other = state_of(state.project, {}, run_id="run-2")
    assert other.facts_of("dataset_splits").digests["train"] == "t2"
    pin_run(layout, "run-1", "two")  # its own ingest made another dataset
    found = current_snapshot(layout, "run-1")
    assert found is not None and found.digest == "two"


def test_a_run_whose_snapshot_is_gone_takes_the_present_one(state: State) -> None:
    layout = state.layout
    snapshot_of(layout, "one")
    assert current_snapshot(layout, "run-1")
    snapshot_of(layout, "two")
    layout.snapshot("one").with_suffix(".json").unlink()
    found = current_snapshot(layout, "run-1")
    assert found is not None and found.digest == "two"
    assert layout.pin("run-1").read_text() == "two"


def test_no_snapshot_goes_between_its_choice_and_its_note(
    state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process prunes at the very moment in which a run notes what it works on."""
    layout = state.layout
    snapshot_of(layout, "one")
    write = snapshots.pin_run
    pruned = threading.Event()

    def prune() -> None:
        prune_snapshots(layout, lambda run_id: False)
        pruned.set()

    def meanwhile(*arguments: Any) -> None:
        snapshot_of(layout, "two")
        thread = threading.Thread(target=prune)
        thread.start()
        assert not pruned.wait(0.3)  # it waits until the note is written
        write(*arguments)

    monkeypatch.setattr(snapshots, "pin_run", meanwhile)
    found = current_snapshot(layout, "run-1")
    assert found is not None and found.digest == "one"
    assert pruned.wait(10)
    assert found.path.exists()


def test_snapshots_go_when_no_unfinished_run_needs_them(state: State) -> None:
    layout = state.layout
    snapshot_of(layout, "one")
    current_snapshot(layout, "run-1")
    snapshot_of(layout, "two")
    prune_snapshots(layout, lambda run_id: False)
    assert layout.snapshot("one").exists() and layout.snapshot("two").exists()
    prune_snapshots(layout, lambda run_id: True)
    names = {p.name for p in layout.snapshot("x").parent.iterdir() if p.is_file()}
    assert names == {"two.parquet", "two.lineage.parquet", "two.json"}


def test_models_of_different_datasets_are_never_mixed(state: State) -> None:
    report = Artefact(STEPS["evaluation_report"], "v1", "small")
    snapshot_of(state.layout, "one", train="digest of train", validation="digest of validation")
    same = state_of(state.project, {})
    # Other test pairs: the audit looks at them, too, and comes first.
    with pytest.raises(UserError, match="small/leak_audit"):
        same.make(report, lambda *_: facts_of(report.step.facts))
    audit = report.beside("leak_audit")
    same.make(audit, lambda *_: facts_of(audit.step.facts))
    assert same.make(report, lambda *_: facts_of(report.step.facts))[1] is False
    snapshot_of(state.layout, "two", train="more", validation="digest of validation")
    moved = write(state.project.root, ("gates.max_ece", 0.5))
    with pytest.raises(UserError) as caught:
        moved.make(report, lambda *_: facts_of(report.step.facts))
    for name in ("adapted_teacher [v1]", "small/checkpoint [v1]", "small/quantized_model [v1]"):
        assert name in caught.value.message
    assert "stillhouse run" in caught.value.remedy


def test_a_new_test_pair_leaves_what_was_trained_as_it_is(state: State) -> None:
    names = ("train", "validation", "unlabelled")
    digests = {name: f"digest of {name}" for name in names}
    snapshot_of(state.layout, "two", **digests, test="one more")
    now = state_of(state.project, {})
    assert {a.name for a in now.artefacts() if now.why_stale(a)} == {
        *("small/evaluation_report", "big/evaluation_report"),
        *("small/leak_audit", "big/leak_audit"),  # which compares it with what was learned
        *("small/drift_report", "big/drift_report"),  # traffic is compared with it, too
    }


def test_a_missing_input_names_what_to_do(tmp_path: Path) -> None:
    state = write(tmp_path)
    review = Artefact(STEPS["review_sample"])
    assert state.why_stale(review) == "not made yet"
    with pytest.raises(UserError, match="instruction_pairs was not made yet"):
        state.make(review, lambda *_: ReviewSampleFacts("x", 1))


def test_the_outside_is_looked_at_without_making_anything(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "wiki").mkdir()
    (tmp_path / "wiki" / "a.md").write_text("# A\n\nText")
    (tmp_path / "t.jsonl").write_text('{"body": "x", "queue": "y"}\n')
    state = open_state(load_project(tmp_path))
    assert set(state.statuses().values()) == {"not made yet"}
    assert not (tmp_path / "var").exists()
