"""Files that hang, crash or fill the memory, played by a handler of the tests' own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from stillhouse.corpus.parse import pool
from stillhouse.corpus.parse.pool import Limits, read_files
from stillhouse.corpus.parse.unparsable import Unparsable
from stillhouse.errors import UserError

HANDLER = """
import os, signal, subprocess, sys, time
from pathlib import Path
from stillhouse.corpus.parse.clock import page_begins, program_begins
from stillhouse.errors import UserError

kept = []

def handle(job):
    what = job["what"]
    if what == "hang":
        time.sleep(600)
    elif what == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    elif what == "exit":
        os._exit(3)
    elif what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    elif what == "once":
        if not Path(job["mark"]).exists():
            Path(job["mark"]).touch()
            os._exit(1)
    elif what == "pages":
        for _ in range(6):
            page_begins()
            time.sleep(0.4)
    elif what == "memory":
        held = []
        while True:
            held.append(b"x" * (8 << 20))
            time.sleep(0.002)
    elif what in ("program", "greedy"):
        program_begins()
        code = "import time; held = b'x' * (500 << 20); time.sleep(600)"
        code = code if what == "greedy" else "import time; time.sleep(600)"
        started = subprocess.Popen([sys.executable, "-c", code])
        Path(job["mark"]).write_text(str(started.pid))
        started.wait()
    elif what.startswith("grow"):
        held = b"x" * (200 << 20)
        time.sleep(0.5)
    elif what.startswith("keep"):
        kept.append(b"x" * (200 << 20))
    elif what == "error":
        raise KeyError("what the document says")
    elif what == "user":
        raise UserError("no such model", remedy="install it.")
    elif what == "part":
        Path(job["part"]).write_text("rows")
        return Path(job["part"])
    elif what == "print":
        print("what the document says")
        print("what the document says", file=sys.stderr)
    return [{"what": what, "pid": os.getpid()}]
