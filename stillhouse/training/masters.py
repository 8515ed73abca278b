"""Weights that are trained in float32 while the model computes in another type.

A step moves a weight by less than bfloat16 can tell apart; so the optimizer moves float32 masters,
and the model holds their rounded copies (Micikevicius et al., "Mixed Precision Training", 2018;
bfloat16 needs no scaling of the loss).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


class Masters:
    """The trained `parameters` of a model, in float32; `weights` by the same names.

    A float32 parameter that is computed with in float32 is its own master.
    """

    def __init__(
        self, parameters: Mapping[str, torch.nn.Parameter], dtype: torch.dtype | None = None
    ) -> None:
        import torch

        self.weights: dict[str, torch.nn.Parameter] = {}
        self._rounded: list[tuple[torch.nn.Parameter, torch.nn.Parameter, torch.dtype]] = []
        for name, p in parameters.items():
            if p.dtype == (dtype or p.dtype) and p.dtype.itemsize >= 4:
                self.weights[name] = p
                continue
            master = self.weights[name] = torch.nn.Parameter(p.detach().float())
            self._rounded.append((p, master, dtype or p.dtype))

    @contextmanager
    def lent(self) -> Iterator[None]:
        """While inside, the model computes with rounded copies; after, it holds the masters."""
        try:
            for p, master, dtype in self._rounded:
                p.data = master.detach().to(dtype)
            yield
        finally:
            for p, master, _ in self._rounded:
                p.data, p.grad = master.detach(), None

    def publish(self) -> None:
        """Let the model compute with the masters as they are now."""
        import torch

        with torch.no_grad():
            for p, master, _ in self._rounded:
                p.copy_(master)

    def collect(self) -> None:
        """Add the gradients of a backward pass to those of the masters."""
        for p, master, _ in self._rounded:
            if p.grad is None:
                continue
            if master.grad is None:
                master.grad = p.grad.to(master.dtype)
            else:
                master.grad += p.grad
            p.grad = None
