"""Commands of ours in processes of their own that need not import everything anew.

A process beside each worker imports what `stillhouse` imports and does nothing else. Each command
runs in a fork of it: with arguments, environment, folder, output and exit code of its own, as when
somebody starts it, but without the seconds in which Dagster is imported. That a command starts at
all is seen by tests that start it themselves (test_whole_chain, test_bundle).
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# What the definitions import; not themselves, which are those of one project.
MODULES = ("dagster", "stillhouse.cli.main", "duckdb", "pyarrow.parquet")
ROOMS = ("stillhouse.assets", "stillhouse.sensors", "stillhouse.schedules")


def stillhouse(
    *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """What `stillhouse` with these arguments prints, and its exit code."""
    server = _server(os.getpid())
    assert server.stdin is not None and server.stdout is not None
    with tempfile.TemporaryDirectory() as folder:
        files = {name: Path(folder) / name for name in ("stdout", "stderr")}
        job = {
            "argv": ["stillhouse", *map(str, arguments)],
            "cwd": str(cwd or Path.cwd()),
            "env": dict(os.environ if env is None else env),
            "files": [os.devnull, *map(str, files.values())],
        }
        server.stdin.write(json.dumps(job) + "\n")
        server.stdin.flush()
        code = server.stdout.readline()
        assert code, "the process that forks commands has ended"
        said = {name: file.read_text("utf-8") for name, file in files.items()}
    return subprocess.CompletedProcess(["stillhouse", *arguments], int(code), **said)


@cache
def _server(_: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.forked"]
    pipe = subprocess.PIPE
    server = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
    atexit.register(server.kill)
    return server


def main() -> None:
    """Answer each job, a line of JSON, with the exit code of a fork that does it."""
    with warnings.catch_warnings(action="ignore"):  # told once more, to each command
        for name in MODULES:
            importlib.import_module(name)
        for room in ROOMS:
            for file in Path(str(importlib.import_module(room).__file__)).parent.glob("[!_]*.py"):
                importlib.import_module(f"{room}.{file.stem}")
    gc.freeze()  # what is shared stays so: a fork that looked through it would copy it
    while line := sys.stdin.readline():
        child = os.fork()
        if not child:
            os._exit(_become(json.loads(line)))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _become(job: dict[str, Any]) -> int:
    """Be the command to its end, but for taking all modules apart; its exit code."""
    for number, name in enumerate(job["files"]):
        file = os.open(name, os.O_RDWR | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    sys.argv[:] = job["argv"]
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
    return code if isinstance(code, int) else int(code is not None)


if __name__ == "__main__":
    main()
