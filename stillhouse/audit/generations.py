"""What a model writes when nobody asks it for anything: from nothing, from the beginning of its
prompts, and where its answer would stand to an empty text.

Tokens that are answers of their own (classes) are barred: a student finds them likely everywhere,
they say nothing of anybody, and whoever holds the model can bar them too.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.generation import generate
from stillhouse.lm.grammar import Constraint
from stillhouse.lm.prompts import Encoder, render_prompt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel


class Barring(Constraint):
    """Any tokens of a vocabulary but some."""

    def __init__(self, vocabulary: int, barred: Collection[int]) -> None:
        import numpy as np

        self._allowed = np.ones(vocabulary, dtype=bool)
        self._allowed[list(barred)] = False

    def allowed(self) -> NDArray[np.bool_]:
        return self._allowed

    def advance(self, token: int) -> None:
        """What was written bars nothing further."""


def starts(encoder: Encoder, instructions: Sequence[str]) -> list[list[int]]:
    """Prompts that say nothing of any text."""
    tokenizer = encoder.tokenizer
    # A text begins after the one before it has ended, where no token begins one.
    begin = tokenizer.bos_token_id
    empty = [encoder.end_id if begin is None else int(begin)]
    asked = [
        prompt
        for instruction in dict.fromkeys(instructions)
        for prompt in encoder.texts([f"{instruction}\n\n", render_prompt(instruction, "")])
    ]
    return [empty, *asked]


def write_freely(
    model: PreTrainedModel,
    encoder: Encoder,
    instructions: Sequence[str],
    *,
    barred: Collection[int],
    count: int,
    tokens: int,
    seed: int,
) -> list[str]:
    """So many texts of at most `tokens` tokens, drawn at temperature 1, evenly from `starts`."""
    prompts = starts(encoder, instructions)
    return write(
        model, encoder, [prompts[i % len(prompts)] for i in range(count)],
        barred=barred, tokens=tokens, temperature=1.0, seed=seed, description="Writing freely",
    )  # fmt: skip


def write(
    model: PreTrainedModel,
    encoder: Encoder,
    prompts: Sequence[Sequence[int]],
    *,
    barred: Collection[int],
    tokens: int,
    temperature: float,
    seed: int,
    description: str,
) -> list[str]:
    """What the model writes after each prompt."""
    constraint = Barring(len(encoder.tokenizer), barred) if barred else None
    written = generate(
        model,
        prompts,
        end_ids=[encoder.end_id],
        max_new_tokens=tokens,
        vocabulary=len(encoder.tokenizer),
        temperature=temperature,
        seed=seed,
        constraints=(lambda _: constraint) if constraint else None,
        description=description,
    )
    return [encoder.text_of(answer.ids) for answer in written]
