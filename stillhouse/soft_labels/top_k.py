"""`top_k`: the k likeliest tokens with their log-probabilities, and the mass of all others.

The tail is kept for every temperature asked for, and is part of the label: the k alone,
renormalised, teach the student that everything else is impossible. Deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.soft_labels.head import require_finite
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords, as_array
from stillhouse.soft_labels.targets import SparseTargets

if TYPE_CHECKING:
    import torch


def encode_top_k(logits: torch.Tensor, k: int, temperatures: Sequence[float]) -> LabelRecords:
    """Keep the k likeliest of float32 `logits` [rows, vocab], and the others' mass at each
    temperature."""
    import torch

    encoding = LabelEncoding("top_k", k, tuple(float(t) for t in temperatures))
    if not encoding.temperatures or min(encoding.temperatures) <= 0:
        raise ValueError(f"temperatures must be positive and at least one: {temperatures}")
    if not 1 <= k <= logits.shape[1]:
        raise ValueError(f"k={k} of {logits.shape[1]} tokens")
    kept, ids = logits.topk(k, dim=1)
    require_finite(kept[:, 0])
    # From the others themselves: 1 - sum(kept) has no digit left when the teacher is sure.
    tails = [(logits / t).softmax(1).scatter_(1, ids, 0.0).sum(1) for t in encoding.temperatures]
    # A softmax and its logarithm at one token cost a third of a log-sum-exp over all.
    most = logits.softmax(1).gather(1, ids[:, :1]).log()
    return LabelRecords(
        encoding,
        {
            "ids": as_array(ids, "uint32"),
            "log_probs": as_array(kept - kept[:, :1] + most, "float32"),
            "tails": as_array(torch.stack(tails, dim=1), "float32"),
        },
    )


def decode_top_k(records: LabelRecords, temperature: float) -> SparseTargets:
    """Exact at the temperatures that the records hold."""
    import torch

    column = records.encoding.temperatures.index(temperature)
    log_probs = torch.from_numpy(records.arrays["log_probs"].astype("float32")) / temperature
    tail = torch.from_numpy(records.arrays["tails"][:, column].astype("float32"))
    return SparseTargets(
        ids=torch.from_numpy(records.arrays["ids"].astype("int64")),
        # The normaliser at this temperature, out of the tail that was measured with it.
        probs=log_probs.softmax(1) * (1 - tail)[:, None],
        tail=tail,
        temperature=temperature,
    )
