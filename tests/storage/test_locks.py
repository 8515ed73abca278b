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


WRITE = """
import sys
from pathlib import Path
import pyarrow as pa
from stillhouse.storage.locks import exclusive
from stillhouse.storage.tables import write_table
root, version = Path(sys.argv[1]), int(sys.argv[2])
while True:
    with exclusive(root / "table.lock", "table"):
        write_table(root / "data.parquet", pa.table({"version": [version] * 20_000}))
    print(version, flush=True)
    version += 2
"""


def test_a_reader_beside_writers_sees_whole_versions_also_when_they_are_killed(
    tmp_path: Path,
) -> None:
    """Two processes write one table as fast as they can; one is killed wherever it is."""
    from stillhouse.storage.tables import read_table

    def writer(version: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", WRITE, str(tmp_path), str(version)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def read() -> int:
        versions = read_table(tmp_path / "data.parquet")["version"]
        assert len(versions) == 20_000 and len(versions.unique()) == 1
        return int(versions[0].as_py())

    writers = [writer(0), writer(1)]
    try:
        for child in writers:
            assert child.stdout is not None and child.stdout.readline()
        seen = {read() for _ in range(200)}
        writers[0].kill()
        writers[0].wait()
        read()
        assert writers[1].stdout is not None
        for _ in range(3):  # the other one goes on: the lock died with its holder
            assert writers[1].stdout.readline()
    finally:
        for child in writers:
            child.kill()
            child.wait()
    assert len(seen) > 1
    with locks.exclusive(tmp_path / "table.lock", "table"):
        read()
