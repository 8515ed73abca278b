"""Soft labels of written answers from a teacher that a server runs: its likeliest tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from stillhouse.config.teacher import SoftLabels
from stillhouse.endpoint.remote import Remote
from stillhouse.lm.prompts import Example
from stillhouse.soft_labels.records import LabelEncoding, LabelRecords


def label_elsewhere(
    model: Remote,
    examples: Sequence[Example],
    encodings: Sequence[LabelEncoding],
    settings: SoftLabels,
) -> Iterator[dict[LabelEncoding, dict[str, LabelRecords]]]:
    """Labels of the response tokens of `examples`, a shard at a time, all in `top_k`.

    The mass of all other tokens is what is missing to 1. That is known at temperature 1 alone,
    whatever temperature a student asks for.
    """
    import numpy as np

    size = settings.shard_pairs
    for encoding in encodings if examples else ():
        if encoding.kind != "top_k" or encoding.temperatures != (1.0,):
            raise ValueError(f"a server tells its likeliest tokens alone, not {encoding}")
        for start in range(0, len(examples), size):
            shard = examples[start : start + size]
            found = {}
            told = model.likeliest(shard, encoding.entries, "Labelling")
            for example, (ids, log_probs) in zip(shard, told, strict=True):
                tails = 1.0 - np.exp(log_probs.astype("float64")).sum(axis=1, keepdims=True)
                found[example.key] = LabelRecords(
                    encoding,
                    {
                        "ids": ids.astype("uint32"),
                        "log_probs": log_probs.astype("float32"),
                        "tails": tails.clip(0.0, 1.0).astype("float32"),
                    },
                )
            yield {encoding: found}
