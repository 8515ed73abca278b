"""How a model is asked that has not learned a task: in turns, by the chat template it came with, or
in plain text where it has none.

A chat template is a Jinja program inside the tokenizer, trusted as much as the weights, and run in
transformers' sandbox. What documents say is not trusted: it never becomes a mark of the template,
whatever it spells (see `Encoder`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from stillhouse.errors import UserError
from stillhouse.lm.prompts import Encoder, Example

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Templates that tell the date would ask otherwise every day; and no answer is to be thought out.
FIXED = {
    "date_string": "26 Jul 2024",
    "strftime_now": date(2024, 7, 26).strftime,
    "enable_thinking": False,
}


@dataclass(frozen=True)
class Conversation:
    """What is said: `system` tells what to do, `shots` are texts with their answers."""

    system: str
    shots: Sequence[tuple[str, str]]
    text: str

    @property
    def said(self) -> list[str]:
        turns = [*(part for shot in self.shots for part in shot), self.text]
        return [part.strip() for part in (self.system, *turns)]


@dataclass(frozen=True)
class Asked:
    """Prompts for a model that answers in words.

    `examples` hold a blank for the response (see `Encoder.prompts`), `priors` the same without
    their texts, where what the model answers to nothing is to be divided out. Answers are among
    the first `vocabulary` tokens: what lies beyond was added for models that have learned them.
    `said` are the conversations that the examples hold.
    """

    form: Form
    examples: list[Example]
    priors: list[Example] | None
    vocabulary: int
    said: Sequence[Conversation] = ()


class Form:
    """The form of prompts to one tokenizer; `form` as in `config.teacher.TeacherPrompt`.

    Texts without marks are cut into tokens as by the tokenizer's own `apply_chat_template`.
    Raises `UserError` where a chat template is asked for that isn't there, or that doesn't hold
    what it is given exactly once.
    """

    def __init__(self, encoder: Encoder, form: Literal["auto", "chat", "plain"]) -> None:
        from tokenizers import Tokenizer

        self.encoder = encoder
        tokenizer = encoder.tokenizer
        if form == "chat" and not tokenizer.chat_template:
            raise UserError(
                "teachers[].prompt.form: chat: the teacher's tokenizer has no chat template",
                remedy="set `teachers[].prompt.form: plain`, or bring the chat_template.jinja of "
                "the model along with its weights.",
            )
        chat = form == "chat" or (form == "auto" and bool(tokenizer.chat_template))
        # A copy: the tokenizer's own may be set to cut texts off, or be set so later.
        self._backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
        self._backend.no_padding()
        self._backend.no_truncation()
        begins = self._backend.encode("").ids[:1] == [tokenizer.bos_token_id]
        self._render: _Chat | _Plain = (
            _Chat(tokenizer) if chat else _Plain(tokenizer.bos_token if begins else "")
        )
        self._frames: dict[int, tuple[list[str | int], list[int]]] = {}

    @property
    def is_chat(self) -> bool:
        return isinstance(self._render, _Chat)

    def prompts(self, conversations: Sequence[Conversation]) -> list[list[int]]:
        """Token ids, up to where the answer begins."""
        frames = [self._frame(len(c.shots)) for c in conversations]
        whole = [
            "".join(_filled(frame, c.said))
            for (frame, _), c in zip(frames, conversations, strict=True)
        ]
        found = []
        encoded = self._backend.encode_batch(whole, add_special_tokens=False)
        for (frame, marks), conversation, encoding in zip(
            frames, conversations, encoded, strict=True
        ):
            ids = list(encoding.ids)
            if self._marks(ids) != marks:  # a text spells one, too
                ids = self._apart(frame, conversation.said)
            found.append(ids)
        return found

    def answers(self, answers: Sequence[str]) -> list[list[int]]:
        """Token ids of whole answers, as they would follow a prompt: with the token that ends an
        answer, so that "card" and "card arrival" are told apart."""
        before, lead, _ = self._ending
        (start,) = self.encoder.texts([before])
        whole = self.encoder.texts([f"{before}{lead}{answer}" for answer in answers])
        alone = self.encoder.texts([f"{lead}{answer}" for answer in answers])
        return [
            [*(ids[len(start) :] if ids[: len(start)] == start else own), self.end_id]
            for ids, own in zip(whole, alone, strict=True)
        ]

    @cached_property
    def end_id(self) -> int:
        """The token that ends an answer: of the template's, the mark that ends the turn; in plain
        text, the line's end."""
        before, lead, after = self._ending
        mark = next((part for part in after if isinstance(part, int)), None)
        text = after[0] if after and isinstance(after[0], str) else ""
        if mark is not None and not text.strip():
            return mark
        start, whole = self.encoder.texts([f"{before}{lead}x", f"{before}{lead}x{text}"])
        following = whole[len(start) :] if whole[: len(start)] == start else []
        (alone,) = self.encoder.texts([text])
        return [*following, *alone, self.encoder.tokenizer.eos_token_id][0]

    @cached_property
    def _ending(self) -> tuple[str, str, list[str | int]]:
        """What stands right before an answer: the last words of the prompt, and what comes between
        them and the answer; and what follows it, in marks and text."""
        prompt, answered = self._render(0, answered=False), self._render(0, answered=True)
        place = answered.index(2)  # after system and text
        parts = self._split(prompt)
        before = parts[-1] if isinstance(parts[-1], str) else ""
        asked, said = _text(prompt), _text(answered[:place])
        lead = said[len(asked) :] if said.startswith(asked) else ""
        after = [part for part in answered[place + 1 :] if isinstance(part, str)][:1]
        return before, lead, self._split(after)

    def _frame(self, shots: int) -> tuple[list[str | int], list[int]]:
        """Pieces of the frame with the places of what is said, and the marks in it."""
        if shots not in self._frames:
            frame = self._render(shots, answered=False)
            whole = "".join(_filled(frame, ["x"] * (2 * shots + 2)))
            marks = self._marks(self._backend.encode(whole, add_special_tokens=False).ids)
            self._frames[shots] = frame, marks
        return self._frames[shots]

    def _marks(self, ids: Sequence[int]) -> list[int]:
        return [i for i in ids if i in self.encoder.marks]

    def _apart(self, frame: Sequence[str | int], said: Sequence[str]) -> list[int]:
        """Marks of the frame, and between them text that can't become one."""
        parts: list[str | int] = [""]
        for piece in frame:
            for part in [said[piece]] if isinstance(piece, int) else self._split([piece]):
                if isinstance(part, str) and isinstance(parts[-1], str):
                    parts[-1] += part
                else:
                    parts.append(part)
        texts = iter(self.encoder.texts([part for part in parts if isinstance(part, str)]))
        return [i for part in parts for i in ([part] if isinstance(part, int) else next(texts))]

    def _split(self, pieces: Sequence[str | int]) -> list[str | int]:
        """Frame text as text and the ids of marks; spaces that a mark takes with it are gone."""
        text = _text(pieces)
        encoding = self._backend.encode(text, add_special_tokens=False)
        parts: list[str | int] = []
        done = 0
        for token, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            if token in self.encoder.marks:
                parts += [text[done:start], token]
                done = end
        parts.append(text[done:])
        return [part for part in parts if part != ""]


