"""What the benchmarks measure alike."""

from __future__ import annotations

from pathlib import Path


def peak_rss_mb() -> int:
    """Peak resident MiB of this process alone: `getrusage` would count the one that started it."""
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024)
