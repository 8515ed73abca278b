"""Which floating-point type this machine multiplies matrices in faster.

Processors differ: with AVX-512 BF16 or AMX a product in bfloat16 takes half the time of one in
float32 or less, without them five times as long. So both are timed, once a process. Nothing made
here depends on the answer beyond rounding: weights are trained in float32 and stored in the
teacher's own type whatever a machine computes in.
"""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("stillhouse")

# A layer's product over a batch of short texts. Single rows are slower in 16 bits everywhere; they
# come up in nothing but unbatched generation.
ROWS, WIDTH, OUTPUTS = 64, 512, 512
ROUNDS = 3

# As much faster bfloat16 has to be: what is won must exceed the conversions around it.
WORTH_IT = 1.3


# Products of 16 bits are prepared anew for every number of rows on a CPU, which takes about 15 ms.
ROWS_OF_16_BITS = 32


def fast_dtype(device: torch.device) -> torch.dtype:
    """The type to compute in where many rows are multiplied at once: training, scoring, labelling,
    generation in batches. bfloat16 or float32; the first call on a device says so in the log."""
    return _fast_dtype(device.type)


def rows_multiple(dtype: torch.dtype, device: torch.device) -> int:
    """What to round a number of rows up to, so that few different ones come up."""
    return ROWS_OF_16_BITS if device.type == "cpu" and dtype.itemsize == 2 else 1


@cache
def _fast_dtype(kind: str) -> torch.dtype:
    import torch

    if kind == "cuda":
        fast = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
        logger.info("Computing in %s on the GPU", _name(fast))
        return fast
    ratio = bfloat16_speed()
    fast = torch.bfloat16 if ratio >= WORTH_IT else torch.float32
    logger.info(
        "Computing in %s: products in bfloat16 run at %.1f times the speed here", _name(fast), ratio
    )
    return fast


def bfloat16_speed() -> float:
    """How many times as fast the CPU multiplies in bfloat16 as in float32; takes a few
    milliseconds, without bfloat16 instructions some 20.

    One thread's own processor time: what else the machine does has no say.
    """
    import torch

    factors = {
        dtype: (torch.ones(ROWS, WIDTH, dtype=dtype), torch.ones(OUTPUTS, WIDTH, dtype=dtype))
        for dtype in (torch.float32, torch.bfloat16)
    }
    best = dict.fromkeys(factors, float("inf"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for round_number in range(ROUNDS + 1):
                for dtype, (left, right) in factors.items():
                    start = time.thread_time()
                    torch.nn.functional.linear(left, right)
                    if round_number:  # the first one prepares the product
                        best[dtype] = min(best[dtype], time.thread_time() - start)
    finally:
        torch.set_num_threads(threads)
    return best[torch.float32] / best[torch.bfloat16]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
