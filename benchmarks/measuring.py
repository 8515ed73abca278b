"""What the benchmarks measure alike."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

# What a project needs besides its sources, where no model is run.
NO_MODEL = """\
tasks:
  - {name: routing, kind: classification, sources: [%s]}
teachers:
  - {version: none-1, model: models/none, license: MIT}
students:
  - {name: none, tasks: [routing]}
"""

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def peak_rss_mb() -> int:
    """Peak resident MiB of this process alone: `getrusage` would count the one that started it."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)


def seconds_of(call: Callable[[], object], clock: str) -> float:
    now = CLOCKS[clock]
    started = now()
    call()
    return now() - started


def in_turns(
    contenders: Mapping[str, Callable[[], object]], repetitions: int, clock: str
) -> list[dict[str, float]]:
    """Seconds of each contender, by repetition: they take turns, forwards and backwards."""
    for contender in contenders.values():
        contender()  # the first call of a shape costs more
    runs = []
    for repetition in range(repetitions):
        order = list(contenders) if repetition % 2 == 0 else list(contenders)[::-1]
        seconds = {name: seconds_of(contenders[name], clock) for name in order}
        runs.append(seconds)
        shown = ", ".join(f"{n} {s:.1f}" for n, s in sorted(seconds.items()))
        print(f"{repetition + 1}/{repetitions} seconds: {shown}", file=sys.stderr, flush=True)
    return runs
