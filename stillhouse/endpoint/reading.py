"""What servers answer, as numbers: log-probabilities by token, in the forms that servers have."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from stillhouse.endpoint.client import MODEL, EndpointError
from stillhouse.lm.prompts import Encoder

AS_ID = "token_id:"
NOTHING = -1e4  # nats: what servers write for a probability of nothing


class OtherTokensError(Exception):
    """Tokens that are none of those that were sent."""


def malformed(where: str, what: str) -> EndpointError:
    return EndpointError(
        f"{MODEL}: {where}: an answer without {what}",
        remedy="see whether the server speaks OpenAI's interface at this address.",
    )


def choices(answer: Mapping[str, Any], count: int, where: str) -> list[Mapping[str, Any]]:
    """The choices of an answer in the order of what was asked; raises `UserError` unless there are
    as many."""
    found = answer.get("choices")
    listed = [c for c in found if isinstance(c, dict)] if isinstance(found, list) else []
    if len(listed) != count:
        raise malformed(where, f"{count} choices (there are {len(listed)})")
    order = [choice.get("index", place) for place, choice in enumerate(listed)]
    if sorted(order, key=str) != sorted(range(count), key=str):
        raise malformed(where, "each choice once")
    return [listed[order.index(place)] for place in range(count)]


def the_choice(answer: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    return choices(answer, 1, where)[0]


def text_of(choice: Mapping[str, Any], where: str) -> str:
    """What was written, in a completion or a conversation."""
    said = choice.get("text")
    message = choice.get("message")
    if isinstance(message, dict):
        said = message.get("content") or ""
    if not isinstance(said, str):
        raise malformed(where, "text")
    return said


def echoed(
    choice: Mapping[str, Any], ids: Sequence[int], encoder: Encoder | None, where: str
) -> list[float] | None:
    """Log-probabilities of the tokens of a prompt, 0 for the first; None where there are none.

    Raises `OtherTokensError` where they are of other tokens than `ids`: known by their ids, or by
    what `encoder` reads them as.
    """
    found = _prompt_entries(choice)
    if found is not None:
        if len(found) < len(ids):
            raise OtherTokensError(f"{len(ids)} were sent, {len(found)} came back")
        values = [0.0]
        for token, entry in zip(ids[1:], found[1:], strict=False):
            if not entry or str(token) not in entry:
                raise OtherTokensError("a token is not among those that are told")
            values.append(number(entry[str(token)].get("logprob"), where))
        return values
    told = choice.get("logprobs")
    tokens, log_probs = _lists(told)
    if not tokens or len(tokens) <= 1 < len(ids):  # what was generated alone
        return None
    if len(tokens) not in (len(ids), len(ids) + 1):
        raise OtherTokensError(f"{len(ids)} were sent, {len(tokens)} came back")
    for place, (token, said) in enumerate(zip(ids, tokens, strict=False)):
        if not _is(token, said, encoder):
            raise OtherTokensError(f"token {place + 1} of {len(ids)} is another one")
    return [0.0, *(number(value, where) for value in log_probs[1 : len(ids)])]


def top_tokens(
    choice: Mapping[str, Any], places: Sequence[int], encoder: Encoder, where: str
) -> list[dict[int, float]]:
    """Log-probabilities by token id of the likeliest tokens at these places of a prompt.

    Tokens that are told by what they spell, and that several ids spell alike, are left out.
    """
    entries = _prompt_entries(choice)
    by_id = entries is not None  # its keys are ids, whatever they spell
    if entries is None:
        told = choice.get("logprobs")
        entries = told.get("top_logprobs") if isinstance(told, dict) else None
    if not isinstance(entries, list):
        raise malformed(where, "the likeliest tokens")
    found = []
    for place in places:
        entry = entries[place] if place < len(entries) else None
        if not isinstance(entry, dict):
            raise malformed(where, "the likeliest tokens of each token")
        row: dict[int, float] = {}
        for token, value in entry.items():
            known = int(token) if by_id and token.isdigit() else _id_of(token, encoder)
            if known is not None:
                row[known] = number(value["logprob"] if isinstance(value, dict) else value, where)
        found.append(row)
    return found


def likely_tokens(choice: Mapping[str, Any]) -> list[tuple[str, float]]:
    """The likeliest first tokens of an answer in a conversation, by what they spell; empty where
    none are told."""
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    first = content[0] if isinstance(content, list) and content else None
    top = first.get("top_logprobs") if isinstance(first, dict) else None
    if not isinstance(top, list):
        return []
    return [
        (t["token"], float(t["logprob"]))
        for t in top
        if isinstance(t, dict)
        and isinstance(t.get("token"), str)
        and isinstance(t.get("logprob"), int | float)
        and not math.isnan(t["logprob"])
    ]


def written(choice: Mapping[str, Any], where: str) -> tuple[list[str], list[float]]:
    """Tokens of an answer and their log-probabilities; empty where the server tells none."""
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    if isinstance(content, list):
        pairs = [(t.get("token"), t.get("logprob")) for t in content if isinstance(t, dict)]
        return [str(t) for t, _ in pairs], [number(value, where) for _, value in pairs]
    tokens, log_probs = _lists(told)
    return tokens, [number(value, where) for value in log_probs]


def id_in(token: str) -> int | None:
    """The id that a server tells in place of what a token spells."""
    said = token.removeprefix(AS_ID)
    return int(said) if said != token and said.isdigit() else None


def number(value: Any, where: str) -> float:
    """A log-probability; raises `UserError` for what is none."""
    if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
        raise malformed(where, "log-probabilities that are numbers")
    if value > 1e-3:
        raise malformed(where, "log-probabilities of 0 or less")
    return min(0.0, max(float(value), NOTHING))


def _prompt_entries(choice: Mapping[str, Any]) -> list[Any] | None:
    found = choice.get("prompt_logprobs")
    return found if isinstance(found, list) and found else None


def _lists(told: Any) -> tuple[list[str], list[Any]]:
    if not isinstance(told, dict):
        return [], []
    tokens, log_probs = told.get("tokens"), told.get("token_logprobs")
    if not isinstance(tokens, list) or not isinstance(log_probs, list):
        return [], []
    return [str(token) for token in tokens], log_probs


def _is(token: int, said: str, encoder: Encoder | None) -> bool:
    """Whether a server's token is that of this id; one that is part of a letter spells nothing."""
    told = id_in(said)
    if told is not None or encoder is None:
        return told in (token, None)
    spelt = _spelt(token, encoder)
    return said == spelt or "�" in said + spelt or said.startswith("bytes:")


def _spelt(token: int, encoder: Encoder) -> str:
    tokenizer = encoder.tokenizer
    spelt = str(tokenizer.decode([token], clean_up_tokenization_spaces=False))
    # A tokenizer that takes the first space off alone leaves it to others.
    raw = str(tokenizer.convert_ids_to_tokens(token))
    return f" {spelt}" if raw.startswith("▁") and not spelt.startswith(" ") else spelt


def _id_of(token: str, encoder: Encoder) -> int | None:
    if (told := id_in(token)) is not None:
        return told
    (ids,) = encoder.texts([token])
    return ids[0] if len(ids) == 1 else None
