"""Products of few rows with a weight, the faster way round on a CPU.

MKL multiplies 16 rows by a weight of 1,536 x 576 in 0.9 ms, as long as it takes for 64, but the
weight by the 16 columns in 0.36. A model that writes a few answers does little else.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Fewer are fast as they are, and from 64 on there is nothing in it.
FEW = range(6, 49)


class FewRows(TorchFunctionMode):
    """Inside, `torch.nn.functional.linear` of few float32 rows on a CPU is W x^T, transposed."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if function is linear and not kwargs:
            rows, weight, *bias = args
            count = rows.numel() // rows.shape[-1]
            if count in FEW and rows.dtype == torch.float32 and rows.device.type == "cpu":
                found = torch.mm(weight, rows.reshape(count, -1).t()).t()
                found = found.reshape(*rows.shape[:-1], len(weight))
                return found if not bias or bias[0] is None else found + bias[0]
        return function(*args, **(kwargs or {}))


def few_rows(model: PreTrainedModel) -> AbstractContextManager[Any]:
    """`FewRows` where it may win something: on a GPU, to look at each call would only cost time,
    as the calls themselves are what takes it."""
    held_back = model.device.type == "cpu" and model.dtype == torch.float32
    return FewRows() if held_back else nullcontext()
