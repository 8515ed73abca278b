"""Answers as clients read them: OpenAI's objects, and one more field, `stillhouse`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stillhouse.serve.answers import Piece, Token
from stillhouse.serve.students import Student

OWNER = "stillhouse"


@dataclass(frozen=True)
class Answer:
    """What the bodies of one answer have in common. `told` is whether log-probabilities were asked
    for, `id` that of the request."""

    model: str
    release: str | None
    prompt_tokens: int
    told: bool
    chat: bool
    id: str
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, pieces: Sequence[Sequence[Piece]]) -> dict[str, Any]:
        """All pieces of each choice."""
        lasts = [choice[-1] for choice in pieces]
        choices = []
        for index, choice in enumerate(pieces):
            text = "".join(piece.text for piece in choice)
            tokens = [token for piece in choice for token in piece.tokens]
            said: dict[str, Any] = {"text": text}
            if self.chat:
                said = {"message": {"role": "assistant", "content": text, "refusal": None}}
            choices.append(
                {
                    "index": index,
                    **said,
                    "logprobs": self._log_probs(tokens),
                    "finish_reason": choice[-1].finish,
                }
            )
        about = [last.about for last in lasts]
        usage = self._usage(sum(last.written for last in lasts))
        own = about[0] if len(about) == 1 else about
        return {**self._frame(), "choices": choices, "usage": usage, OWNER: own}

    def first(self) -> dict[str, Any] | None:
        """What a streamed chat begins with."""
        return self._chunk({"role": "assistant", "content": ""}) if self.chat else None

    def chunks(self, piece: Piece) -> list[dict[str, Any]]:
        """Of one piece."""
        found = []
        if piece.text or piece.tokens:
            found.append(self._chunk({"content": piece.text}, piece.tokens))
        if piece.finish is not None:
            found.append({**self._chunk({}, finish=piece.finish), OWNER: piece.about})
        return found

    def last(self, written: int) -> dict[str, Any]:
        """The chunk with what was used, for those who asked for it."""
        return {**self._frame(".chunk"), "choices": [], "usage": self._usage(written)}

    def _chunk(
        self, delta: dict[str, Any], tokens: Sequence[Token] = (), finish: str | None = None
    ) -> dict[str, Any]:
        said = {"delta": delta} if self.chat else {"text": delta.get("content", "")}
        told = self._log_probs(tokens) if tokens else None
        choice = {"index": 0, **said, "logprobs": told, "finish_reason": finish}
        return {**self._frame(".chunk"), "choices": [choice]}

    def _frame(self, part: str = "") -> dict[str, Any]:
        return {
            "id": f"{'chatcmpl' if self.chat else 'cmpl'}-{self.id}",
            "object": f"chat.completion{part}" if self.chat else "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.release,
        }

    def _usage(self, written: int) -> dict[str, int]:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": written,
            "total_tokens": self.prompt_tokens + written,
        }

    def _log_probs(self, tokens: Sequence[Token]) -> dict[str, Any] | None:
        if not self.told:
            return None
        if self.chat:
            return {"content": [_chat_token(token) for token in tokens], "refusal": None}
        places, at = [], 0
        for token in tokens:
            places.append(at)
            at += len(token.text)
        return {
            "tokens": [token.text for token in tokens],
            "token_logprobs": [token.log_prob for token in tokens],
            "top_logprobs": [dict(token.likeliest) for token in tokens],
            "text_offset": places,
        }


def _chat_token(token: Token) -> dict[str, Any]:
    return {
        **_said(token.text, token.log_prob),
        "top_logprobs": [_said(*pair) for pair in token.likeliest],
    }


def _said(text: str, log_prob: float) -> dict[str, Any]:
    said = list(text.encode("utf-8", "surrogatepass"))
    return {"token": text, "logprob": log_prob, "bytes": said}


def models(students: Sequence[Student]) -> dict[str, Any]:
    """Each student, and each of its tasks."""
    found = [one for student in students for one in _models_of(student)]
    return {"object": "list", "data": found}


def _models_of(student: Student) -> list[dict[str, Any]]:
    common = {"object": "model", "created": student.created, "owned_by": OWNER}
    return [
        {"id": name, **common, OWNER: {"release": student.release, "task": task}}
        for name, task in [
            (student.name, None),
            *((f"{student.name}:{task}", task) for task in student.kinds),
        ]
    ]
