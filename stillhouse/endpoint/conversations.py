"""Conversations as messages, and classes in what is answered to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillhouse.lm.chat import Conversation
from stillhouse.lm.prompts import Encoder

if TYPE_CHECKING:
    import numpy as np


def messages_of(said: Conversation, marks: Sequence[str]) -> list[dict[str, str]]:
    """The turns of a conversation. The server puts them into its own template, and would read the
    `marks` of its tokenizer there: a text that spells one has it broken by a space."""
    turns = [("system", said.system)] if said.system.strip() else []
    for text, answer in said.shots:
        turns += [("user", text), ("assistant", answer)]
    turns.append(("user", said.text))
    return [{"role": who, "content": _unmarked(what.strip(), marks)} for who, what in turns]


def one_message(encoder: Encoder, prompt: Sequence[int]) -> list[dict[str, str]]:
    """A prompt that is no conversation, as what a user says."""
    return [{"role": "user", "content": str(encoder.tokenizer.decode(list(prompt))).strip()}]


def classes_of_tokens(
    told: Sequence[tuple[str, float]], names: Sequence[str], vocabulary: int
) -> tuple[np.ndarray, bool]:
    """Probabilities [names] from the likeliest first tokens of an answer, and whether one of them
    names any.

    A token counts for each name that begins with it, in equal shares. What the likeliest tokens
    leave over belongs to all others of the `vocabulary`; how, is not told. So it is shared evenly,
    but no share exceeds that of the least likely token told; a name that no token stands for has
    one such share. It is the least that says nothing of the server's own.
    """
    import numpy as np

    found, rest = np.zeros(len(names)), 1.0
    least = 1.0
    for token, log_prob in told:
        probability = math.exp(min(0.0, log_prob))
        rest, least = rest - probability, min(least, probability)
        start = token.lstrip(" \n\t▁Ġ")
        begun = [i for i, name in enumerate(names) if start and name.startswith(start)]
        found[begun] += probability / max(1, len(begun))
    named = bool(found.any())
    share = max(0.0, rest) / max(1, vocabulary - len(told))
    share = max(min(share, least), 1e-12)
    found[found == 0.0] = share
    normalised: np.ndarray = found / found.sum()
    return normalised, named


def name_in(answer: str, names: Sequence[str]) -> int | None:
    """Which of the names an answer says: as a whole, else the only one in its first line."""
    first = next((line for line in answer.splitlines() if line.strip()), "")
    said = _key(first)
    keys = [_key(name) for name in names]
    if said in keys:
        return keys.index(said)
    padded = f" {said} "
    within = [i for i, key in enumerate(keys) if f" {key} " in padded]
    # "card arrival" says "card" too.
    longest = [i for i in within if not any(i != j and keys[i] in keys[j] for j in within)]
    return longest[0] if len(longest) == 1 else None


def _key(text: str) -> str:
    return " ".join("".join(c if c.isalnum() else " " for c in text.casefold()).split())


def _unmarked(text: str, marks: Sequence[str]) -> str:
    for mark in marks:
        if len(mark) > 1 and mark in text:
            text = text.replace(mark, f"{mark[0]} {mark[1:]}")
    return text
