"""How much memory a server takes: the most that was seen while it was asked.

Of its process and those that it started, the proportional share (PSS): what several of them share
counts once. Where the kernel doesn't tell it, what is resident (RSS). A peak between two looks goes
unseen; weights, keys and values stay for longer.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from stillhouse.progress import meanwhile

LOOK_SECONDS = 0.25
ASKED = ("--query-gpu=memory.used", "--format=csv,noheader,nounits")


class Peak:
    """Bytes of the most that was seen; of the GPUs, beyond what was in use before. None where it
    can't be told."""

    def __init__(self, process: int) -> None:
        self._process = psutil.Process(process)
        self._whole: int | None = None
        self.bytes: int | None = None
        self.gpu_bytes: int | None = None

    def look(self) -> None:
        with suppress(psutil.Error, OSError):
            held = sum(map(_bytes, [self._process, *self._process.children(recursive=True)]))
            self.bytes = max(held, self.bytes or 0)

    def look_at_gpus(self, before: int | None) -> None:
        if before is not None and (now := gpu_bytes()) is not None:
            self.gpu_bytes = max(now - before, self.gpu_bytes or 0)


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.AccessDenied, AttributeError):
        return int(process.memory_info().rss)


@contextmanager
def watched(process: int) -> Iterator[Peak]:
    """Looks while the block runs."""
    peak = Peak(process)
    with meanwhile(peak.look, LOOK_SECONDS):
        yield peak
    peak.look()


def gpu_bytes() -> int | None:
    """In use of all GPUs; None where there is none, or no program to ask. What a framework was
    given it keeps, so a look after each level sees its peak."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    done = subprocess.run([program, *ASKED], capture_output=True, text=True, check=False)  # noqa: S603
    values = [line.strip() for line in done.stdout.splitlines() if line.strip().isdigit()]
    return sum(map(int, values)) * (1 << 20) if done.returncode == 0 and values else None
