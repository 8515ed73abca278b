"""What a pruned vocabulary says of the texts that it was pruned to.

A token is kept because a text of the training split holds it, or a longer one that it is a part of.
So a vault's word among the tokens may tell that it stood there unmasked. Common names are tokens of
the teacher's vocabulary; of these pruning should have dropped most.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stillhouse.audit.personal import SHORTEST

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Kept:
    """Of `words` of a vault so many are whole `tokens` of a vocabulary, and so many are two of its
    `pieces` put together that are no shorter than 4 letters each; `by_kind` counts the tokens."""

    words: int
    tokens: int
    pieces: int
    by_kind: dict[str, int]


def spoken(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    """The words that are tokens of a vocabulary, in lower case."""
    found = (tokenizer.decode([i]).strip().casefold() for i in tokenizer.get_vocab().values())
    return {word for word in found if word.isalnum()}


def kept(words: Mapping[str, Collection[str]], vocabulary: Collection[str]) -> Kept:
    """What a vocabulary (its tokens as words) has of a vault's words, which come by kind."""
    whole = {
        kind: {word for word in of_kind if word in vocabulary} for kind, of_kind in words.items()
    }
    every = set().union(*words.values()) if words else set()
    tokens = set().union(*whole.values()) if whole else set()
    pieces = {word for word in every - tokens if _in_two(word, vocabulary)}
    by_kind = {kind: len(found) for kind, found in sorted(whole.items()) if found}
    return Kept(len(every), len(tokens), len(pieces), by_kind)


def _in_two(word: str, vocabulary: Collection[str], least: int = 4) -> bool:
    cuts: Iterable[int] = range(least, len(word) - least + 1)
    return len(word) >= max(SHORTEST, 2 * least) and any(
        word[:cut] in vocabulary and word[cut:] in vocabulary for cut in cuts
    )
