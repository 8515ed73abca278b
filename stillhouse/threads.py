"""How threads wait for each other: asleep, so that other processes get the core meanwhile.

PyTorch's OpenMP threads meet after every operation and by default wait there by spinning. Alone
that costs nothing; beside another process each thread spins on a core that the other thread of its
own operation needs. Measured on two cores (benchmarks/threads.py, training steps a second as a
share of an undisturbed run): beside a busy process 0.4 by spinning and 0.7 asleep, beside a second
training 0.1 to 0.2 and 0.7, and alone no loss. One thread each loses less than spinning, and a
fifth when alone.
"""

from __future__ import annotations

import os


def be_considerate() -> None:
    """Let OpenMP threads of this process and the ones it starts sleep while they wait.

    A default: who sets `OMP_WAIT_POLICY` keeps it. OpenMP reads it once, so call this before torch
    is imported; later it reaches only processes started from here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
