"""Students that were replaced, and the memory that they took.

What was asked of one is answered by it, so it goes with the last of its answers. But not at once:
its quantized layers are wrapped in functions that they hold themselves, and a client that hangs up
while it is streamed to leaves a circle of an exception and frames (anyio's `task_done`), in one of
which the student is. Python looks for circles once many objects came to be, and a hundred megabytes
of weights are few: here it is told to.
"""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import TYPE_CHECKING

from stillhouse.serve.students import Student

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def settle() -> None:
    """Leave out what there is now of whatever is looked through later: a server keeps it, and a
    million objects of libraries take a second, in which nobody is answered."""
    gc.collect()
    gc.freeze()


class Replaced:
    """Those whose memory may still be taken."""

    def __init__(self) -> None:
        self._models: list[weakref.ref[PreTrainedModel]] = []

    def add(self, student: Student) -> None:
        self._models.append(weakref.ref(student.model))

    def let_go(self) -> None:
        """Free those that nobody is answered by any more."""
        if not self._models:
            return
        # One that is gone has left layers behind, which this frees.
        self._models = [model for model in self._models if model() is not None]
        gc.collect()
        _give_back()


def _give_back() -> None:
    """What is free goes back to the system, where malloc knows how (glibc): between what is in use
    it would else stay, in each thread's own memory."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
