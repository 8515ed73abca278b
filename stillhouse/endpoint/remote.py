"""A teacher that a server runs, as tasks and labelling ask it.

How answers are read depends on what the server tells (see `Served.log_probs`):

- "prompt": the log-probabilities of the tokens of prompt and answer together. The same prompts,
  token for token, and the same distributions as of weights that are here.
- "top": the likeliest first tokens of an answer in a conversation, and their probabilities. Enough
  for classes whose names begin differently; what is not told is shared out evenly (see
  `classes_of_tokens`).
- "none": the answer alone, which is then as good as sure.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillhouse.endpoint.asking import Asking, Question
from stillhouse.endpoint.client import MODEL, Access, EndpointError
from stillhouse.endpoint.conversations import classes_of_tokens, messages_of, name_in, one_message
from stillhouse.endpoint.reading import (
    NOTHING,
    OtherTokensError,
    choices,
    echoed,
    id_in,
    likely_tokens,
    malformed,
    text_of,
    the_choice,
    top_tokens,
    written,
)
from stillhouse.endpoint.served import FILE, SEQUENCE_LEVEL, Served, other_model
from stillhouse.errors import UserError
from stillhouse.lm.chat import Asked, Conversation
from stillhouse.lm.elsewhere import Elsewhere
from stillhouse.lm.generation import Generated
from stillhouse.lm.prompts import Encoder, Example
from stillhouse.models.loading import load_model, load_tokenizer, pick_device, pick_dtype

if TYPE_CHECKING:
    import numpy as np
    from transformers import PreTrainedModel

logger = logging.getLogger("stillhouse")

CHAT, COMPLETIONS = "/chat/completions", "/completions"
SEQUENCES_AT_ONCE = 16  # prompts of a request
# Of so many answers at least that name no class, a server says something else than it is asked.
FEW_ANSWERS, LEAST_NAMED = 8, 0.5


def is_elsewhere(folder: Path) -> bool:
    """Whether the model in a folder is one that a server runs."""
    return (folder / FILE).exists()


def open_model(folder: Path, access: Access | None) -> PreTrainedModel | Remote:
    """The model in `folder`, on this machine's device; or the server that runs it."""
    if is_elsewhere(folder):
        return Remote(folder, access)
    device = pick_device()
    return load_model(folder, device, pick_dtype(device))


