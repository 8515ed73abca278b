"""Commands of ours in processes of their own that need not import everything anew.

A process beside each worker imports what `stillhouse` imports and does nothing else. Each command
runs in a fork of it: with arguments, environment, folder, output and exit code of its own, as when
somebody starts it, but without the seconds in which Dagster and torch are imported. That a command
starts at all is seen by tests that start it themselves (test_whole_chain, test_bundle).
"""

from __future__ import annotations

import atexit
import importlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

FORKED = multiprocessing.get_context("forkserver")
FORKED.set_forkserver_preload(["tests.imported"])


@dataclass
class Started:
    """A command that runs, with what it prints in files."""

    process: BaseProcess
    stdout: Path
    stderr: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal.

        Raises:
            TimeoutError: it still runs after so many seconds.
        """
        self.process.join(timeout)
        if self.process.exitcode is None:
            raise TimeoutError(f"it still runs after {timeout} s")
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def said(self) -> str:
        """What it has printed so far."""
        return "".join(file.read_text("utf-8") for file in (self.stdout, self.stderr))


def start(
    *arguments: object, output: Path, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> Started:
    """Start `stillhouse` with these arguments; what it prints goes to files in `output`."""
    started = output / "stdout", output / "stderr"
    argv = ["stillhouse", *map(str, arguments)]
    surroundings = str(cwd or Path.cwd()), dict(os.environ if env is None else env)
    process = FORKED.Process(target=_become, args=(argv, *surroundings, *map(str, started)))
    process.start()
    return Started(process, *started)


def stillhouse(
    *arguments: object,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str = "",
) -> subprocess.CompletedProcess[str]:
    """What `stillhouse` with these arguments prints, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder)
        (output / "stdin").write_text(stdin, "utf-8")
        started = start(*arguments, output=output, cwd=cwd, env=env)
        code = started.wait()
        said = {file.name: file.read_text("utf-8") for file in (started.stdout, started.stderr)}
    return subprocess.CompletedProcess(["stillhouse", *arguments], code, **said)


def _become(argv: list[str], cwd: str, env: dict[str, str], stdout: str, stderr: str) -> None:
    """Be the command to its end, but for taking all modules apart."""
    stdin = Path(stdout).with_name("stdin")
    files = [str(stdin) if stdin.exists() else os.devnull, stdout, stderr]
    for number, name in enumerate(files):
        file = os.open(name, os.O_CREAT | (os.O_WRONLY if number else os.O_RDONLY), 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)  # multiprocessing closed it
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = argv
    if "OFFLINE_GUARD_LOG" in env:  # else seen as a process starts
        importlib.import_module("tests.offline_guard.sitecustomize")
    from stillhouse.cli.main import main as command

    code: object = 0
    try:
        command()
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
