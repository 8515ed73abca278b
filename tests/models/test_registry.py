"""What a mirror job puts into the registry becomes a teacher version, once it is there whole."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError
from stillhouse.models import registry
from stillhouse.models.admission import admit, refuse_edited
from stillhouse.models.fetch import source_digest
from stillhouse.models.registry import Candidate, look, take_back, take_out
from stillhouse.outside import open_state
from stillhouse.state import Artefact
from stillhouse.steps import STEPS
from tests.made import MINIMAL

REAL_TIME = time.time
CARD = "---\nlicense: apache-2.0\n---\n# A model\n"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("made") / "v2")
    (folder / "README.md").write_text(CARD)
    return folder


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory, whole: Path) -> Path:
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("sharded") / "v2"
    shutil.copytree(whole, folder)
    (folder / "model.safetensors").unlink()
    AutoModelForCausalLM.from_pretrained(whole).save_pretrained(folder, max_shard_size="50KB")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    found = load_project(tmp_path)
    found.registry.mkdir(parents=True)
    return found


def mirrored(project: Project, whole: Path, name: str = "v2") -> Path:
    return Path(shutil.copytree(whole, project.registry / name))


def one(project: Project, **how: Any) -> Candidate:
    (found,) = look(project, **{"quiet": 0.0, **how})
    return found


def patient(project: Project, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """As if that much time had gone by since the last look."""
    now = REAL_TIME()
    monkeypatch.setattr(registry.time, "time", lambda: now + seconds)


def test_a_whole_folder_becomes_a_version_without_an_edit_of_the_project_file(
    project: Project, whole: Path
) -> None:
    folder = mirrored(project, whole)
    before = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    found = one(project)
    assert (found.version, found.state, found.reason) == ("v2", "complete", "")

    file = project.registered / "v2.yaml"
    written = yaml.safe_load(file.read_text())
    assert written["license"] == "Apache-2.0" and written["model"] == "registry:v2"
    about = written["found"]
    config = json.loads((whole / "config.json").read_text())
    assert about["architecture"] == "LlamaForCausalLM" and about["precision"] == "F32"
    assert about["vocabulary"] == config["vocab_size"] and about["chat_template"] is False
    assert about["bytes"] == (whole / "model.safetensors").stat().st_size
    assert about["license_stated"] == ["Apache-2.0 (README.md)"]
    from stillhouse.models.weights import count_parameters

    assert about["parameters"] == count_parameters(whole)

    again = load_project(project.file)
    assert [t.version for t in again.teachers] == ["t-1", "v2"]
    teacher = again.teacher("v2")
    assert admit(teacher, again, None).licence.licence == "Apache-2.0"
    # As the run itself finds it; what lies there was not touched.
    artefact = Artefact(STEPS["teacher_model"], "v2")
    recipe = open_state(again).recipe(artefact)
    assert recipe.inputs["source"] == found.digest == about["digest"]
    refuse_edited(teacher, None, recipe)
    after = {f.name: f.stat().st_mtime_ns for f in folder.iterdir() if f.name != "source.json"}
    assert after == before
    assert one(again).state == "complete"


def test_versions_follow_each_other_by_the_time_they_were_found(
    project: Project, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirrored(project, whole, "v9")
    look(project, quiet=0.0)
    mirrored(project, whole, "v10")
    later = registry._now().replace(year=2099)
    monkeypatch.setattr(registry, "_now", lambda: later)
    assert [c.state for c in look(load_project(project.file), quiet=0.0)] == ["complete"] * 2
    assert [t.version for t in load_project(project.file).teachers] == ["t-1", "v9", "v10"]


def test_without_a_marker_it_waits_until_nobody_touches_it(
    project: Project, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mirrored(project, whole)
    assert "untouched for 0 of 60 seconds" in one(project, quiet=60.0).reason
    patient(project, monkeypatch, 40.0)
    (folder / "README.md").write_text(CARD + "more\n")
    assert "untouched for 0 of" in one(project, quiet=60.0).reason
    patient(project, monkeypatch, 90.0)
    assert "untouched for 50 of" in one(project, quiet=60.0).reason
    patient(project, monkeypatch, -5000.0)  # the clock was set back
    assert "untouched for 0 of" in one(project, quiet=60.0).reason
    patient(project, monkeypatch, -4900.0)
    assert one(project, quiet=60.0).state == "complete"


def test_a_marker_says_that_all_is_there(project: Project, whole: Path) -> None:
    (mirrored(project, whole) / ".complete").touch()
    assert one(project, quiet=60.0).state == "complete"


@pytest.mark.parametrize(
    "name",
    [
        ".model.safetensors.Xy12ab",
        "model.safetensors.part",
        ".cache/huggingface/download/abc.incomplete",
    ],
)
def test_what_a_tool_has_not_finished_is_waited_for(
    project: Project, whole: Path, name: str
) -> None:
    folder = mirrored(project, whole)
    (folder / ".complete").touch()
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"")
    found = one(project)
    assert (found.state, found.reason) == ("waiting", f"{name} is still being written")
    assert not (project.registered / "v2.yaml").exists()
    (folder / name).unlink()
    assert one(project).state == "complete"


@pytest.mark.parametrize("lacking", ["shard", "cut shard", "config", "tokenizer", "all"])
def test_half_copied_is_waited_for_and_refused_when_it_stays_so(
    project: Project, sharded: Path, lacking: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = mirrored(project, sharded)
    last = sorted(folder.glob("*.safetensors"))[-1]
    name = {"config": "config.json", "tokenizer": "tokenizer.json"}.get(lacking, last.name)
    content = (folder / name).read_bytes()
    if lacking == "all":
        shutil.rmtree(folder)
        folder.mkdir()
    elif lacking == "cut shard":
        (folder / name).write_bytes(content[:-10])
    else:
        (folder / name).unlink()
    found = one(project)
    assert found.state == "waiting"
    if lacking == "all":
        assert found.reason == "nothing is in it yet"
        return
    assert {"config": "no weights", "tokenizer": "tokenizer can't be read"}.get(
        lacking, name
    ) in found.reason
    patient(project, monkeypatch, 3600.0)
    refused = one(project)
    assert refused.state == "refused"
    assert any(f"Remedy: {todo}" in refused.reason for todo in ("bring", "name a folder"))
    assert [t.version for t in load_project(project.file).teachers] == ["t-1"]
    (folder / name).write_bytes(content)
    assert one(project).state == "complete"


def edit_config(folder: Path, **changes: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def poison(folder: Path) -> None:
    from safetensors.numpy import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = sorted(weights)[3]
    weights[name].reshape(-1)[-1] = np.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def no_card(folder: Path) -> None:
    (folder / "README.md").unlink()


def two_licences(folder: Path) -> None:
    (folder / "LICENSE").write_text(
        "MIT License\n\nPermission is hereby granted, free of charge, to any person obtaining"
    )


@pytest.mark.parametrize(
    ("damage", "reason", "remedy"),
    [
        (poison, "infinite or no numbers (NaN)", "the model is broken where it was made"),
        (pickled, "pickled weights only", "take the safetensors"),
        (
            lambda f: edit_config(f, model_type="house-made", auto_map={"AutoConfig": "x.Y"}),
            "Python code of the model's own",
            "that transformers supports itself",
        ),
        (lambda f: edit_config(f, model_type="t5"), "not a causal", "decoder-only"),
        (
            lambda f: edit_config(f, vocab_size=200),
            "its tokenizer is another model's (it numbers tokens up to 255",
            "of the very model",
        ),
        (
            lambda f: edit_config(f, eos_token_id=128_001),
            "another model's (config.json names token 128001",
            "of the very model",
        ),
        (
            lambda f: edit_config(f, vocab_size=32_000),
            "another model's (it knows 259 tokens",
            "of the very model",
        ),
        (no_card, "state no licence", "write `license: NAME`"),
        (two_licences, "several licences: MIT (LICENSE), Apache-2.0 (README.md)", "license: NAME"),
        (
            lambda f: (f / "README.md").write_text("---\nlicense: gemma\n---\n"),
            "does not have gemma",
            "verify at the primary source",
        ),
    ],
)  # fmt: skip
def test_a_bad_folder_is_refused_with_the_reason_and_becomes_no_version(
    project: Project, whole: Path, damage: Callable[[Path], None], reason: str, remedy: str
) -> None:
    folder = mirrored(project, whole)
    damage(folder)
    found = one(project)
    assert found.state == "refused" and found.teacher is None
    assert reason in found.reason and remedy in found.reason
    assert one(project) == found
    assert not (project.registered / "v2.yaml").exists()
    shutil.rmtree(folder)
    mirrored(project, whole)
    assert one(project).state == "complete"


def test_a_claim_that_differs_from_what_the_files_say_is_refused(
    project: Project, whole: Path
) -> None:
    mirrored(project, whole)
    file = project.registered / "v2.yaml"
    file.write_text("license: MIT\n")
    assert "license says MIT, but the model states Apache-2.0" in one(project).reason
    file.write_text("# asked\nlicense: Apache-2.0\nadapt: {method: none}\n")
    assert one(project).state == "complete"
    assert file.read_text().startswith("# asked\nlicense: Apache-2.0\nadapt: {method: none}\n")
    assert load_project(project.file).teacher("v2").adapt.method == "none"


def test_a_licence_that_changes_later_stops_the_next_run(project: Project, whole: Path) -> None:
    folder = mirrored(project, whole)
    one(project)
    again = load_project(project.file)
    teacher = again.teacher("v2")
    admit(teacher, again, None)
    (folder / "README.md").write_text("---\nlicense: llama3.2\n---\n")
    with pytest.raises(UserError, match=r"the model states llama3\.2"):
        admit(teacher, again, None)
    assert one(again).state == "refused"
    (folder / "README.md").write_text(CARD)
    project.file.write_text(MINIMAL + "license_policy: {allow: [MIT]}\n")
    stricter = load_project(project.file)
    with pytest.raises(UserError, match=r"does not have Apache-2\.0"):
        admit(teacher, stricter, None)
    assert one(stricter).state == "refused"


def test_a_version_whose_files_change_is_refused(project: Project, whole: Path) -> None:
    folder = mirrored(project, whole)
    first = one(project)
    edit_config(folder, rope_theta=1.0)
    again = load_project(project.file)
    found = one(again)
    assert found.state == "refused" and "its files changed since" in found.reason
    assert "stillhouse teachers remove v2" in found.reason
    recipe = open_state(again).recipe(Artefact(STEPS["teacher_model"], "v2"))
    with pytest.raises(UserError, match="not those that were found"):
        refuse_edited(again.teacher("v2"), None, recipe)

    assert take_out(again, "v2", "anna")
    assert [t.version for t in load_project(project.file).teachers] == ["t-1"]
    gone = one(load_project(project.file))
    assert gone.state == "removed" and "taken out by anna" in gone.reason
    take_back(project, "v2")
    second = one(load_project(project.file))
    assert second.state == "complete" and second.digest != first.digest


def test_files_that_were_only_touched_are_the_same_version(project: Project, whole: Path) -> None:
    folder = mirrored(project, whole)
    digest = one(project).digest
    for file in folder.iterdir():
        os.utime(file, (1, 1))
    assert one(load_project(project.file)).digest == digest


def test_results_and_hidden_things_among_the_teachers_are_no_versions(
    project: Project, whole: Path
) -> None:
    mirrored(project, whole)
    digest = one(project).digest
    again = load_project(project.file)
    # The version's own results beside its files, and those of one that lies elsewhere.
    for name in ("v2", "t-1"):
        for part in ("model", "adapted"):
            shutil.copytree(whole, project.registered / name / part)
            card = project.registered / name / part / "README.md"
            card.write_text("---\nlicense: gemma\n---\n")
    (project.registered / "t-1" / "source.json").write_text("{}")
    (project.registered / ".trash").mkdir()
    found = one(again)
    assert (found.version, found.state, found.digest) == ("v2", "complete", digest)
    known = project.data_path / "known.json"
    assert source_digest("registry:v2", Path(), None, project.registry, known=known) == digest


def test_a_name_of_the_project_file_or_no_name_is_left_alone(project: Project, whole: Path) -> None:
    mirrored(project, whole, "t-1")
    mirrored(project, whole, "Qwen 3")
    found = look(project, quiet=0.0)
    assert [c.state for c in found] == ["refused", "refused"]
    assert "lower-case letters" in found[0].reason and "stands there" in found[1].reason


def test_a_folder_elsewhere_is_read_and_never_written_to(
    project: Project, whole: Path, tmp_path: Path
) -> None:
    shutil.copytree(whole, tmp_path / "share" / "v2")
    project.file.write_text(MINIMAL + "teacher_registry: share\n")
    before = sorted(f.name for f in (tmp_path / "share").rglob("*"))
    elsewhere = load_project(project.file)
    assert one(elsewhere).state == "complete"
    assert sorted(f.name for f in (tmp_path / "share").rglob("*")) == before
    again = load_project(project.file)
    assert admit(again.teacher("v2"), again, None).source == tmp_path / "share" / "v2"
    assert (project.registered / "v2.yaml").exists()
    (tmp_path / "share").rename(tmp_path / "gone")
    with pytest.raises(UserError, match=r"teacher_registry: .*: can't be read"):
        look(again)
    (tmp_path / "gone").rename(tmp_path / "share")
    assert one(again).state == "complete"


def test_weights_are_read_on_at_the_next_look(project: Project, sharded: Path) -> None:
    mirrored(project, sharded)
    first = one(project, seconds=-1.0)
    assert (first.state, first.reason[:17]) == ("waiting", "being read: 0 of ")
    assert one(project).state == "complete"


def test_a_versions_file_that_is_wrong_says_where_and_leaves_the_others(
    project: Project, whole: Path
) -> None:
    mirrored(project, whole)
    one(project)
    file = project.registered / "v2.yaml"
    text = file.read_text()
    file.write_text(text.replace("license:", "licence:"))
    again = load_project(project.file)
    assert [t.version for t in again.teachers] == ["t-1"]
    with pytest.raises(UserError, match=r"v2\.yaml:\d+: licence: there is no such field"):
        again.teacher("v2")
    assert one(again).state == "refused"
    file.write_text(text.replace("registry:v2", "hf:house/other"))
    assert "another model belongs into the project file" in one(again).reason
    file.write_text(text)
    assert one(again).state == "complete"


def test_a_teacher_that_does_not_fit_the_projects_settings_is_left_out(
    project: Project, whole: Path
) -> None:
    mirrored(project, whole)
    (project.registered / "v2.yaml").write_text("adapt: {method: none}\n")
    one(project)
    project.file.write_text(MINIMAL + "soft_labels: {encoding: top_k}\n")
    again = load_project(project.file)
    assert [t.version for t in again.teachers] == ["t-1"]
    with pytest.raises(UserError, match="top_k keeps a teacher's next tokens"):
        again.teacher("v2")
