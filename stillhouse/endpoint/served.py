"""What a server was found to be when it became a teacher version, and how it is asked since."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from stillhouse.config.endpoint import Endpoint
from stillhouse.endpoint.client import FIELD, MODEL, Client, EndpointError, RefusedError
from stillhouse.endpoint.reading import OtherTokensError, echoed, likely_tokens, the_choice
from stillhouse.errors import UserError
from stillhouse.lm.prompts import Encoder
from stillhouse.models.endpoints import Address
from stillhouse.storage.files import read_json, write_json
from stillhouse.wording import plain

logger = logging.getLogger("stillhouse")

FILE = "endpoint.json"

# How servers are asked for the log-probabilities of a prompt's tokens; the first that works is
# taken. Tokens that come as their ids can't be mistaken.
DIALECTS: dict[str, dict[str, Any]] = {
    "echo_ids": {"echo": True, "logprobs": 1, "return_tokens_as_token_ids": True},
    "echo": {"echo": True, "logprobs": 1},
    "prompt_logprobs": {"prompt_logprobs": 1},
}
TOP = (20, 10, 5)  # likeliest tokens that a chat answer may tell

# Words, a number, what no byte alone spells: tokenizers part here.
PROBE = "The keyboard of room 1984 has lost its Z; größer als 12 €, said the note."
QUESTION = "Answer with one word: is water wet?"
# Nats a token, on average: the same weights differ less from one batch or kernel to the next.
MOST_DRIFT = 0.25
MOST_NAMED = 10

SEQUENCE_LEVEL = (
    "set `endpoint: {log_probs: none}` and `students[].distillation.alpha: 0`, and the student "
    "learns from its answers alone (sequence-level distillation)"
)


@dataclass(frozen=True)
class Served:
    """`says` is what the server calls itself in its answers, `entry` what it lists of the model.

    `log_probs` is how answers are read ("prompt", "top" or "none"), `dialect` a key of `DIALECTS`,
    `top` how many of the likeliest tokens it tells. `probe` are the log-probabilities of the tokens
    of a fixed text: another model hardly has the same.
    """

    url: str
    model: str
    says: str
    entry: dict[str, Any]
    log_probs: str
    dialect: str | None
    top: int
    sampling: dict[str, Any]
    extra: dict[str, Any]
    probe: list[float]

    @property
    def context(self) -> int | None:
        """The most tokens that it takes, prompt and answer together."""
        found = self.entry.get("max_model_len")
        return found if isinstance(found, int) and found > 1 else None

    @property
    def identity(self) -> dict[str, Any]:
        """What it is wherever it runs, but for its tokenizer; the probe varies in its last
        digits."""
        return {k: v for k, v in asdict(self).items() if k not in ("url", "probe")}

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, asdict(self))

    @staticmethod
    def read(folder: Path) -> Served:
        return Served(**read_json(folder / FILE))

    def echoing(self, prompts: Sequence[Sequence[int]], top: int = 1) -> dict[str, Any]:
        """A request for the log-probabilities of the tokens of prompts."""
        asked = {
            name: top if name.endswith("logprobs") else value
            for name, value in DIALECTS[str(self.dialect)].items()
        }
        return {**self._completion(prompts), "max_tokens": 1, "temperature": 0.0, **asked}

    def completing(self, prompt: Sequence[int], most: int, end: str, end_id: int) -> dict[str, Any]:
        """A request for what follows a prompt, with the log-probabilities of what is written."""
        more: dict[str, Any] = {"logprobs": 1, "stop": [end]} if end.strip(" ") else {"logprobs": 1}
        if self.dialect == "echo_ids":
            more |= {"return_tokens_as_token_ids": True, "stop_token_ids": [end_id]}
        return {**self._completion([prompt]), "max_tokens": most, **self.sampling, **more}

    def chatting(
        self, messages: Sequence[Mapping[str, str]], most: int, *, choosing: bool
    ) -> dict[str, Any]:
        """A request for an answer in a conversation; to choose among few answers, nothing is
        drawn."""
        how = {"temperature": 0.0} if choosing else self.sampling
        told: dict[str, Any] = {}
        if self.log_probs != "none":
            told = {"logprobs": True, "top_logprobs": self.top if choosing else 1}
        return {"model": self.model, "messages": list(messages), "max_tokens": most, **how, **told}

    def _completion(self, prompts: Sequence[Sequence[int]]) -> dict[str, Any]:
        return {"model": self.model, "prompt": [list(prompt) for prompt in prompts]}


def entry_of(client: Client, model: str) -> dict[str, Any]:
    """What a server lists of a model, without what it says anew each time; raises `UserError` when
    it has no such model."""
    listed = client.get("/models").get("data")
    entries = [e for e in listed if isinstance(e, dict)] if isinstance(listed, list) else []
    for entry in entries:
        if entry.get("id") == model:
            return {k: entry[k] for k in ("id", "root", "parent", "max_model_len") if k in entry}
    names = [plain(str(e.get("id"))[:80]) for e in entries[:MOST_NAMED]]
    raise EndpointError(
        f"{MODEL}: {client.where} has no model {model!r}; it lists {', '.join(names) or 'none'}",
        remedy="write the id of one of these behind the # of `model`.",
    )


def look_at(client: Client, address: Address, encoder: Encoder, settings: Endpoint) -> Served:
    """Find out what a server can tell, by asking it fixed sentences.

    Raises `UserError` when it has no such model, cuts texts into other tokens than `encoder`, or
    tells no log-probabilities while they are asked for.
    """
    entry = entry_of(client, address.model)
    sampling = settings.identity["sampling"]
    blank = Served(
        address.url, address.model, "", entry, "none", None, 0, sampling, settings.extra, []
    )
    found = None
    if settings.log_probs in ("auto", "prompt"):
        found = _of_prompts(client, blank, encoder)
    if found is None and settings.log_probs in ("auto", "top"):
        found = _of_top(client, blank, encoder)
    if found is None and settings.log_probs != "none":
        wanted = {"prompt": "of a prompt's tokens ", "top": "of the likeliest tokens "}
        raise EndpointError(
            f"{MODEL}: {client.where}: the server tells no log-probabilities "
            f"{wanted.get(settings.log_probs, '')}(asked at /completions with echo and with "
            "prompt_logprobs, and at /chat/completions with top_logprobs)",
            remedy="start it so that it does (vLLM and SGLang do by themselves); or "
            f"{SEQUENCE_LEVEL}.",
        )
    if found is None:
        answer = _tried(client, "/chat/completions", _question(blank))
        if answer is None:
            raise EndpointError(
                f"{MODEL}: {client.where}: the server takes no /chat/completions",
                remedy="see whether the address ends where its interface begins (/v1).",
            )
        the_choice(answer, client.where)
        found = _named(blank, answer)
    logger.info(
        "%s: model %s, log-probabilities: %s", client.where, plain(found.model), found.log_probs
    )
    return found


def require_same(client: Client, served: Served, encoder: Encoder) -> None:
    """Raise `UserError` when a server is no longer what it was found to be."""
    changed = None
    if (entry := entry_of(client, served.model)) != served.entry:
        names = sorted(k for k in {**entry, **served.entry} if entry.get(k) != served.entry.get(k))
        changed = f"it lists another {', '.join(names)}"
    elif served.probe:
        now = _of_prompts(client, served, encoder)
        if now is None:
            changed = "it tells no log-probabilities of prompts any more"
        elif (far := _apart(now.probe, served.probe)) > MOST_DRIFT:
            changed = f"a fixed sentence is {far:.2f} nats a token more or less likely to it"
    if changed:
        raise other_model(client.where, changed)


def other_model(where: str, changed: str) -> EndpointError:
    return EndpointError(
        f"{MODEL}: {where}: the server does not run the model that this version was made with: "
        f"{changed}",
        remedy="let it run that model again; or give the new one a version of its own below this "
        "one: labels of a version are of one teacher.",
    )


def _of_prompts(client: Client, served: Served, encoder: Encoder) -> Served | None:
    """With the first dialect that works; None where none does."""
    (ids,) = encoder.texts([PROBE])
    known = [served.dialect] if served.dialect else list(DIALECTS)
    for dialect in known:
        asked = Served(**{**asdict(served), "dialect": dialect})
        answer = _tried(client, "/completions", asked.echoing([ids]))
        if answer is None:
            continue
        try:
            found = echoed(the_choice(answer, client.where), ids, encoder, client.where)
        except OtherTokensError as error:
            raise EndpointError(
                f"{MODEL}: {client.where}: the server cuts text into other tokens than the "
                f"tokenizer of the project file does ({error})",
                remedy="name the tokenizer of the model that the server runs in "
                f"`teachers[].tokenizer`; or {SEQUENCE_LEVEL}.",
            ) from None
        if found is not None:
            probe = [round(value, 4) for value in found[1:]]
            named = _named(asked, answer)
            return Served(**{**asdict(named), "log_probs": "prompt", "probe": probe})
    return None


def _of_top(client: Client, blank: Served, encoder: Encoder) -> Served | None:
    for top in TOP:
        asked = Served(**{**asdict(blank), "log_probs": "top", "top": top})
        answer = _tried(client, "/chat/completions", _question(asked))
        tokens = likely_tokens(the_choice(answer, client.where)) if answer else []
        if not answer or not tokens:
            continue
        _require_tokens([token for token, _ in tokens], encoder, client.where)
        return _named(asked, answer)
    return None


def _require_tokens(tokens: Sequence[str], encoder: Encoder, where: str) -> None:
    """What a server calls a token is one to the tokenizer too, but for a few (parts of letters)."""
    vocabulary = encoder.tokenizer.get_vocab()
    whole = [t for t in tokens if t and "�" not in t and not t.startswith("bytes:")]
    other = [t for t in whole if t not in vocabulary and len(encoder.texts([t])[0]) != 1]
    if len(other) > len(whole) / 4:
        raise EndpointError(
            f"{MODEL}: {where}: of {len(whole)} tokens that the server tells {len(other)} are none "
            "of the tokenizer of the project file",
            remedy="name the tokenizer of the model that the server runs in "
            f"`teachers[].tokenizer`; or {SEQUENCE_LEVEL}.",
        )


def _question(served: Served) -> dict[str, Any]:
    return served.chatting([{"role": "user", "content": QUESTION}], 1, choosing=True)


def _tried(client: Client, path: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The answer; None where the server refuses such a request."""
    try:
        return client.post(path, body)
    except RefusedError as error:
        if error.status in (400, 404, 405, 422, 501):
            return None
        raise


def _named(served: Served, answer: Mapping[str, Any]) -> Served:
    says = answer.get("model")
    if not isinstance(says, str):
        raise UserError(
            f"{FIELD}: the server does not say which model answers",
            remedy="see whether it speaks OpenAI's interface.",
        )
    return Served(**{**asdict(served), "says": says})


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    if len(one) != len(other):
        return math.inf
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) / max(1, len(one))
