"""The command line as a user runs it: in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from stillhouse.config.project import load_project

SmallProject = Callable[..., Path]


def stillhouse(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stillhouse.cli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)


def test_a_wrong_project_file_is_one_screen_without_a_stack_trace(
    small_project: SmallProject,
) -> None:
    file = small_project(tickets=5, **{"kind: classification": "kind: clasification"})
    done = stillhouse("run", "--project", file)
    assert done.returncode == 1
    assert f"{file}:" in done.stderr and "tasks[0].kind" in done.stderr
    assert "Remedy:" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 24


def test_a_missing_source_names_field_and_path(small_project: SmallProject) -> None:
    file = small_project(tickets=5, **{"path: wiki": "path: nowhere"})
    done = stillhouse("run", "--project", file, "--until", "parsed_documents")
    assert done.returncode == 1
    assert "sources[0].path" in done.stderr and "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_asset_or_teacher_lists_the_known_ones(small_project: SmallProject) -> None:
    file = small_project(tickets=5)
    done = stillhouse("run", "--project", file, "--until", "nothing")
    assert done.returncode == 1 and "soft_labels" in done.stderr
    done = stillhouse("run", "--project", file, "--teacher", "gpt")
    assert done.returncode == 1 and "small-1" in done.stderr


def test_init_writes_a_file_that_loads(tmp_path: Path) -> None:
    assert stillhouse("init", tmp_path / "mine").returncode == 0
    assert load_project(tmp_path / "mine").students[0].name == "router"
    again = stillhouse("init", tmp_path / "mine")
    assert again.returncode == 1 and "exists already" in again.stderr


def test_status_says_what_is_stale_and_why(small_project: SmallProject) -> None:
    file = small_project(tickets=20)
    before = stillhouse("status", "--project", file)
    assert before.returncode == 0, before.stderr
    assert "stale: it was never made" in before.stdout
    run = stillhouse("run", "--project", file, "--until", "parsed_documents")
    assert run.returncode == 0, run.stderr
    lines = stillhouse("status", "--project", file).stdout.splitlines()
    assert any("parsed_documents" in x and "up to date" in x for x in lines)
    (file.parent / "wiki" / "billing" / "new.md").write_text("# New\n\nSomething new stands here.")
    lines = stillhouse("status", "--project", file).stdout.splitlines()
    assert any("source_files" in x and "input files changed" in x for x in lines)


def test_doctor_finds_a_licence_that_the_policy_forbids(
    small_project: SmallProject, smollm2_wheel: Path
) -> None:
    file = small_project(tickets=5)
    good = stillhouse("doctor", "--project", file)
    assert good.returncode == 0, good.stdout
    assert "Apache-2.0, allowed by license_policy.allow" in good.stdout
    file.write_text(file.read_text() + "license_policy: {allow: [MIT]}\n")
    bad = stillhouse("doctor", "--project", file)
    assert bad.returncode == 1
    assert "license_policy.allow" in bad.stdout and "Remedy:" in bad.stdout
