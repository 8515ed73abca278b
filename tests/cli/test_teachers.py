"""`stillhouse teachers`, on a project without anything but a registry."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stillhouse.cli.main import app
from stillhouse.errors import UserError
from tests.made import MINIMAL


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, write_tiny_model: Callable[..., Path]) -> Path:
    folder = write_tiny_model(tmp_path_factory.mktemp("made") / "v2")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    return folder


@pytest.fixture
def teachers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    (tmp_path / "stillhouse.yaml").write_text(MINIMAL)
    (tmp_path / "var" / "teachers").mkdir(parents=True)
    monkeypatch.setenv("DAGSTER_HOME", "")
    monkeypatch.delenv("DAGSTER_HOME")

    def call(*arguments: str, answer: str | None = None) -> Result:
        command = ["teachers", *arguments, "-p", str(tmp_path)]
        done = CliRunner().invoke(app, command, input=answer)
        monkeypatch.delenv("DAGSTER_HOME", raising=False)
        if isinstance(done.exception, UserError):
            raise done.exception
        return done

    return call


def test_from_the_folder_to_a_version_and_out_again(
    teachers: Callable[..., Result], whole: Path, tmp_path: Path
) -> None:
    registry = tmp_path / "var" / "teachers"
    shutil.copytree(whole, registry / "v2")
    shutil.copytree(whole, registry / "v3")
    (registry / "v3" / "tokenizer.json.part").touch()
    shown = teachers("list").stdout
    assert "t-1" in shown and "not materialized" in shown
    assert "waiting: untouched for 0 of 60 seconds" in shown
    assert "waiting: tokenizer.json.part is still being written" in shown
    with pytest.raises(UserError, match=r"v3: waiting: tokenizer\.json\.part"):
        teachers("add", "v3")
    with pytest.raises(UserError, match="there is no version 'v4'"):
        teachers("add", "v4")

    assert "Added t-1, v2." in teachers("add", "v2").stdout
    shown = teachers("list").stdout
    assert "registry:v2, Apache-2.0" in shown
    assert "LlamaForCausalLM" in shown and "no chat template" in shown

    # Results of it and of its students go; what the mirror brought stays.
    for made in ("teachers/v2/model", "students/router/v2/current"):
        (tmp_path / "var" / made).mkdir(parents=True)
    aborted = teachers("remove", "v2", answer="n\n")
    assert aborted.exit_code == 1 and "students/router/v2" in aborted.stdout
    assert (registry / "v2" / "model").exists()
    assert "Removed v2: 3 folders, 0 runs." in teachers("remove", "v2", "--yes").stdout
    assert not (registry / "v2" / "model").exists()
    assert not (tmp_path / "var" / "students" / "router" / "v2").exists()
    assert (registry / "v2" / "model.safetensors").exists()
    assert "removed: taken out by" in teachers("list").stdout
    assert "All versions were registered already." in teachers("add").stdout
    assert "Added v2." in teachers("add", "v2").stdout


def test_a_partition_of_no_teacher_can_be_removed_and_one_of_the_file_cannot(
    teachers: Callable[..., Result], tmp_path: Path
) -> None:
    from stillhouse.config.project import load_project
    from stillhouse.instance import open_instance

    with open_instance(load_project(tmp_path)) as instance:
        instance.add_dynamic_partitions("teacher_version", ["T one/../../wiki"])
    (tmp_path / "wiki").mkdir()
    assert "0 folders" in teachers("remove", "T one/../../wiki", "--yes").stdout
    assert (tmp_path / "wiki").exists()
    with pytest.raises(UserError, match="there is no teacher version"):
        teachers("remove", "T one/../../wiki", "--yes")
    with pytest.raises(UserError, match="t-1 stands there"):
        teachers("remove", "t-1", "--yes")
