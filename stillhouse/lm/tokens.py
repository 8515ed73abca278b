"""New tokens in a model's vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from stillhouse.lm.prompts import Encoder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def add_tokens(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tokens: Mapping[str, str]
) -> None:
    """Add `tokens` (token -> what it means, in words) to vocabulary and embeddings, in place.

    Each row starts as the mean of its words' tokens, so that what the model knows of the words is
    a head start (Hewitt, "Initializing New Word Embeddings for Pretrained Language Models", 2021,
    shows why a mean beats random rows). A vocabulary padded beyond the tokenizer keeps its width
    when there is room.
    """
    import torch

    if not tokens:
        return
    words = Encoder(tokenizer, 0).texts([f" {words}" for words in tokens.values()])
    tokenizer.add_tokens(list(tokens))
    width = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > width:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for layer in {model.get_input_embeddings(), model.get_output_embeddings()}:
            for token, ids in zip(tokens, words, strict=True):
                row = tokenizer.convert_tokens_to_ids(token)
                layer.weight[row] = layer.weight[ids].mean(dim=0)
