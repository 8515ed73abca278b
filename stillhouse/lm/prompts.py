"""From an instruction pair to token ids: one prompt form for teacher, student and serving."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from stillhouse.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerBase

SPACE = "▁"  # in vocabularies made by SentencePiece
BLANK = 0


@dataclass(frozen=True)
class Example:
    """Token ids of prompt and response; position `response_start` is the response's first token.

    The logits that predict response token `t` stand one position before it, so position
    `response_start - 1` (the prompt's last token) is the first supervised one. `cut` where the text
    lost its end.
    """

    key: str
    ids: list[int]
    response_start: int
    cut: bool = False

    @property
    def response_ids(self) -> list[int]:
        return self.ids[self.response_start :]


def render_prompt(instruction: str, text: str) -> str:
    """The prompt, up to where the response begins.

    Plain text rather than a chat template: a template costs some 30 tokens a prompt, as much as
    a short ticket, and a student that does one narrow task has no use for roles.
    """
    return f"{instruction}\n\n{text}\n\nAnswer:"


class Encoder:
    """Tokenizes pairs for one model; texts are untrusted, and stay text.

    Whatever a document says, no part of it becomes one of the tokenizer's special or added
    tokens: `<|im_end|>` in a ticket is eleven characters, not the end of a turn. Texts without
    such a mark are cut into tokens as the tokenizer itself does. Making one takes as long as
    reading the vocabulary (0.3 s for 49,152 tokens): make one a model. `marks` are those tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_tokens: int) -> None:
        self.tokenizer, self.max_tokens = tokenizer, max_tokens
        self._plain, self.marks = _without_marks(tokenizer)

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of plain texts."""
        found = self._plain.encode_batch(list(texts), add_special_tokens=False)
        return [[i for i in e.ids if i not in self.marks] for e in found]

    def text_of(self, ids: Sequence[int]) -> str:
        """What an answer of these tokens says."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def places(self, ids: Sequence[int]) -> list[tuple[int, int]]:
        """Where each token's characters stand in `text_of(ids)`."""
        ends = [len(self.text_of(ids[: n + 1])) for n in range(len(ids))]
        return list(zip([0, *ends[:-1]], ends, strict=True)) if ends else []

    def pairs(self, pairs: Sequence[dict[str, Any]]) -> list[Example]:
        """Prompt and response of rows with `pair_id`, `instruction`, `input` and `response`.

        A response is a token that was added for the task, or else text and the end token. A
        prompt over `max_tokens` loses the end of its input, never its instruction or its response.
        """
        return self._examples(pairs, self.responses([p["response"] for p in pairs]))

    def responses(self, responses: Sequence[str]) -> list[list[int]]:
        """Token ids of responses, as every model is to write them."""
        added = self.tokenizer.get_added_vocab()
        texts = iter(self.texts([r for r in responses if r not in added]))
        return [[added[r]] if r in added else [*next(texts), self.end_id] for r in responses]

    @property
    def end_id(self) -> int:
        """The token that ends a written answer; raises `UserError` where there is none."""
        end = self.tokenizer.eos_token_id
        if end is None:
            raise UserError(
                f"{self.tokenizer.name_or_path}: tokenizer_config.json: there is no eos_token, and "
                "an answer could not end",
                remedy="name the tokenizer's end token as `eos_token` there.",
            )
        return int(end)

    @cached_property
    def unwritten(self) -> list[int]:
        """Tokens that no answer in words has, as no text becomes one: those that are whole answers
        of other tasks among them. Not the end token."""
        own = self.marks - {self.tokenizer.eos_token_id}
        size = len(self.tokenizer)
        return sorted(token for token in own if token < size)

    def prompts(self, pairs: Sequence[dict[str, Any]]) -> list[Example]:
        """The same to predict from: in place of the response stands a blank, which no model is
        fed, so that an answer can't be known beforehand."""
        return self._examples(pairs, [[BLANK]] * len(pairs))

    def _examples(
        self, pairs: Sequence[dict[str, Any]], responses: Sequence[list[int]]
    ) -> list[Example]:
        prompts = self.texts([render_prompt(p["instruction"], p["input"]) for p in pairs])
        examples = []
        for pair, ids, response in zip(pairs, prompts, responses, strict=True):
            if cut := len(ids) + len(response) > self.max_tokens:
                ids = self._shortened(pair, self.max_tokens - len(response))
            examples.append(Example(pair["pair_id"], ids + response, len(ids), cut))
        return examples

    def beginning(self, text: str, tokens: int) -> str:
        """As much of a text as so many tokens hold."""
        offsets = self._plain.encode(text, add_special_tokens=False).offsets
        return text if len(offsets) <= tokens else text[: offsets[tokens - 1][1]] * (tokens > 0)

    def _shortened(self, pair: dict[str, Any], budget: int) -> list[int]:
        instruction, text = pair["instruction"], pair["input"]
        (frame,) = self.texts([render_prompt(instruction, "")])
        offsets = self._plain.encode(text, add_special_tokens=False).offsets
        room = max(1, budget - len(frame))
        while True:
            cut = text[: offsets[min(room, len(offsets)) - 1][1]] if offsets else ""
            (ids,) = self.texts([render_prompt(instruction, cut)])
            if len(ids) <= budget or room <= 1:
                return ids
            room -= len(ids) - budget  # tokens may join differently at the seam


def _without_marks(tokenizer: PreTrainedTokenizerBase) -> tuple[Tokenizer, frozenset[int]]:
    """A copy of the tokenizer that looks for no added token in a text, and ids it must not give.

    The copy alone suffices for BPE, where no merge leads to such a token; a tokenizer that finds
    whole words in its vocabulary may still meet one there, and it is left out. Runs of spaces are
    added tokens in some vocabularies (GPT-NeoX, Gemma): they mark nothing, and stay.
    """
    from tokenizers import Tokenizer

    backend = json.loads(tokenizer.backend_tokenizer.to_str())
    blank: list[dict[str, Any]] = []
    marks: list[dict[str, Any]] = []
    for token in backend["added_tokens"]:
        spaces = not token["special"] and not token["content"].replace(SPACE, " ").strip()
        (blank if spaces else marks).append(token)
    # Left over from the last call of the tokenizer.
    backend |= {"added_tokens": blank, "padding": None, "truncation": None}
    model = backend["model"]
    # What stands for bytes and characters that the vocabulary lacks is no mark either.
    spelled = {model.get("unk_token")}
    if model.get("byte_fallback"):
        spelled |= {f"<0x{byte:02X}>" for byte in range(256)}
    barred = {t["id"] for t in marks if t["content"] not in spelled} - {model.get("unk_id")}
    return Tokenizer.from_str(json.dumps(backend)), frozenset(barred)
