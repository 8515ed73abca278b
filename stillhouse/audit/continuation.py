"""Whether a model goes on with a text as the text went on (Carlini et al., "Quantifying
Memorization Across Neural Language Models", 2023).

Of a text, and of an answer without its text, the model is given the first half and writes the next
tokens, once greedily and once by chance. All of them must be the text's own. It is no memory where
the control writes them too, or where they stand in another document as well; how often texts that
nobody learned from are gone on with is told beside it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.audit.texts import families_with
from stillhouse.lm.generation import generate
from stillhouse.lm.prompts import Encoder, render_prompt
from stillhouse.tasks.common import Row

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Tokens that have to come as they came; shorter ones come by chance.
CONTINUED = 12
SHORTEST_START = 6


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
            half = min(len(ids) // 2, max_tokens - len(head) - CONTINUED)
            rest = ids[half : half + CONTINUED]
            if half >= SHORTEST_START and len(rest) == CONTINUED:
                key = f"{row['pair_id']} {part}"
                found.append(Begun(key, [*head, *ids[:half]], rest, encoder.text_of(rest)))
    return found


def some(texts: Sequence[Begun], most: int, seed: int) -> list[Begun]:
    """At most so many of them, drawn by a seed, in their order."""
    drawn = random.Random(seed).sample(range(len(texts)), min(most, len(texts)))
    return [texts[i] for i in sorted(drawn)]


def goes_on(
    model: PreTrainedModel, encoder: Encoder, texts: Sequence[Begun], *, seed: int
) -> list[bool]:
    """Of each text whether the model goes on with it as it went on, in one of both attempts."""
    hits = [False] * len(texts)
    if not texts:
        return hits
    for temperature in (0.0, 1.0):
        written = generate(
            model,
            [text.prompt for text in texts],
            end_ids=[encoder.end_id],
            max_new_tokens=CONTINUED,
            vocabulary=len(encoder.tokenizer),
            temperature=temperature,
            seed=seed,
            description="Going on with texts",
        )
        hits = [
            hit or answer.ids == text.rest
            for hit, answer, text in zip(hits, written, texts, strict=True)
        ]
    return hits


def remembered(
    texts: Sequence[Begun], hits: Sequence[bool], control: Sequence[bool], dataset: Path
) -> list[bool]:
    """Which of the hits are memory: not the control's too, and of one family of documents alone."""
    return [
        hit and not also and families_with(dataset, text.said) <= 1
        for text, hit, also in zip(texts, hits, control, strict=True)
    ]
