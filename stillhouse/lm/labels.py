"""Label tokens: one token of the vocabulary for each class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def readable(label: str) -> str:
    """A label as people would write it: `card_arrival` -> `card arrival`."""
    return " ".join(label.replace("_", " ").replace("-", " ").split())


def add_label_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: Mapping[str, str]
) -> None:
    """Add `tokens` (token -> label) to vocabulary and embeddings, in place.

    Each row starts as the mean of its label's name tokens, so that what the teacher knows of the
    words is a head start (Hewitt, "Initializing New Word Embeddings for Pretrained Language
    Models", 2021, shows why a mean beats random rows). A vocabulary padded beyond the tokenizer
    keeps its width when there is room.
    """
    import torch

    names = {
        token: tokenizer(" " + readable(label), add_special_tokens=False).input_ids
        for token, label in tokens.items()
    }
    tokenizer.add_tokens(list(tokens))
    width = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > width:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
            for token, ids in names.items():
                row = tokenizer.convert_tokens_to_ids(token)
                layer.weight[row] = layer.weight[ids].mean(dim=0)
