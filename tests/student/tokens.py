"""Token ids of texts, as a vocabulary is pruned to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokens_of(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> set[int]:
    return {i for ids in tokenizer(list(texts))["input_ids"] for i in ids}
