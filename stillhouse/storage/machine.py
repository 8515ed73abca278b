"""The machine that something is made on, and the memory that making it takes."""

from __future__ import annotations

import gc
import os
import platform
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, bytes of memory, system; and the names of GPUs
    where something has loaded torch, which sees them."""
    torch = sys.modules.get("torch")
    gpus = []
    if torch is not None and torch.cuda.is_available():
        gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {**_processor(), "gpus": gpus}


@cache
def _processor() -> dict[str, Any]:
    import psutil

    affinity = getattr(os, "sched_getaffinity", None)
    return {
        "processor": _name() or platform.processor() or platform.machine(),
        "cores": len(affinity(0)) if affinity else os.cpu_count() or 1,
        "memory": int(psutil.virtual_memory().total),
        "system": f"{platform.system()} {platform.machine()}",
    }


def _name() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def forget_peaks() -> None:
    """From now on, `peaks` are those of what comes. Of a GPU, what is held for nothing is given
    back: torch keeps what it once took, and a server that is started beside would find it gone."""
    with suppress(OSError):
        _RESET.write_text("5")  # proc(5): the peak of the resident set begins anew
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        gc.collect()  # models are in circles
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peaks() -> dict[str, int]:
    """Most bytes at once since `forget_peaks`: the process's resident memory, weights that it maps
    included ("ram"; where the system is Linux), and what torch took of a GPU ("gpu")."""
    found = {}
    with suppress(OSError):
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                found["ram"] = int(line.split()[1]) << 10
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        found["gpu"] = int(torch.cuda.max_memory_allocated())
    return found
