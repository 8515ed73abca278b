"""What `stillhouse status` and the code location cost to start.

    python benchmarks/startup.py --project examples/helpdesk

Each contender is a process of its own; they take turns, forwards and backwards, and processor
seconds (user and system) are compared: other work on the machine hardly changes them. `--project`
is one that was run to its end.

- Loading the code location (`import stillhouse.definitions`) over `import dagster`, which it can't
  do without. Target: at most 1.5 times.
- `stillhouse status` less a process that imports the very modules that it had imported when it
  ended. Target: at most 2 seconds.

Ratios and differences are of medians. Results gather in one JSON file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from stillhouse.storage.files import write_json

HERE = Path(__file__).resolve().parent
RATIO, SECONDS = 1.5, 2.0
BARE, LOCATION, IMPORTS, STATUS = "python", "code location", "imports of status", "status"
DAGSTER = "import dagster"

RUN_STATUS = """
import sys
from stillhouse.cli.main import app
app(["status", "--project", sys.argv[1]], standalone_mode=False)
if len(sys.argv) > 2:
    open(sys.argv[2], "w").write("\\n".join(sys.modules))
"""
IMPORT_ALL = """
import importlib, sys
for name in open(sys.argv[1]).read().split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass  # made by a library while it was imported
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--project", type=Path, required=True)
    parser.add_argument("--repetitions", type=int, default=15)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "startup.json")
    options = parser.parse_args()
    project = str(options.project.resolve())
    os.environ["STILLHOUSE_PROJECT"] = project
    with tempfile.TemporaryDirectory() as folder:
        modules = str(Path(folder) / "modules.txt")
        seconds_of(RUN_STATUS, project, modules)
        contenders = {
            BARE: ("pass",),
            DAGSTER: (DAGSTER,),
            LOCATION: ("import stillhouse.definitions",),
            IMPORTS: (IMPORT_ALL, modules),
            STATUS: (RUN_STATUS, project),
        }
        for contender in contenders.values():
            seconds_of(*contender)  # files come into memory
        runs = []
        for repetition in range(options.repetitions):
            order = list(contenders) if repetition % 2 == 0 else list(contenders)[::-1]
            runs.append({name: seconds_of(*contenders[name]) for name in order})
            print(f"{repetition + 1}/{options.repetitions}", file=sys.stderr, flush=True)
    medians = {name: statistics.median(run[name] for run in runs) for name in contenders}
    found = {
        "seconds": {name: round(value, 3) for name, value in medians.items()},
        "repetitions": options.repetitions,
        "code location over import dagster": round(medians[LOCATION] / medians[DAGSTER], 3),
        "status beyond imports, seconds": round(medians[STATUS] - medians[IMPORTS], 3),
    }
    write_json(options.json, found)
    print(markdown(found))
    ratio, more = list(found.values())[-2:]
    if ratio > RATIO or more > SECONDS:
        sys.exit(1)


def seconds_of(code: str, *arguments: str) -> float:
    """Processor seconds of a Python process, and of those that it waited for."""
    process = subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"it failed: {code}")
    process.returncode = 0
    return used.ru_utime + used.ru_stime


def markdown(found: dict[str, object]) -> str:
    seconds = found["seconds"]
    assert isinstance(seconds, dict)
    lines = ["| process | processor seconds |", "|---|--:|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in seconds.items()]
    ratio, more = list(found.items())[-2:]
    return "\n".join([*lines, "", *(f"{name}: {value}" for name, value in (ratio, more))])


if __name__ == "__main__":
    main()
