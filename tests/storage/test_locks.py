"""Locks between processes: one writer at a time, and nothing outlives a process that was killed."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from stillhouse.storage import locks

HOLD = """
import sys, time
from pathlib import Path
from stillhouse.storage import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2]), *sys.argv[3:]):
    print("held", flush=True)
    time.sleep(60)
"""


def hold(kind: str, lock: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, kind, str(lock), *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def test_a_second_writer_waits_says_for_whom_and_goes_on_when_the_first_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = tmp_path / "table.lock"
    child = hold("exclusive", lock, "table")
    entered = threading.Event()

    def second() -> None:
        with locks.exclusive(lock, "table"):
            entered.set()

    with caplog.at_level(logging.INFO, logger="stillhouse"):
        thread = threading.Thread(target=second)
        thread.start()
        deadline = time.monotonic() + 30
        while f"table: waiting for process {child.pid}" not in caplog.text:
            assert not entered.is_set() and time.monotonic() < deadline
            time.sleep(0.02)
        assert not entered.is_set()
        child.kill()
        child.wait()
        assert entered.wait(30)
        thread.join()


def test_a_run_is_alive_as_long_as_any_process_works_on_it(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    assert not locks.is_alive(lock)
    with locks.alive(lock), locks.alive(lock):
        child = hold("alive", lock)
        assert locks.is_alive(lock)
    assert locks.is_alive(lock)
    child.kill()
    child.wait()
    assert not locks.is_alive(lock)
