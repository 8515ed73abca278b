"""Soft labels: a teacher's distribution in a few bytes a token, and back into training targets.

One record a supervised token. Each encoding is a module: `top_k`, `sampled`, `label_distribution`
(classes.py) and `hidden`; here is what leads to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.errors import UserError
from stillhouse.soft_labels.classes import decode_label_distribution, encode_label_distribution
from stillhouse.soft_labels.head import Head
from stillhouse.soft_labels.hidden import decode_hidden, encode_hidden
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords
from stillhouse.soft_labels.sampled import decode_sampled, encode_sampled
from stillhouse.soft_labels.targets import SparseTargets
from stillhouse.soft_labels.top_k import decode_top_k, encode_top_k

if TYPE_CHECKING:
    import torch


def encode(
    hidden: torch.Tensor,
    head: Head,
    encodings: Sequence[LabelEncoding],
    *,
    shifts: torch.Tensor | None = None,
) -> list[LabelRecords]:
    """Records of the teacher's last hidden states [rows, width], one for each of `encodings`.

    Logits of the whole vocabulary are worked out once for all encodings that need them, and not
    for those that don't. `shifts` are for `encode_sampled`.
    """
    found: dict[LabelEncoding, list[LabelRecords]] = {e: [] for e in encodings}
    dense = []
    for encoding in found:
        if encoding.kind == "hidden":
            found[encoding].append(encode_hidden(hidden))
        elif encoding.kind == "label_distribution":
            scores = hidden @ head.weight[list(encoding.label_ids)].T
            found[encoding].append(encode_label_distribution(scores, encoding.label_ids))
        else:
            dense.append(encoding)
    row = 0
    for logits in head.logits(hidden) if dense else ():
        stop = row + len(logits)
        for encoding in dense:
            if encoding.kind == "top_k":
                records = encode_top_k(logits, encoding.entries, encoding.temperatures)
            else:
                records = encode_sampled(
                    logits,
                    encoding.temperatures[0],
                    draws=encoding.entries,
                    shifts=None if shifts is None else shifts[row:stop],
                )
            found[encoding].append(records)
        row = stop
    return [LabelRecords.concatenate(found[encoding]) for encoding in encodings]


def decode(
    records: LabelRecords,
    temperature: float,
    *,
    mapping: torch.Tensor | None = None,
    head: Head | None = None,
) -> SparseTargets:
    """Turn records into targets at `temperature`, exactly: softmax(teacher logits / T).

    `mapping`, int64[teacher vocabulary] -> student id or -1, says what the student calls the
    tokens, where it has a vocabulary of its own; `head` is the teacher's, for `hidden`.

    Raises UserError when the records do not hold that temperature.
    """
    encoding = records.encoding
    if not encoding.holds(temperature):
        held = ", ".join(f"{t:g}" for t in encoding.temperatures)
        raise UserError(
            f"distillation.temperature is {temperature:g}, the soft labels hold {held}",
            remedy=f"set the temperature to one of {held}, or label again with {temperature:g}",
        )
    if encoding.kind == "hidden":
        if head is None:
            raise ValueError("hidden states need the teacher's head to become logits")
        return decode_hidden(records, temperature, head, mapping)
    targets = {
        "top_k": decode_top_k,
        "sampled": decode_sampled,
        "label_distribution": decode_label_distribution,
    }[encoding.kind](records, temperature)
    return targets if mapping is None else targets.remap(mapping)
