"""What this machine, or one that is thought of, has of memory."""

from __future__ import annotations

from dataclasses import dataclass

# A CUDA context with its libraries' kernels: 885 to 897 MiB by the count of the driver, beyond what
# torch reserved, after all kinds of work here (H200, PyTorch 2.11 for CUDA 13).
GPU_CONTEXT = 900 << 20


@dataclass(frozen=True)
class Machine:
    """`name` in words; `memory` bytes that there are, `taken` those of libraries before a model is
    read; `compute` bytes of the type that it computes in."""

    name: str
    memory: int
    taken: int
    compute: int
    gpu: bool


def this_machine(gpu_memory: float | None = None) -> Machine:
    """Its GPU where it has one, else its RAM; with `gpu_memory` (GB) a GPU that has so much."""
    import psutil
    import torch

    from stillhouse.models.loading import pick_device, pick_dtype

    if gpu_memory is not None:
        size = int(gpu_memory * 1e9)
        return Machine(f"a GPU with {gpu_memory:g} GB", size, GPU_CONTEXT, 2, gpu=True)
    device = pick_device()
    compute = pick_dtype(device).itemsize
    if device.type == "cuda":
        _, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Machine(name, total, GPU_CONTEXT, compute, gpu=True)
    # What a run imports before it reads a model.
    import peft  # noqa: F401
    import transformers.modeling_utils  # noqa: F401

    found = psutil.virtual_memory()
    taken = psutil.Process().memory_info().rss
    return Machine("this machine's RAM", found.total, taken, compute, gpu=False)
