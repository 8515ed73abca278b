"""A model that runs somewhere else: it is asked, and nothing of it is here but its tokenizer.

What tasks need of it, and labelling; who asks it stands in `stillhouse/endpoint`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.chat import Asked, Conversation
from stillhouse.lm.generation import Generated
from stillhouse.lm.prompts import Encoder, Example

if TYPE_CHECKING:
    import numpy as np


class Elsewhere(ABC):
    """All methods raise `UserError` where the server doesn't answer as it has to."""

    @abstractmethod
    def choose(self, asked: Asked, names: Sequence[str], description: str) -> np.ndarray:
        """Probabilities [examples, names] of each name as the whole answer."""

    @abstractmethod
    def write(
        self,
        encoder: Encoder,
        examples: Sequence[Example],
        said: Sequence[Conversation],
        *,
        end_id: int,
        max_new_tokens: int,
        description: str,
    ) -> list[Generated]:
        """What follows the prompts of `examples`, which say the same as the conversations `said`;
        where there are none, the prompts are all there is."""

    @abstractmethod
    def likeliest(
        self, examples: Sequence[Example], entries: int, description: str
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Of each example the ids and log-probabilities [response tokens, entries] of the likeliest
        tokens where each token of its response stands, the likeliest first; where there are fewer,
        the last of them have no probability."""
