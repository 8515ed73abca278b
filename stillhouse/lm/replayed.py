"""Steps of decoding that a GPU repeats by itself.

A step is a thousand kernels and more, of some microseconds each, and to ask for them one by one
takes Python many times as long as they take. Recorded as a CUDA graph they are asked for at once
(CUDA C++ Programming Guide, "CUDA Graphs"). A graph has fixed sizes and reads from fixed places: so
there is one for each power of two of rows and of columns that comes up again and again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

logger = logging.getLogger("stillhouse")

# A recording costs about two steps: sizes that come up less often are not worth one.
USES = 3
LEAST_COLUMNS = 256


# Takes tokens [rows, 1], their columns [rows, 1] and how many columns are looked at, keeps keys and
# values, and gives hidden states [rows, width].
Run = Callable[["torch.Tensor", "torch.Tensor", int], "torch.Tensor"]


@dataclass(frozen=True)
class _Recording:
    """`graph` reads `inputs` (int64 [2, rows, 1]: tokens, and where they stand) and writes `hidden`
    [rows, width]."""

    graph: Any
    inputs: torch.Tensor
    hidden: torch.Tensor


class Replayed:
    """Steps over keys and values of `rows` rows of `columns` tokens at most, which must not move.

    Rows that fill a graph up write to the last of their columns, which is written over before
    anybody looks at it.
    """

    def __init__(self, rows: int, columns: int, device: torch.device) -> None:
        self._rows, self._columns, self._device = rows, columns, device
        self._gave_up = False
        self._uses: Counter[tuple[int, int]] = Counter()
        self._recorded: dict[tuple[int, int], _Recording] = {}
        self._pool: Any = None

    def __call__(self, run: Run, tokens: Sequence[int], at: Sequence[int]) -> torch.Tensor:
        """Hidden states [rows, width] of one token a row, which the next call writes over."""
        import torch

        longest = max(at) + 1
        size = _power(1, len(tokens), self._rows), _power(LEAST_COLUMNS, longest, self._columns)
        self._uses[size] += 1
        if size not in self._recorded and self._uses[size] >= USES and not self._gave_up:
            self._record(run, size)
        found = self._recorded.get(size)
        rows, columns = size if found else (len(tokens), longest)
        inputs = torch.tensor([[0] * rows, [columns - 1] * rows])
        inputs[:, : len(tokens)] = torch.tensor([list(tokens), list(at)])
        inputs = inputs[:, :, None]
        if found is None:
            ids, places = inputs.to(self._device)
            return run(ids, places, columns)
        found.inputs.copy_(inputs)
        found.graph.replay()
        return found.hidden[: len(tokens)]

    def _record(self, run: Run, size: tuple[int, int]) -> None:
        """What can't be recorded goes on step by step."""
        import torch

        rows, columns = size
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        inputs = torch.tensor([[0] * rows, [columns - 1] * rows], device=self._device)[:, :, None]
        inputs = inputs.contiguous()
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        graph = torch.cuda.CUDAGraph()
        aside.wait_stream(here)
        try:
            with torch.cuda.stream(aside):
                run(inputs[0], inputs[1], columns)  # prepares what no recording may
                # Of this thread alone: another may be loading a model meanwhile.
                graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
                try:
                    hidden = run(inputs[0], inputs[1], columns)
                finally:
                    graph.capture_end()
        except RuntimeError as error:
            logger.warning("Steps are not recorded on this GPU: %s", type(error).__name__)
            self._gave_up = True
        else:
            self._recorded[size] = _Recording(graph, inputs, hidden)
        here.wait_stream(aside)


def _power(least: int, number: int, most: int) -> int:
    """The power of two that is not below, at least `least` and at most `most`."""
    return min(most, max(least, 1 << (number - 1).bit_length()))