"""
LIMITS = Limits(memory=400 << 20, seconds=1.5, seconds_a_megabyte=0.0)
# Of what is ended for another reason: a busy machine may take seconds till there is one.
PATIENT = replace(LIMITS, seconds=60)


@pytest.fixture
def handler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "hostile_handler.py").write_text(HANDLER)
    path = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{path}")
    return "hostile_handler:handle"


def run(handler: str, *kinds: str, **options: Any) -> dict[str, Any]:
    jobs = [{"what": what, "size": 10} for what in kinds]
    return {
        job["what"]: result
        for job, result in read_files(jobs, handler, **{"limits": LIMITS, **options})
    }


@pytest.mark.parametrize(
    ("what", "category", "reason"),
    [
        ("segfault", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit code 3"),
        ("killed", "crashed", "SIGKILL"),
        ("hang", "too_slow", "seconds"),
        ("memory", "too_large", "400 MB"),
        ("error", "corrupt", "KeyError"),
    ],
)
def test_a_bad_file_costs_itself_alone(handler: str, what: str, category: str, reason: str) -> None:
    limits = LIMITS if what == "hang" else PATIENT
    found = run(handler, "a", what, "b", processes=1, limits=limits)
    assert [found[name][0]["what"] for name in ("a", "b")] == ["a", "b"]
    bad = found[what]
    assert isinstance(bad, Unparsable)
    assert bad.category == category
    assert reason in bad.reason
    assert bad.remedy.endswith(".")
    assert "document says" not in bad.reason


def test_the_time_limit_begins_anew_with_each_page_that_is_read(handler: str) -> None:
    assert isinstance(run(handler, "pages")["pages"], list)  # 2.4 seconds, of 1.5


@pytest.mark.parametrize(("what", "category"), [("program", "too_slow"), ("greedy", "too_large")])
def test_a_program_that_a_file_needs_has_its_limits_and_ends_with_it(
    handler: str, tmp_path: Path, what: str, category: str
) -> None:
    jobs = [{"what": what, "mark": str(tmp_path / "pid")}]
    limits = PATIENT if what == "greedy" else LIMITS
    ((_, result),) = read_files(jobs, handler, limits=limits)
    assert isinstance(result, Unparsable)
    assert result.category == category
    started = int((tmp_path / "pid").read_text())
    gone, _ = psutil.wait_procs([p for p in psutil.process_iter() if p.pid == started], timeout=9)
    assert all(p.pid == started for p in gone)
    assert not psutil.pid_exists(started) or psutil.Process(started).status() == "zombie"


def test_a_crash_by_chance_is_tried_again(handler: str, tmp_path: Path) -> None:
    jobs = [{"what": "once", "mark": str(tmp_path / "mark")}]
    ((_, result),) = read_files(jobs, handler, limits=LIMITS)
    assert isinstance(result, list)
    assert (tmp_path / "mark").exists()


def test_few_files_share_a_process_and_a_worn_one_is_replaced(handler: str) -> None:
    once = run(handler, "a", "b", "c", processes=2)
    assert len({rows[0]["pid"] for rows in once.values()}) == 1
    worn = run(handler, "a", "b", "c", limits=Limits(files_a_process=1))
    assert len({rows[0]["pid"] for rows in worn.values()}) == 3


def test_a_process_that_keeps_more_than_its_share_is_replaced(
    handler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "START_BYTES", 0)
    monkeypatch.setattr(pool, "OWN_BYTES", 1 << 40)
    own = psutil.Process().memory_info().rss
    roomy, tight = (Limits(total=own + (megabytes << 20)) for megabytes in (2000, 300))
    # Not at once, else each file would wait for a new process to load its models.
    for limits, files, processes in ((roomy, 1, 1), (tight, 1, 3), (tight, 10, 1)):
        monkeypatch.setattr(pool, "FILES_WORTH_A_START", files)
        found = run(handler, "keep 1", "keep 2", "keep 3", limits=limits, processes=1)
        assert len({rows[0]["pid"] for rows in found.values()}) == processes


def test_where_there_is_no_room_for_all_the_last_gives_way(
    handler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is read again when there is; nothing is quarantined for the sake of another file."""
    monkeypatch.setattr(pool, "START_BYTES", 0)
    monkeypatch.setattr(pool, "FILES_WORTH_A_PROCESS", 1)
    monkeypatch.setattr(pool, "OWN_BYTES", 1 << 40)
    gave_way: list[str] = []
    made = pool._Room.made

    def watched(room: Any, workers: list[Any]) -> Iterator[Any]:
        for job in made(room, workers):
            gave_way.append(job["what"])
            yield job

    monkeypatch.setattr(pool._Room, "made", watched)
    total = int((psutil.Process().memory_info().rss + (400 << 20)) / pool.TAKEN)
    limits = Limits(seconds=60, total=total)
    found = run(handler, "grow 1", "grow 2", "grow 3", limits=limits, processes=2)
    assert all(isinstance(rows, list) for rows in found.values()) and len(found) == 3
    assert gave_way


def test_a_large_result_comes_as_a_file(handler: str, tmp_path: Path) -> None:
    jobs = [{"what": "part", "part": str(tmp_path / "rows.parquet")}]
    assert [result for _, result in read_files(jobs, handler, limits=LIMITS)] == [
        tmp_path / "rows.parquet"
    ]


def test_the_users_error_is_raised_not_quarantined(handler: str) -> None:
    with pytest.raises(UserError, match="no such model"):
        run(handler, "user")


def test_a_process_that_does_not_start_is_no_fault_of_the_files() -> None:
    with pytest.raises(RuntimeError, match="does not start"):
        run("no_such_module:handle", "a")


def test_what_libraries_print_goes_nowhere(handler: str, capfd: pytest.CaptureFixture[str]) -> None:
    run(handler, "print")
    assert "document says" not in "".join(capfd.readouterr())


def _children(process: psutil.Process) -> Iterator[psutil.Process]:
    return (child for child in process.children() if "worker" in " ".join(child.cmdline()))


def test_workers_end_with_a_parent_that_is_killed(handler: str, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(
            f"""
            from stillhouse.corpus.parse.pool import Limits, read_files
            list(read_files([{{"what": "hang"}}], "{handler}", limits=Limits()))
            """
        )
    )
    parent = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while not workers and time.monotonic() < deadline:
        workers = list(_children(psutil.Process(parent.pid)))
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    gone, alive = psutil.wait_procs(workers, timeout=30)
    assert (len(gone), alive) == (1, [])
