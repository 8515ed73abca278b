"""Whether a model goes on with a text as the text went on (Carlini et al., "Quantifying
Memorization Across Neural Language Models", 2023).

Of a text, and of an answer without its text, the model is given the first half; what comes next
must be the text's own tokens, all 12 of them. Nothing has to be written for that: greedy decoding
gives them exactly where each is the likeliest after those before it, and drawing gives them as
often as the product of their probabilities says. One of 100 draws counts, where that is likelier
than not (Hayes et al., "Measuring Memorization through Probabilistic Discoverable Extraction",
2024).

It is no memory where the control does so too, or where the tokens stand in another document as
well; how often texts that nobody learned from are gone on with is told beside it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.audit.scores import score_tokens
from stillhouse.audit.texts import families_with
from stillhouse.lm.prompts import Encoder, Example, render_prompt
from stillhouse.tasks.common import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Tokens that have to come as they came; shorter ones come by chance.
CONTINUED = 12
SHORTEST_START = 6
DRAWS = 100


@dataclass(frozen=True)
class Begun:
    """The beginning of a text as a prompt, and the tokens that followed it; `said` is what they
    say."""

    key: str
    prompt: list[int]
    rest: list[int]
    said: str


def begun(encoder: Encoder, rows: Sequence[Row], *, max_tokens: int) -> list[Begun]:
    """Of each pair its text, and its answer, where they are long enough to be told by."""
    found = []
    heads = encoder.texts([f"{row['instruction']}\n\n" for row in rows])
    blank = encoder.texts([render_prompt(row["instruction"], "") for row in rows])
    texts, answers = (encoder.texts([row[name] for row in rows]) for name in ("input", "response"))
    for row, *both in zip(rows, zip(heads, texts, strict=True), zip(blank, answers, strict=True),
                          strict=True):  # fmt: skip
        for part, (head, ids) in zip(("text", "answer"), both, strict=True):
            half = min(len(ids) // 2, len(ids) - CONTINUED, max_tokens - len(head) - CONTINUED)
            rest = ids[half : half + CONTINUED]
            if half >= SHORTEST_START:
                key = f"{row['pair_id']} {part}"
                found.append(Begun(key, [*head, *ids[:half]], rest, encoder.text_of(rest)))
    return found


def some(texts: Sequence[Begun], most: int, seed: int) -> list[Begun]:
    """At most so many of them, drawn by a seed, in their order."""
    drawn = random.Random(seed).sample(range(len(texts)), min(most, len(texts)))
    return [texts[i] for i in sorted(drawn)]


def goes_on(model: PreTrainedModel, encoder: Encoder, texts: Sequence[Begun]) -> list[bool]:
    """Of each text whether the model goes on with it as it went on: greedily, or in one of `DRAWS`
    draws rather than in none."""
    scored = score_tokens(
        model,
        [Example(text.key, text.prompt + text.rest, len(text.prompt)) for text in texts],
        pad_id=encoder.tokenizer.pad_token_id,
        vocabulary=len(encoder.tokenizer),
        description="Going on with texts",
    )
    return [bool((s.log_probs >= s.best).all()) or drawn(s.log_probs.sum()) for s in scored]


def drawn(log_prob: float) -> bool:
    """Whether so likely a text comes up in `DRAWS` draws rather than not."""
    return (1 - min(1.0, exp(log_prob))) ** DRAWS <= 0.5


def remembered(
    texts: Sequence[Begun], hits: Sequence[bool], control: Sequence[bool], dataset: Path
) -> list[bool]:
    """Which of the hits are memory: not the control's too, and of one family of documents alone."""
    return [
        hit and not also and families_with(dataset, text.said) <= 1
        for text, hit, also in zip(texts, hits, control, strict=True)
    ]
