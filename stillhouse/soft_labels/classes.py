"""`label_distribution`: where answers are classes, their log-probabilities and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.soft_labels.head import require_finite
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords, as_array
from stillhouse.soft_labels.targets import SparseTargets

if TYPE_CHECKING:
    import torch


def encode_label_distribution(scores: torch.Tensor, label_ids: Sequence[int]) -> LabelRecords:
    """One distribution over the classes: softmax over their `scores` [rows, classes].

    They are the logits of the classes' tokens `label_ids`, or any log-likelihoods in their order
    (a zero-shot teacher scores the names as sequences). Complete, so that every temperature can
    be had from it.
    """
    label_ids = tuple(int(i) for i in label_ids)
    if len(set(label_ids)) != len(label_ids) or not label_ids:
        raise ValueError(f"classes need distinct tokens: {label_ids}")
    if scores.ndim != 2 or scores.shape[1] != len(label_ids):
        raise ValueError(f"scores of {len(label_ids)} classes expected, got {tuple(scores.shape)}")
    scores = scores.float()
    require_finite(scores.amax(1))  # -inf is a class that is no answer here
    return LabelRecords(
        LabelEncoding("label_distribution", len(label_ids), label_ids=label_ids),
        {"log_probs": as_array(scores.log_softmax(1), "float32")},
    )


def decode_label_distribution(records: LabelRecords, temperature: float) -> SparseTargets:
    """Exact at any temperature."""
    import torch

    log_probs = torch.from_numpy(records.arrays["log_probs"].astype("float32")) / temperature
    return SparseTargets(
        ids=torch.tensor(records.encoding.label_ids).repeat(len(log_probs), 1),
        probs=log_probs.softmax(1),
        tail=torch.zeros(len(log_probs)),
        temperature=temperature,
        kind="label_distribution",
    )
