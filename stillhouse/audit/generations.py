"""What a model writes when nobody asks it for anything: from nothing, from the beginning of its
prompts, and where its answer would stand to an empty text.

Tokens that are answers of their own (classes) are barred: a student finds them likely everywhere,
they say nothing of anybody, and whoever holds the model can bar them too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.generation import generate
from stillhouse.lm.prompts import Encoder, render_prompt

if TYPE_CHECKING:
    from transformers import PreTrainedModel


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
    barred: Sequence[int],
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
    barred: Sequence[int],
    tokens: int,
    temperature: float,
    seed: int,
    description: str,
) -> list[str]:
    """What the model writes after each prompt."""
    written = generate(
        model,
        prompts,
        end_ids=[encoder.end_id],
        max_new_tokens=tokens,
        vocabulary=len(encoder.tokenizer),
        barred=barred,
        temperature=temperature,
        seed=seed,
        description=description,
    )
    return [encoder.text_of(answer.ids) for answer in written]
