"""From a measured student to the release that a server reads, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from stillhouse.cli.teachers import _refuse_released
from stillhouse.config.project import load_project
from stillhouse.config.student import Measurable
from stillhouse.errors import UserError
from stillhouse.moved import version_in_use
from stillhouse.release.channels import history, note, pointed, previous
from stillhouse.release.dossier import dossier, facts_of, files_of, held_by
from stillhouse.release.promote import Asked, propose, release, remove, rollback
from stillhouse.release.published import read_manifest, releases_of
from stillhouse.state import State
from stillhouse.storage.files import write_json
from tests.release.conftest import PROJECT, change, measured, train

WHY = Asked("wanted in the shop")
SIGNED = Asked("the shop can live with it", "Ada", ("calibrated",))
Retrain = Callable[..., None]


def verdicts(content: Mapping[str, Any]) -> dict[str, str]:
    return {gate["name"]: gate["verdict"] for gate in content["gates"]}


def proposed(state: State, version: str = "t-2") -> str:
    name, leads = propose(state, dossier(state, version, "router"))
    assert leads
    return name


def served(state: State, channel: str = "production") -> str:
    """What a server finds at the channel."""
    path = state.layout.channel("router", channel) / "quantized" / "model.safetensors"
    return path.read_text()


def test_what_was_not_measured_never_counts_as_passed(state: State) -> None:
    content = dossier(state, "t-2", "router")
    assert held_by(content) == []
    assert verdicts(content) == {
        **dict.fromkeys(("student_within_gate", "quantized_within_gate"), "passed"),
        **dict.fromkeys(("calibrated", "beats_baseline", "confidentiality"), "passed"),
        **dict.fromkeys(("reidentification_unique", "reidentification_below_5"), "no limit"),
        **dict.fromkeys(("pii_quality", "reject_rate", "answers_reject_rate"), "not measured"),
        **dict.fromkeys(("leak_audit", "latency"), "not measured"),
    }
    facts = facts_of(content, None, candidate=False)
    assert set(facts.not_measured) >= {"leak_audit", "latency", "pii_quality", "reject_rate"}


def test_every_gate_can_hold_a_student_back(state: State) -> None:
    measured(state, "t-2", calibrated=0.06)
    change(state, "pii_quality", recall=0.9, recall_low=0.4)
    change(state, "review_sample", reject_rate=0.2, reject_rate_high=0.3, kappa=0.7)
    (state.project.root / "stillhouse.yaml").write_text(
        PROJECT + "privacy: {max_unique: 0.1, train_up_to: public}\n"
    )
    limited = replace(state, project=load_project(state.project.root))
    content = dossier(limited, "t-2", "router")
    assert set(held_by(content)) == {
        *("calibrated", "pii_quality", "reject_rate", "reidentification_unique"),
        *("confidentiality", "stale"),  # another limit of what is learned from
    }
    said = {gate["name"]: gate for gate in content["gates"]}
    assert (said["calibrated"]["value"], said["calibrated"]["limit"]) == (0.06, 0.05)
    assert said["confidentiality"]["value"] == 1
    assert said["reject_rate_kappa"]["verdict"] == "no limit"


def test_what_the_project_requires_has_to_be_measured(state: State) -> None:
    text = PROJECT + "release: {require: [reject_rate, pii_quality, calibrated]}\n"
    (state.project.root / "stillhouse.yaml").write_text(text)
    asking = replace(state, project=load_project(state.project.root))
    content = dossier(asking, "t-2", "router")
    assert held_by(content) == ["pii_quality", "reject_rate"]
    assert facts_of(content, None, candidate=False).held_by == ["pii_quality", "reject_rate"]
    with pytest.raises(UserError, match=r"reject_rate is not measured \(– against 0.1\)"):
        release(asking, "router", WHY)
    change(state, "review_sample", reject_rate=0.01, reject_rate_high=0.05)
    change(state, "pii_quality", recall=0.99, recall_low=0.95)
    assert held_by(dossier(asking, "t-2", "router")) == []


def test_the_project_file_can_require_every_gate_there_is(state: State) -> None:
    change(state, "teacher_answers", "t-2", asked=9)
    names = verdicts(dossier(state, "t-2", "router"))
    assert set(names) == set(get_args(Measurable))


def rule(verdict: str) -> dict[str, Any]:
    figures = dict.fromkeys(("value", "low", "high", "control"))
    return {"name": "personal", "model": "student", "verdict": verdict, "limit": 0.1} | {
        **figures, "tried": 9, "said": "",
    }  # fmt: skip


def test_the_leak_audits_worst_rule_is_its_gate(state: State) -> None:
    for rules, verdict, value in (
        (["passed", "passed"], "passed", 0),
        (["passed", "unproven"], "unproven", 1),
        (["unproven", "missed"], "missed", 2),
    ):
        change(state, "leak_audit", "t-2", rules=[rule(v) for v in rules])
        content = dossier(state, "t-2", "router")
        assert verdicts(content)["leak_audit"] == verdict
        gate = next(g for g in content["gates"] if g["name"] == "leak_audit")
        assert (gate["value"], gate["limit"]) == (value, 0)
        assert ("personal of student (missed)" in gate["description"]) == (verdict == "missed")
        assert ("leak_audit" in held_by(content)) == (verdict == "missed")


def level() -> dict[str, Any]:
    numbers = dict.fromkeys(
        ("load", "seconds", "sent", "answered", "requests_per_second", "tokens_per_second", "late"),
        1,
    )
    return {"loop": "closed", "errors": {}, **numbers}


def test_the_limits_of_latency_are_a_gate(state: State) -> None:
    def gate(*limits: str) -> Any:
        figures = dict.fromkeys(("value", "low", "high", "limit"), 0.2)
        rows = [{"name": "max_p95_seconds", "verdict": v, "tried": 9, **figures} for v in limits]
        change(
            state, "latency_profile", "t-2", levels=[level()], limits=rows,
            figures={"p95_seconds": 0.2},
        )  # fmt: skip
        content = dossier(state, "t-2", "router")
        assert ("latency" in held_by(content)) == ("missed" in limits)
        return next(g for g in content["gates"] if g["name"] == "latency")

    assert gate()["verdict"] == "no limit" and gate()["value"] == 0.2
    assert (gate("passed")["verdict"], gate("passed")["value"]) == ("passed", 0)
    assert gate("passed", "unproven")["verdict"] == "unproven"
    missed = gate("unproven", "missed")
    assert (missed["verdict"], missed["value"]) == ("missed", 2)
    assert "max_p95_seconds (missed)" in missed["description"]


def test_a_rate_that_chance_may_explain_is_unproven(state: State) -> None:
    change(state, "review_sample", reject_rate=0.05, reject_rate_high=0.3)
    content = dossier(state, "t-2", "router")
    assert verdicts(content)["reject_rate"] == "unproven"
    assert "reject_rate" in facts_of(content, None, candidate=False).not_measured


def test_the_candidate_goes_to_production_and_the_manifest_says_what_it_is(state: State) -> None:
    name = proposed(state)
    assert pointed(state.layout, "router", "production") is None
    done = release(state, "router", WHY)
    assert (done.release, done.before) == (name, None)
    assert served(state) == served(state, "candidate") == "weights of t-2"
    manifest = read_manifest(state.layout, "router", name, files=True)
    assert manifest["teacher"]["version"] == "t-2" and manifest["license"]["duties"]
    assert manifest["created"]["user"] and manifest["code"]["quantization"]
    assert set(manifest["files"]) == {
        *("README.md", "bom.cdx.json", "evaluation.json", "calibration.json"),
        *("quantized/model.safetensors", "quantized/config.json", "quantized/provenance.json"),
    }
    folder = state.layout.release("router", name)
    said = [file.read_text() for file in folder.rglob("*") if file.is_file()]
    assert not [text for text in said if "what documents say" in text]
    (entry,) = [m for m in history(state.layout) if m.channel == "production"]
    assert (entry.after, entry.before, entry.reason) == (name, None, WHY.reason)


def test_an_older_calibration_beside_the_weights_is_released_only_where_there_is_no_other(
    state: State,
) -> None:
    folder = state.layout.student("router", "t-2")
    write_json(folder / "quantized" / "calibration.json", {"older": {}})
    assert "quantized/calibration.json" not in files_of(state, "t-2", "router")
    (folder / "calibration.json").unlink()
    assert "quantized/calibration.json" in files_of(state, "t-2", "router")


def test_the_version_in_use_is_that_of_production_and_is_not_taken_out(state: State) -> None:
    assert version_in_use(state) == "t-2"  # the newest that has a student
    proposed(state, "t-1")
    release(state, "router", asked=WHY)
    assert version_in_use(state) == "t-1"
    with pytest.raises(UserError, match="router's candidate"):
        _refuse_released(state.project, "t-1")
    _refuse_released(state.project, "t-2")


def test_the_same_student_is_the_same_release_for_ever(state: State, retrain: Retrain) -> None:
    name = proposed(state)
    kept = state.layout.release("router", name)
    before = {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in kept.rglob("*")}
    change(state, "reidentification_risk", unique_share=0.123)  # the corpus grew
    assert proposed(state) == name
    retrain(state, "t-2", "other weights")
    other = proposed(state)
    assert other != name and served(state, "candidate") == "other weights"
    assert {f: (f.stat().st_mtime_ns, f.stat().st_ino) for f in kept.rglob("*")} == before
    read_manifest(state.layout, "router", name, files=True)


def test_an_older_teachers_student_does_not_take_the_candidates_place(state: State) -> None:
    name = proposed(state, "t-2")
    older, leads = propose(state, dossier(state, "t-1", "router"))
    assert not leads and pointed(state.layout, "router", "candidate") == name
    # It is there to be asked for.
    assert release(state, "router", WHY, version="t-1").release == older
    assert served(state) == "weights of t-1"


def test_without_a_candidate_the_student_itself_is_released(state: State) -> None:
    done = release(state, "router", WHY)
    assert done.release.startswith("t-2-") and served(state) == "weights of t-2"


def test_a_missed_gate_releases_nothing_unless_somebody_answers_for_it(state: State) -> None:
    measured(state, "t-2", calibrated=0.06)
    with pytest.raises(UserError, match=r"calibrated is missed \(0.06 against 0.05\)"):
        release(state, "router", WHY)
    with pytest.raises(UserError, match="nobody answers for it"):
        release(state, "router", replace(SIGNED, by=None))
    with pytest.raises(UserError, match="nothing to override"):
        release(state, "router", replace(SIGNED, overrides=("calibrated", "latency")))
    with pytest.raises(UserError, match="it says nothing"):
        release(state, "router", Asked(" "))
    assert not state.layout.releases.exists() and list(history(state.layout)) == []
    name = release(state, "router", SIGNED).release
    manifest = read_manifest(state.layout, "router", name)
    assert manifest["overrides"] == {"calibrated": {"by": "Ada", "reason": SIGNED.reason}}
    card = (state.layout.release("router", name) / "README.md").read_text()
    assert "missed, overridden" in card and "Ada" in card and SIGNED.reason in card
    (entry,) = history(state.layout)
    assert entry.by == "Ada" and entry.user


def test_what_is_stale_is_not_released(state: State) -> None:
    name = proposed(state)
    text = PROJECT.replace("tasks: [routing]}", "tasks: [routing], distillation: {epochs: 9}}")
    (state.project.root / "stillhouse.yaml").write_text(text)
    changed = replace(state, project=load_project(state.project.root))
    with pytest.raises(UserError, match="settings changed: epochs") as caught:
        release(changed, "router", WHY)
    assert "stillhouse run" in caught.value.remedy
    assert pointed(state.layout, "router", "production") is None
    stale = dossier(changed, "t-2", "router")
    assert held_by(stale) == ["stale"] and facts_of(stale, None, candidate=False).stale
    done = release(changed, "router", Asked("it has to go out", "Ada", ("stale",)))
    assert done.release != name and served(state) == "weights of t-2"
    manifest = read_manifest(state.layout, "router", done.release, files=True)
    assert "epochs" in manifest["stale"] and manifest["overrides"]["stale"]["by"] == "Ada"


def test_a_candidate_whose_student_was_made_anew_is_stale(state: State, retrain: Retrain) -> None:
    proposed(state)
    retrain(state, "t-2", "worse weights", calibrated=0.2)
    with pytest.raises(UserError, match="the student was made anew since"):
        release(state, "router", WHY)
    # Overriding the gate means the student that there is now.
    release(state, "router", SIGNED)
    assert served(state) == "worse weights"


def test_source_files_that_moved_on_hold_nothing_back(state: State) -> None:
    moved = {**state.outside, "files": lambda *_: "a log that grew"}
    assert held_by(dossier(replace(state, outside=moved), "t-2", "router")) == []
    reviewed = {**state.outside, "reviews": lambda *_: "a filled-in review"}
    assert held_by(dossier(replace(state, outside=reviewed), "t-2", "router")) == ["stale"]


def test_rollbacks_go_back_one_by_one(state: State, retrain: Retrain) -> None:
    names = []
    for number in range(3):
        retrain(state, "t-2", f"weights {number}")
        proposed(state)
        names.append(release(state, "router", WHY).release)
    back = rollback(state.layout, "router", WHY)
    assert (back.release, back.before) == (names[1], names[2])
    assert served(state) == "weights 1"
    assert rollback(state.layout, "router", WHY).release == names[0]
    with pytest.raises(UserError, match="led to no other release before"):
        rollback(state.layout, "router", WHY)
    assert rollback(state.layout, "router", WHY, to=names[2]).release == names[2]
    actions = [m.action for m in history(state.layout) if m.channel == "production"]
    assert actions == ["release"] * 3 + ["rollback"] * 3


def test_what_was_noted_and_not_done_is_nothing_to_go_back_to(
    state: State, retrain: Retrain
) -> None:
    first = release(state, "router", WHY).release
    killed = ("release", "router", "production", first, "t-2-never-served")
    note(state.layout, *killed, by=None, reason="cut short")
    assert previous(state.layout, "router", "production") is None
    retrain(state, "t-2", "other weights")
    release(state, "router", WHY)
    assert rollback(state.layout, "router", WHY).release == first


def test_a_release_that_is_served_is_not_removed(state: State, retrain: Retrain) -> None:
    old = proposed(state)
    with pytest.raises(UserError, match="is what candidate of router leads to"):
        remove(state.layout, "router", old, WHY)
    retrain(state, "t-2", "other weights")
    proposed(state)
    remove(state.layout, "router", old, WHY)
    assert old not in releases_of(state.layout, "router")
    assert not state.layout.release_learned_from("router", old).exists()
    assert list(history(state.layout))[-1].action == "remove"


def test_a_torn_line_of_the_history_takes_nothing_with_it(state: State, retrain: Retrain) -> None:
    first = release(state, "router", WHY).release
    with state.layout.release_history.open("a") as stream:
        stream.write(json.dumps({"time": "2026"})[:-4])
    retrain(state, "t-2", "other weights")
    release(state, "router", WHY)
    assert [m.after is not None for m in history(state.layout)] == [True, True]
    assert rollback(state.layout, "router", WHY).release == first


def test_channels_move_with_the_data_directory(state: State, tmp_path: Path) -> None:
    release(state, "router", WHY)
    moved = tmp_path / "elsewhere"
    state.layout.root.rename(moved)
    link = moved / "channels" / "router" / "production"
    assert (link / "quantized" / "model.safetensors").read_text() == "weights of t-2"


def test_a_release_keeps_its_files_when_the_students_are_replaced(state: State) -> None:
    release(state, "router", WHY)
    train(state, "t-2", "something else")
    assert served(state) == "weights of t-2"
