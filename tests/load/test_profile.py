"""A student that knows nothing, behind its own server: from the settings to the page."""

from __future__ import annotations

import json
import shutil
import ssl
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from stillhouse.assets.latency import _check
from stillhouse.cli.main import app
from stillhouse.config.latency import Latency, LatencyLimits
from stillhouse.config.project import load_project
from stillhouse.errors import UserError
from stillhouse.facts import LatencyProfileFacts
from stillhouse.load import profile, served
from stillhouse.load.page import PAGE, render, write_page
from stillhouse.load.profile import FINDINGS, profile_student
from stillhouse.report.latency import latency_json, sections
from tests.made import MINIMAL

LIMITS = LatencyLimits(max_p95_seconds=60, max_errors=0.5, max_gigabytes=0.001)
SETTINGS = Latency(
    concurrency=[1, 3], rates=[30.0], seconds=0.4, warmup=3, timeout=20, limits=LIMITS
)
TEXTS = [("routing", f"Where is invoice {n}?") for n in range(20)]


@pytest.fixture(scope="module")
def profiled(tiny_teacher: Path, tmp_path_factory: Any) -> tuple[Path, LatencyProfileFacts, int]:
    root = tmp_path_factory.mktemp("project")
    (root / "stillhouse.yaml").write_text(MINIMAL)
    shutil.copytree(tiny_teacher, root / "var/students/router/t-1/current/quantized")
    seen: list[int] = []
    with pytest.MonkeyPatch.context() as patched:
        watch = profile.watched
        patched.setattr(profile, "watched", lambda pid: seen.append(pid) or watch(pid))
        file = load_project(root).file
        facts = profile_student(file, "router", "t-1", TEXTS, "the test split", SETTINGS, root)
    return root, facts, seen[0]


@pytest.mark.timeout(300)
def test_every_load_is_measured(profiled: tuple[Path, LatencyProfileFacts, int]) -> None:
    root, facts, process = profiled
    assert [(x.loop, x.load) for x in facts.levels] == [("closed", 1), ("closed", 3), ("open", 30)]
    for level in facts.levels:
        assert level.errors == {} and level.answered == level.sent > 0
        assert level.whole and level.first and level.whole.p50 >= level.first.p50 > 0
        assert level.between is None  # an answer of this task is one token
    assert facts.answer_tokens == 1 and facts.prompt_tokens and facts.prompt_tokens > 5
    assert facts.peak_bytes and facts.peak_bytes > 100_000_000  # torch is in it
    assert facts.starts_seconds and facts.machine["cores"] >= 1
    assert facts.figures["requests_per_second"] == max(x.requests_per_second for x in facts.levels)
    # It ended when its standard input did: as if this process had been killed.
    assert not psutil.pid_exists(process)
    found = json.loads((root / FINDINGS).read_text())
    assert found["digest"] == facts.digest and "invoice" not in json.dumps(found)


def test_limits_are_the_check(profiled: tuple[Path, LatencyProfileFacts, int]) -> None:
    _, facts, _ = profiled
    verdicts = {one.name: one.verdict for one in facts.limits}
    assert verdicts["max_gigabytes"] == facts.verdict == "missed"
    assert verdicts["max_p95_seconds"] in ("passed", "unproven")  # by how many were asked
    check = _check(facts)
    assert not check.passed and "max_gigabytes (missed)" in str(check.description)
    assert _check(replace(facts, limits=[], verdict="no limit")).passed
    assert not _check(replace(facts, verdict="unproven")).passed


def test_page_and_report_say_what_was_found(
    profiled: tuple[Path, LatencyProfileFacts, int],
) -> None:
    root, facts, _ = profiled
    write_page(root, facts, "demo", "router", "t-1")
    page = (root / PAGE).read_text()
    assert page.count("<img") == 4 and "3 at once" in page and "30 a second" in page
    assert "<script" not in render(root, facts, "<script>", "a<script>", "<script>")
    found, loads = sections(json.loads(json.dumps(latency_json(facts))))
    assert len(found.figures) == 4
    rows = loads.tables[0].rows
    assert [row[0] for row in rows] == ["1 at once", "3 at once", "30 a second"]
    assert sections({}) == [] and latency_json(replace(facts, levels=[])) == {}


def test_nothing_is_started_where_nothing_is_to_be_measured(tmp_path: Path) -> None:
    nothing = Latency(concurrency=[])
    facts = profile_student(tmp_path / "no project", "x", "v", [], "", nothing, tmp_path)
    assert facts.levels == [] and facts.verdict == "not measured" and _check(facts).passed
    write_page(tmp_path, facts, "demo", "router", "t-1")
    assert "Nothing was to be measured" in (tmp_path / PAGE).read_text()


def test_a_server_that_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.sys, "executable", shutil.which("false"))
    with (
        pytest.raises(UserError, match="serve router` did not start"),
        served.serving(tmp_path, "router", "t-1"),
    ):
        raise AssertionError("it did not start")


def test_whoever_waits_for_a_server_leaves_it_the_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read, certificates = [], ssl.create_default_context
    monkeypatch.setattr(
        ssl, "create_default_context", lambda **how: (read.append(1), certificates(**how))[1]
    )
    process = SimpleNamespace(poll=iter([None, None, None, 1]).__next__)
    with pytest.raises(UserError, match="did not start"):
        served._wait(process, served._free_port(), "router")  # type: ignore[arg-type]
    assert len(read) <= 1


def test_the_command_asks_any_server(own_server: Any, tmp_path: Path) -> None:
    server, file = own_server(), tmp_path / "prompts.jsonl"
    file.write_text('{"text": "Hello"}\n')
    command = ["load", server.url, "--model", "well", "--concurrency", "1,2", "--rate", "20"]
    command += ["--seconds", "0.3", "--warmup", "0", "--prompts", str(file)]
    table = CliRunner().invoke(app, command)
    assert table.exit_code == 0, table.output
    assert all(load in table.output for load in ("1 at once", "2 at once", "20 a second"))
    found = json.loads(CliRunner().invoke(app, [*command, "--json"]).stdout)
    assert [level["answered"] > 0 for level in found["levels"]] == [True] * 3
    server.kill()
    dead = CliRunner().invoke(app, command)
    assert dead.exit_code == 1 and "refused" in dead.output
    wrong = CliRunner().invoke(app, [*command, "--concurrency", "0,x"])
    assert isinstance(wrong.exception, UserError)