class Remote(Elsewhere):
    """The endpoint that the folder of a teacher describes.

    The server is asked for what is not kept, and only then; see `Asking`.
    """

    def __init__(self, folder: Path, access: Access | None) -> None:
        if access is None:
            raise UserError(
                f"{folder}: a server runs this teacher, and the project file has no such teacher",
                remedy="put the teacher version back into the project file.",
            )
        self.served = Served.read(folder)
        self._plain = Encoder(load_tokenizer(folder), 0)
        self._asking = Asking(self.served, access, self._plain)

    def choose(self, asked: Asked, names: Sequence[str], description: str) -> np.ndarray:
        import numpy as np
        from scipy.special import softmax

        if self.served.log_probs == "prompt":
            sequences = asked.form.answers(names)
            scores = self._sequences(asked.examples, sequences, description)
            if asked.priors is not None:
                scores -= self._sequences(asked.priors, sequences, f"{description} without a text")
            found: np.ndarray = softmax(scores, axis=1)
            return found
        keys = [example.key for example in asked.examples]
        if self.served.log_probs == "none":
            return self._named(keys, asked.said, names, description)
        self._require_apart(names)
        found = self._of_tokens(keys, asked.said, names, description)
        if asked.priors is not None:
            empty = [replace(said, text="") for said in asked.said]
            found = found / self._of_tokens(keys, empty, names, f"{description} without a text")
        return found / np.sum(found, axis=1, keepdims=True)

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
        end = str(encoder.tokenizer.decode([end_id]))
        questions = []
        for place, example in enumerate(examples):
            prompt = example.ids[: example.response_start]
            if self.served.log_probs == "prompt":
                path = COMPLETIONS
                body = self.served.completing(prompt, max_new_tokens, end, end_id)
            else:
                path = CHAT
                messages = self._messages(said[place]) if said else one_message(encoder, prompt)
                body = self.served.chatting(messages, max_new_tokens, choosing=False)
            questions.append(Question(example.key, path, body, self._read_written))
        return [
            _generated(encoder, end_id, *answer)
            for answer in self._asking.answers(questions, description)
        ]

    def likeliest(
        self, examples: Sequence[Example], entries: int, description: str
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        import numpy as np

        if self.served.log_probs != "prompt":
            raise UserError(
                f"{MODEL}: {self.served.model}: the server does not tell the likeliest tokens at "
                "each token of a given answer",
                remedy=f"use one that does (vLLM, SGLang); or {SEQUENCE_LEVEL}.",
            )

        def question(example: Example) -> Question:
            places = range(example.response_start, len(example.ids))

            def read(answer: Mapping[str, Any]) -> Any:
                choice = the_choice(answer, self._where)
                self._echoed(choice, example.ids)
                rows = top_tokens(choice, places, self._plain, self._where)
                return [sorted(row.items(), key=lambda x: -x[1])[:entries] for row in rows]

            body = self.served.echoing([example.ids], top=entries)
            return Question(example.key, COMPLETIONS, body, read)

        found = []
        for rows in self._asking.answers([question(e) for e in examples], description):
            ids = np.zeros((len(rows), entries), np.int64)
            log_probs = np.full((len(rows), entries), -np.inf, np.float32)
            for place, row in enumerate(rows):
                if not row:
                    raise malformed(self.served.model, "tokens that the tokenizer knows")
                told = [token for token, _ in row]
                others = (token for token in count() if token not in told)
                ids[place] = [*told, *islice(others, entries - len(told))]
                log_probs[place, : len(row)] = [value for _, value in row]
            found.append((ids, log_probs))
        return found

    def _sequences(
        self, examples: Sequence[Example], sequences: Sequence[list[int]], description: str
    ) -> np.ndarray:
        """Log-likelihoods [examples, sequences] of each sequence after each prompt."""
        import numpy as np

        parts = [
            sequences[i : i + SEQUENCES_AT_ONCE]
            for i in range(0, len(sequences), SEQUENCES_AT_ONCE)
        ]

        def question(example: Example, part: Sequence[list[int]]) -> Question:
            prompt = example.ids[: example.response_start]
            wholes = [[*prompt, *sequence] for sequence in part]

            def read(answer: Mapping[str, Any]) -> Any:
                told = choices(answer, len(wholes), self._where)
                values = [self._echoed(c, ids) for c, ids in zip(told, wholes, strict=True)]
                return [sum(found[len(prompt) :]) for found in values]

            return Question(example.key, COMPLETIONS, self.served.echoing(wholes), read)

        asked = [question(example, part) for example in examples for part in parts]
        found = self._asking.answers(asked, description)
        rows = [
            [value for answer in found[i : i + len(parts)] for value in answer]
            for i in range(0, len(found), len(parts))
        ]
        return np.array(rows, dtype=float).reshape(len(examples), len(sequences))

    def _of_tokens(
        self,
        keys: Sequence[str],
        said: Sequence[Conversation],
        names: Sequence[str],
        description: str,
    ) -> np.ndarray:
        """Probabilities [conversations, names] by first tokens."""
        import numpy as np

        told = self._asking.answers(
            [
                Question(
                    key,
                    CHAT,
                    self.served.chatting(self._messages(one), 1, choosing=True),
                    lambda answer: likely_tokens(the_choice(answer, self._where)),
                )
                for key, one in zip(keys, said, strict=True)
            ],
            description,
        )
        vocabulary = len(self._plain.tokenizer)
        found = [classes_of_tokens(tokens, names, vocabulary) for tokens in told]
        self._require_named(sum(named for _, named in found) / max(1, len(found)), len(found))
        return np.array([row for row, _ in found])

    def _named(
        self,
        keys: Sequence[str],
        said: Sequence[Conversation],
        names: Sequence[str],
        description: str,
    ) -> np.ndarray:
        """As good as sure of the name that an answer says; of none, where it says none."""
        import numpy as np

        most = 8 + max(len(ids) for ids in self._plain.texts([f" {name}" for name in names]))
        answers = self._asking.answers(
            [
                Question(
                    key,
                    CHAT,
                    self.served.chatting(self._messages(one), most, choosing=True),
                    lambda answer: text_of(the_choice(answer, self._where), self._where),
                )
                for key, one in zip(keys, said, strict=True)
            ],
            description,
        )
        places = [name_in(answer, names) for answer in answers]
        self._require_named(sum(p is not None for p in places) / max(1, len(places)), len(places))
        found = np.full((len(places), len(names)), 1 / len(names))
        for row, place in enumerate(places):
            if place is not None:
                found[row] = 0.0
                found[row, place] = 1.0
        return found

    def _require_apart(self, names: Sequence[str]) -> None:
        firsts: dict[int, str] = {}
        for name, ids in zip(names, self._plain.texts(list(names)), strict=True):
            if (other := firsts.setdefault(ids[0], name)) != name:
                raise UserError(
                    f"{MODEL}: {self.served.model}: the server tells the first token of an answer "
                    f"alone, and {other!r} and {name!r} begin with the same one",
                    remedy="use a server that tells the log-probabilities of prompts (vLLM, "
                    f"SGLang: /v1/completions with echo); or {SEQUENCE_LEVEL}.",
                )

    def _require_named(self, share: float, count: int) -> None:
        if count >= FEW_ANSWERS and share < LEAST_NAMED:
            raise EndpointError(
                f"{MODEL}: {self.served.model}: of {count} answers {1 - share:.0%} name no class: "
                "the model answers with something else",
                remedy="see that it does not think before it answers (for Qwen3 on vLLM: "
                "`endpoint: {extra: {chat_template_kwargs: {enable_thinking: false}}}`), or "
                "describe the classes (`tasks[].classes`).",
            )

    @property
    def _where(self) -> str:
        return self._asking.where

    def _messages(self, said: Conversation) -> list[dict[str, str]]:
        return messages_of(said, self._marks)

    @cached_property
    def _marks(self) -> list[str]:
        tokenizer = self._plain.tokenizer
        return [str(tokenizer.convert_ids_to_tokens(i)) for i in sorted(self._plain.marks)]

    def _echoed(self, choice: Mapping[str, Any], ids: Sequence[int]) -> list[float]:
        try:
            found = echoed(choice, ids, None, self._where)
        except OtherTokensError as error:
            raise other_model(self._where, f"its tokens are others ({error})") from None
        if found is None:
            raise malformed(self._where, "log-probabilities of the prompt")
        return found

    def _read_written(self, answer: Mapping[str, Any]) -> Any:
        choice = the_choice(answer, self._where)
        ended = choice.get("finish_reason") == "stop"
        return [text_of(choice, self._where), *written(choice, self._where), ended]


def _generated(
    encoder: Encoder, end_id: int, text: str, tokens: list[str], values: list[float], ended: bool
) -> Generated:
    """An answer by its tokens. Where they come by what they spell, and are not as many as the
    tokenizer makes of the text, each is as likely as all are on average."""
    ids = [id_in(token) for token in tokens]
    if tokens and all(i is not None for i in ids):
        known = [int(i) for i in ids if i is not None]
        ends = {end_id, encoder.tokenizer.eos_token_id}
        stop = next((place for place, i in enumerate(known) if i in ends), None)
        if stop is None:
            return Generated(known, values, ended)
        return Generated(known[:stop], values[: stop + 1], True)
    (known,) = encoder.texts([text])
    if len(values) not in (len(known), len(known) + 1):
        mean = sum(values) / len(values) if values else 0.0
        values = [max(mean, NOTHING)] * len(known)
    return Generated(known, values, ended)