def _filled(frame: Sequence[str | int], said: Sequence[str]) -> list[str]:
    return [said[piece] if isinstance(piece, int) else piece for piece in frame]


def _text(frame: Sequence[str | int]) -> str:
    return "".join(piece for piece in frame if isinstance(piece, str))


class _Plain:
    """Texts and answers one below the other, after the token of the beginning, if any."""

    def __init__(self, begin: str) -> None:
        self._begin = begin

    def __call__(self, shots: int, *, answered: bool) -> list[str | int]:
        found: list[str | int] = [self._begin, 0]
        for place in range(1, 2 * shots + 1, 2):
            found += ["\n\nText: ", place, "\nAnswer: ", place + 1]
        found += ["\n\nText: ", 2 * shots + 1, "\nAnswer:"]
        return [*found, " ", 2 * shots + 2, "\n\n"] if answered else found


SLOT = "said{}here"
SLOTS = re.compile(r"said(\d+)here")


class _Chat:
    """What is said in turns of system, user and assistant.

    A template that refuses a system's turn, or leaves it out, has it said in the first user's.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        wanted = [0, 1, 2, 3]
        self._with_system = True
        found = self._pieces(1, answered=False)
        if _places(found) != wanted:
            self._with_system = False
            found = self._pieces(1, answered=False)
        if found is None or sorted(_places(found)) != wanted:
            raise UserError(
                "the chat template of the teacher's tokenizer does not hold a conversation of "
                "user and assistant as it is given",
                remedy="set `teachers[].prompt.form: plain`.",
            )

    def __call__(self, shots: int, *, answered: bool) -> list[str | int]:
        found = self._pieces(shots, answered=answered)
        assert found is not None  # noqa: S101 - one shot more changes nothing
        return found

    def _pieces(self, shots: int, *, answered: bool) -> list[str | int] | None:
        """Frame and places; None where the template refuses."""
        from jinja2.exceptions import TemplateError

        last = 2 * shots + 1
        said = [SLOT.format(place) for place in range(last + 2)]
        turns = [
            {"role": "assistant" if place % 2 == 0 else "user", "content": said[place]}
            for place in range(1, last + 1 + answered)
        ]
        if self._with_system:
            turns.insert(0, {"role": "system", "content": said[0]})
        else:
            turns[0]["content"] = f"{said[0]}\n\n{said[1]}"
        try:
            rendered = self.tokenizer.apply_chat_template(
                turns, tokenize=False, add_generation_prompt=not answered, **FIXED
            )
        except (TemplateError, TypeError, KeyError):
            return None
        return [
            int(piece) if place % 2 else piece for place, piece in enumerate(SLOTS.split(rendered))
        ]


def _places(pieces: Sequence[str | int] | None) -> list[Any]:
    return [piece for piece in pieces or [] if isinstance(piece, int)]
