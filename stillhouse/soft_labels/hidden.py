"""`hidden`: the last hidden state as bfloat16, two bytes times the width a token.

With the teacher's head it gives the whole distribution, at any temperature, exactly but for the
rounding of the state: 1.2 kB a token for a small teacher of width 576, where the distribution
itself would take 200. What it costs is the product with the head, in every epoch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillhouse.soft_labels.head import Head, require_finite
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords, as_array
from stillhouse.soft_labels.targets import SparseTargets

if TYPE_CHECKING:
    import torch

# A loss over a whole vocabulary would be slow: so many of the likeliest tokens apart, and the
# exact mass of all others as one.
LISTED = 256


def encode_hidden(hidden: torch.Tensor) -> LabelRecords:
    """Keep `hidden` [rows, width], what the head is given: after the final norm."""
    import torch

    require_finite(hidden)
    # numpy knows no bfloat16.
    bits = hidden.detach().to(torch.bfloat16).contiguous().view(torch.int16)
    return LabelRecords(
        LabelEncoding("hidden", hidden.shape[1]), {"hidden": as_array(bits, "int16").view("uint16")}
    )


def decode_hidden(
    records: LabelRecords,
    temperature: float,
    head: Head,
    mapping: torch.Tensor | None = None,
) -> SparseTargets:
    """The `LISTED` likeliest tokens at `temperature`, and the exact mass of all others.

    With `mapping`, int64[teacher vocabulary] -> student id or -1, they are the likeliest of those
    that the student has, under its ids; the mass of those that it lacks is part of the tail. So
    no `remap` is due. Works on the head's device; what it returns is on the CPU.
    """
    import torch

    width = head.weight.shape[1]
    if records.encoding.entries != width:
        raise ValueError(f"hidden states of width {records.encoding.entries}, a head of {width}")
    bits = torch.from_numpy(records.arrays["hidden"].view("int16"))
    hidden = bits.view(torch.bfloat16).to(head.weight.device)
    own = None
    if mapping is not None:
        own = (mapping[: len(head.weight)] >= 0).nonzero()[:, 0].to(head.weight.device)
    ids, probs, tails = [], [], []
    for logits in head.logits(hidden):
        mass = (logits / temperature).softmax(1)
        among = mass if own is None else mass.index_select(1, own)
        most, places = among.topk(min(LISTED, among.shape[1]), dim=1)
        listed = places if own is None else own[places]
        probs.append(most.cpu())
        ids.append(listed.cpu())
        # From the others themselves, as for `top_k`.
        tails.append(mass.scatter_(1, listed, 0.0).sum(1).cpu())
    found = torch.cat(ids)
    return SparseTargets(
        ids=found if mapping is None else mapping[found],
        probs=torch.cat(probs),
        tail=torch.cat(tails),
        temperature=temperature,
    )
