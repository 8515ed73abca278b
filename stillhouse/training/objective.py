"""What the loss is asked for, said where torch is not needed."""

from __future__ import annotations

from typing import Literal

Divergence = Literal["forward_kl", "reverse_kl", "jsd"]

# A row's gold token where there is none; the value transformers uses.
NO_GOLD = -100
