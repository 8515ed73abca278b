"""The command line as a user runs it: in a process of its own."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from stillhouse.cli.main import app
from stillhouse.config.project import load_project
from stillhouse.instance import open_instance
from stillhouse.storage.tables import write_table
from tests.forked import start, stillhouse

SmallProject = Callable[..., Path]


@dataclass
class Ingested:
    """A project with a file that can't be read, before a run until `parsed_documents` and after."""

    file: Path
    before: subprocess.CompletedProcess[str]
    run: subprocess.CompletedProcess[str]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory, write_project: SmallProject) -> Ingested:
    file = write_project(tmp_path_factory.mktemp("ingested"), tickets=20)
    (file.parent / "wiki" / "billing" / "broken.pdf").write_bytes(b"%PDF-1.4 nothing of the kind")
    before = stillhouse("status", "--check", "--project", file)
    run = stillhouse("run", "--project", file, "--until", "parsed_documents")
    assert run.returncode == 0, run.stderr
    return Ingested(file, before, run)


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


def test_a_backfill_makes_a_run_a_version_and_goes_on_after_one_that_fails(
    small_project: SmallProject, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")  # so that the test gives back what it finds
    monkeypatch.delenv("DAGSTER_HOME")
    file = small_project(tickets=20)
    lines = file.read_text(encoding="utf-8").partition("teachers:\n")
    others = f"""\
  - {{version: gone-1, model: models/gone, license: MIT}}
  - {{version: tiny-1, model: {tiny_base}, license: MIT, adapt: {{layers: 1}}}}
"""
    file.write_text("".join((*lines[:2], others, lines[2])), encoding="utf-8")
    command = ("run", "-p", file, "--until", "teacher_model", "--teacher")
    done = stillhouse(*command, "gone-1", "--teacher", "tiny-1", "--teacher", "tiny-1")
    assert done.returncode == 1, done.stderr
    assert "Failed: gone-1" in done.stderr and "models/gone" in done.stderr
    assert "Traceback" not in done.stderr
    project = load_project(file)
    with open_instance(project) as instance:
        runs = [run.tags.get("dagster/partition") for run in instance.get_runs()]
        made = instance.get_materialized_partitions(dg.AssetKey("teacher_model"))
    assert sorted(filter(None, runs)) == ["gone-1", "tiny-1"]
    assert made == {"tiny-1"}


def test_init_writes_a_file_that_loads(tmp_path: Path) -> None:
    assert stillhouse("init", tmp_path / "mine").returncode == 0
    assert load_project(tmp_path / "mine").students[0].name == "router"
    again = stillhouse("init", tmp_path / "mine")
    assert again.returncode == 1 and "exists already" in again.stderr


def test_status_says_what_is_stale_and_why(ingested: Ingested) -> None:
    file, before = ingested.file, ingested.before
    assert before.returncode == 4, before.stderr
    assert "not made yet" in before.stdout and "stale" not in before.stdout
    lines = stillhouse("status", "--project", file).stdout.splitlines()
    assert any("parsed_documents" in x and "up to date" in x for x in lines)
    (file.parent / "wiki" / "billing" / "new.md").write_text("# New\n\nSomething new stands here.")
    found = stillhouse("status", "--check", "--project", file)
    assert "input files changed" in found.stdout
    assert "source_files above it is not up to date" in found.stdout
    assert found.returncode == 4
    assert all(len(line) <= 80 for line in found.stdout.splitlines())


def test_what_a_run_prints_fits_the_terminal_and_counts_the_quarantine(ingested: Ingested) -> None:
    run = ingested.run
    assert run.stdout.startswith("small: distilling from small-1")
    assert "passed  parsed_documents: no_unaccounted_parse_loss" in run.stdout
    assert "Quarantined: 2 (" in run.stdout  # one of them is the sample's own
    shown = [line for line in run.stdout.splitlines() if str(ingested.file.parent) not in line]
    assert all(len(line) <= 80 for line in shown)


def test_two_runs_at_once_lose_and_double_nothing(small_project: SmallProject) -> None:
    file = small_project(tickets=20)
    runs = []
    for name in ("one", "other"):
        output = file.parent / name
        output.mkdir()
        runs.append(start("run", "-p", file, "--until", "unique_documents", output=output))
    codes = [run.wait(timeout=300) for run in runs]
    outputs = [run.stdout.read_text() + run.stderr.read_text() for run in runs]
    assert codes == [0, 0], outputs
    assert any("waiting for process" in " ".join(output.split()) for output in outputs)
    tables = file.parent / "var" / "tables"
    parsed = pq.read_table(tables / "parsed_documents" / "data.parquet")
    masked = pq.read_table(tables / "masked_documents" / "data.parquet")
    documents = [d for d in parsed["doc_id"].to_pylist() if d]
    assert len(documents) == len(set(documents)) > 20
    assert sorted(masked["doc_id"].to_pylist()) == sorted(documents)


def test_a_file_name_cannot_write_to_the_terminal(
    small_project: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    from stillhouse.cli.printing import print_files
    from stillhouse.outside import open_state
    from stillhouse.state import Artefact
    from stillhouse.steps import STEPS
    from tests.made import make_all

    project = load_project(small_project(tickets=5))
    state = make_all(open_state(project))
    hostile = "wiki/\x1b[2J\x1b]0;owned\x07.md"
    files = pa.table({"file_id": ["f"], "path": [hostile]})
    write_table(state.layout.table("source_files"), files)
    learned = pa.table({"source": ["wiki"], "file_id": ["f"], "sha256": ["s"], "pair_id": ["p"]})
    folder = state.folder(Artefact(STEPS["checkpoint"], "small-1", "router"))
    write_table(folder / "learned_from.parquet", learned)
    print_files(project, "router", "small-1")
    out = capsys.readouterr().out
    assert "owned" in out and "\x1b" not in out and "\x07" not in out


def test_what_a_failed_check_measured_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    from stillhouse.cli.printing import print_failures
    from stillhouse.cli.runs import Checked, Outcome

    figures, why = "recall 0.61, low 0.58, min_recall 0.9", "Too few are\x1b[2J masked."
    checks = {
        "pii_quality: recall_is_proven": Checked(False, figures, why),
        "parsed_documents: no_unaccounted_parse_loss": Checked(True, "lost 0"),
        "review_sample: reject_rate": Checked(False, ""),
    }
    print_failures(Outcome(False, failures={"pii_quality": "1 check failed"}, checks=checks))
    said = capsys.readouterr().err
    assert f"pii_quality: recall_is_proven:\n  Too few are [2J masked.\n  {figures}" in said
    assert "lost" not in said and "reject_rate" not in said


def test_a_check_that_stopped_a_run_is_told_without_names_of_classes() -> None:
    from types import SimpleNamespace

    from stillhouse.cli.runs import _reason

    error = SimpleNamespace(
        cause=None, cls_name="DagsterAssetCheckFailedError", message="dagster.x"
    )
    data = SimpleNamespace(user_failure_data=None, error=error)
    said = _reason(SimpleNamespace(step_failure_data=data))
    assert said == "a check stopped the run; what it says stands below"


def test_a_gate_that_few_examples_cannot_tell_is_not_called_passed(
    small_project: SmallProject, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the report says it; and what is missed says what it asks, within 80 columns."""
    from stillhouse.cli.printing import print_run
    from stillhouse.cli.runs import Checked, Outcome

    asks = "The student loses no more of its teacher's score than the gate allows. 6 test examples "
    checks = {
        "r/report: within": Checked(True, "value 0.1, verdict too few to tell", asks, True),
        "r/report: beats": Checked(False, "value -0.2", "It scores higher than a simpler method."),
        "r/report: calibrated": Checked(True, "value 0.01", "Its confidence is right."),
        "r/leaks: within": Checked(False, "personal 0.01", "1 rule is not proven.", True),
    }
    outcome = Outcome(True, {}, {}, checks)
    print_run(load_project(small_project()), "small-1", outcome, finished=False)
    said = capsys.readouterr().out
    assert "unsure  r/report: within\n" in said and "verdict too few to tell" in said
    assert "MISSED  r/report: beats\n          It scores higher than" in said
    assert "unsure  r/leaks: within\n          1 rule is not proven.\n" in said
    assert "passed  r/report: calibrated\n" in said and "value 0.01" not in said
    assert max(map(len, said.splitlines())) <= 80


def test_the_version_is_told() -> None:
    from importlib.metadata import version

    done = stillhouse("--version")
    assert (done.returncode, done.stdout) == (0, f"stillhouse {version('stillhouse')}\n")


def test_a_students_report_may_be_named_without_the_student(small_project: SmallProject) -> None:
    from stillhouse.cli.runs import assets_until
    from stillhouse.definitions import build_defs

    defs = build_defs(small_project(tickets=5))
    short = assets_until(defs, "distill", "evaluation_report")
    assert short == assets_until(defs, "distill", "router/evaluation_report")
    assert "router/evaluation_report" in short


def test_init_where_nothing_can_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = stillhouse("init", tmp_path / "file" / "below")
    assert done.returncode == 1
    assert "can't be written" in done.stderr and "Remedy:" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_project_file_nothing_runs(tmp_path: Path) -> None:
    done = stillhouse("status", cwd=tmp_path)
    assert done.returncode == 1 and "there is no project file" in done.stderr
    assert "stillhouse init" in done.stderr


def test_the_ui_is_not_announced_where_it_cannot_listen(small_project: SmallProject) -> None:
    file = small_project(tickets=5)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        busy = stillhouse("dev", "--project", file, "--port", port)
    assert busy.returncode == 1 and f"--port {port}" in busy.stderr and "Remedy:" in busy.stderr
    assert "http://" not in busy.stdout
    impossible = stillhouse("dev", "--project", file, "--port", 99999)
    assert impossible.returncode == 2 and "65535" in impossible.stderr
    nowhere = stillhouse("dev", "--project", file, "--host", "203.0.113.1")
    assert nowhere.returncode == 1 and "--host 203.0.113.1" in nowhere.stderr


def test_doctor_finds_a_licence_that_the_policy_forbids(
    small_project: SmallProject, smollm2_wheel: Path
) -> None:
    file = small_project(tickets=5)
    good = stillhouse("doctor", "--project", file)
    assert good.returncode == 0, good.stdout
    assert "Apache-2.0, allowed by license_policy.allow" in good.stdout
    file.write_text(file.read_text() + "license_policy: {allow: [MIT]}\n")
    bad = CliRunner().invoke(app, ["doctor", "--project", str(file)])
    assert bad.exit_code == 1
    assert "license_policy.allow" in bad.stdout and "Remedy:" in bad.stdout
