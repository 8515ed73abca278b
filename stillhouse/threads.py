"""How threads wait for each other: asleep, so that other processes get the core meanwhile.

PyTorch's OpenMP threads meet after every operation and by default wait there by spinning. Alone
that costs nothing; beside another process each thread spins on a core that the other thread of its
own operation needs. Measured on two cores (benchmarks/threads.py, training steps a second as a
share of an undisturbed run): beside a busy process 0.36 by spinning and 0.60 asleep, beside a
second training 0.34 and 0.61, alone 1.00 and 0.98. One thread each: 0.62, 0.63, and alone 0.71.

And how a GPU's memory is taken: in segments that grow. Batches of many lengths otherwise leave gaps
between what they took, of 12 to 19 % in training (H200, 1.7 B weights); so it is 2 to 6 %.
"""

from __future__ import annotations

import os


def be_considerate() -> None:
    """Let OpenMP threads of this process and the ones it starts sleep while they wait, and what
    PyTorch takes of a GPU grow.

    Defaults: who sets `OMP_WAIT_POLICY` or `PYTORCH_CUDA_ALLOC_CONF` keeps it. They are read once,
    so call this before torch is imported; later it reaches only processes started from here.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
