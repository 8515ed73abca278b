"""From an instruction pair to token ids: one prompt form for teacher, student and serving."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Example:
    """Token ids of prompt and response; position `response_start` is the response's first token.

    The logits that predict response token `t` stand one position before it, so position
    `response_start - 1` (the prompt's last token) is the first supervised one.
    """

    key: str
    ids: list[int]
    response_start: int

    @property
    def response_ids(self) -> list[int]:
        return self.ids[self.response_start :]


def render_prompt(instruction: str, text: str) -> str:
    """The prompt, up to where the response begins.

    Plain text rather than a chat template: a template costs some 30 tokens a prompt, as much as
    a short ticket, and a student that does one narrow task has no use for roles. Documents are
    untrusted, so a `<|...|>` in them must not become one of the tokenizer's special tokens.
    """
    return f"{instruction}\n\n{text.replace('<|', '< |')}\n\nAnswer:"


def label_token(task: str, label: str) -> str:
    """The one token that stands for a class; tasks may share label names."""
    return f"<|{task}:{label}|>"


def encode_pairs(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[dict[str, Any]], *, max_tokens: int
) -> list[Example]:
    """Tokenize rows with `pair_id`, `instruction`, `input` and `response`.

    A prompt over `max_tokens` loses the end of its input, never its instruction or its response.
    """
    prompts = [render_prompt(p["instruction"], p["input"]) for p in pairs]
    encoded = tokenizer(prompts, add_special_tokens=False)["input_ids"]
    responses = tokenizer([p["response"] for p in pairs], add_special_tokens=False)["input_ids"]
    examples = []
    for pair, prompt, response in zip(pairs, encoded, responses, strict=True):
        ids = prompt
        if len(prompt) + len(response) > max_tokens:
            ids = _shortened(tokenizer, pair, max_tokens - len(response))
        examples.append(Example(pair["pair_id"], ids + response, len(ids)))
    return examples


def _shortened(tokenizer: PreTrainedTokenizerBase, pair: dict[str, Any], budget: int) -> list[int]:
    frame = len(
        tokenizer(render_prompt(pair["instruction"], ""), add_special_tokens=False).input_ids
    )
    text = pair["input"].replace("<|", "< |")
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True).offset_mapping
    room = max(1, budget - frame)
    while True:
        cut = text[: offsets[min(room, len(offsets)) - 1][1]] if offsets else ""
        ids: list[int] = tokenizer(
            render_prompt(pair["instruction"], cut), add_special_tokens=False
        ).input_ids
        if len(ids) <= budget or room <= 1:
            return ids
        room -= len(ids) - budget  # tokens may join differently at the seam
