"""What a logged object says: which text was asked, what was answered, how sure, how it was liked.

Field names follow the OpenAI API's requests and responses (chat completions, completions,
responses, batches), as proxies log them; LiteLLM's StandardLoggingPayload; exported chats of Open
WebUI; and the flat form that this project's own server writes:
`{id, time, model, task, input, answer, confidence, feedback}`. They are looked for by the names
that each of these has, so that a log need not keep to one of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Object = Mapping[str, Any]

NO_OBJECT, NO_TEXT, REDACTED, OTHER = "no_object", "no_text", "redacted", "other_format"

IDS = ("id", "request_id", "custom_id", "litellm_call_id", "trace_id", "uuid")
TIMES = (
    *("time", "timestamp", "startTime", "start_time", "created", "created_at", "createdAt"),
    *("requestedAt", "request_time", "ts", "@timestamp", "date", "datetime"),
)
CONVERSATIONS = ("conversation_id", "session_id", "chat_id", "thread_id", "sessionId")
FEEDBACK = ("feedback", "rating", "thumbs", "score", "user_feedback")
REQUESTS = ("request", "request_body", "requestBody", "req", "reqPayload", "body", "kwargs")
RESPONSES = ("response", "response_body", "responseBody", "resp", "respPayload", "completion")
# Where structured loggers and container runtimes put a line that is JSON itself.
WRAPPERS = ("log", "message", "msg", "payload", "standard_logging_object")
WRAPPED = ("messages", "input", "prompt", "request", "response")
GOOD = ("good", "up", "thumbs_up", "thumbsup", "like", "liked", "positive", "yes", "true", "+1")
BAD = ("bad", "down", "thumbs_down", "thumbsdown", "dislike", "disliked", "negative", "no", "false")


class UnusableError(Exception):
    """Nothing can be had of a line, for this `reason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Request:
    """What was asked and answered, NOT masked. `time` is as it was logged; `told` what stood before
    the text: instructions of the system. `confidence` 0..1; `liked` 1.0 or 0.0."""

    input: str | Object = field(repr=False)
    answer: str | None = field(repr=False, default=None)
    told: str = field(repr=False, default="")
    id: str | None = None
    time: Any = None
    model: str | None = None
    conversation: str | None = None
    confidence: float | None = None
    liked: float | None = None
    of: Object = field(repr=False, default_factory=dict)


def requests_in(value: Any, form: str = "auto") -> Iterator[Request]:
    """The requests of a logged value; raises `UnusableError` where there is none."""
    if not isinstance(value, Mapping):
        raise UnusableError(NO_OBJECT)
    line = _unwrapped(value)
    if isinstance(messages := _exported(line), Sequence) and form in ("auto", "openai"):
        yield from _of_conversation(line, messages)
        return
    request, response = _body(line, REQUESTS), _body(line, RESPONSES)
    asked: Object = request if isinstance(request, Mapping) else line
    flat = not isinstance(request, Mapping) and "input" in line and "messages" not in line
    _refuse_other(form, flat=flat, litellm="startTime" in line or "call_type" in line)
    if response is None:
        response = next((line[n] for n in ("output", "answer", "choices") if line.get(n)), None)
        response = {"choices": response} if "choices" in line and "output" not in line else response
    about = _about(line, asked, response)
    texts = list(_texts(asked))
    if not texts:
        raise UnusableError(NO_TEXT)
    for number, (text, told, after) in enumerate(texts):
        if isinstance(text, str) and text.startswith("redacted-by-"):
            raise UnusableError(REDACTED)
        answer, confidence = _answer(response, number)
        own = {"id": f"{about['id']}#{number}"} if number and about["id"] else {}
        stated = _number(line.get("confidence"))
        yield Request(
            text,
            answer if answer is not None else after,
            told,
            **{**about, **own},
            confidence=confidence if stated is None else stated,
            of=line,
        )


def found_at(line: Object, path: str) -> str | None:
    """What stands at a dotted path of a line, or of its request; None for what is no text."""
    for start in (line, *(_parsed(line.get(name)) for name in REQUESTS)):
        value: Any = start
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        if isinstance(value, str | int):
            return str(value)
    return None


def _unwrapped(line: Object) -> Object:
    for name in WRAPPERS:
        inner = _parsed(line.get(name))
        if isinstance(inner, Mapping) and any(n in inner for n in (*WRAPPED, *REQUESTS)):
            outer = {n: v for n, v in line.items() if n != name}
            return {**outer, **inner}
    return line


def _parsed(value: Any) -> Any:
    """Bodies are often logged as the text that they were sent as."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _body(line: Object, names: Sequence[str]) -> Any:
    value = next((line[n] for n in names if line.get(n) is not None), None)
    value = _parsed(value)
    while isinstance(value, Mapping) and isinstance(inner := _parsed(value.get("body")), Mapping):
        value = inner
    return value


def _refuse_other(form: str, *, flat: bool, litellm: bool) -> None:
    """Where the project file says which form the logs have, another one is somebody else's."""
    is_form = {"auto": True, "serve": flat, "litellm": litellm, "openai": not flat}
    if not is_form[form]:
        raise UnusableError(OTHER)


def _about(line: Object, asked: Object, response: Any) -> dict[str, Any]:
    answered = response if isinstance(response, Mapping) else {}
    places = (
        line,
        asked,
        answered,
        _mapping(line.get("metadata")),
        _mapping(asked.get("metadata")),
    )
    text = {
        "id": _first(places, IDS),
        "conversation": _first(places, CONVERSATIONS),
        "model": _first(places, ("model_group", "model", "model_id")),
    }
    said: dict[str, Any] = {k: None if v is None else str(v) for k, v in text.items()}
    return {**said, "time": _first(places, TIMES), "liked": _liked(_first(places[:1], FEEDBACK))}


def _first(places: Sequence[Object], names: Sequence[str]) -> Any:
    found = (p[n] for p in places for n in names if isinstance(p.get(n), str | int | float))
    return next((value for value in found if value != ""), None)


def _mapping(value: Any) -> Object:
    value = _parsed(value)
    return value if isinstance(value, Mapping) else {}


def _texts(asked: Object) -> Iterator[tuple[str | Object, str, str | None]]:
    """Each text that is asked, the instructions before it, and what was answered to it where the
    messages themselves go on."""
    messages = _parsed(asked.get("messages"))
    if isinstance(messages, Mapping):
        messages = messages.get("messages")
    if messages is None and isinstance(asked.get("input"), list):  # of the responses API
        messages = asked["input"]
    if isinstance(messages, list):
        yield from _of_messages(messages, str(asked.get("instructions") or ""))
        return
    value = next((asked[n] for n in ("prompt", "input", "messages", "text") if asked.get(n)), None)
    for text in value if isinstance(value, list) else [value]:
        if (isinstance(text, str) and text.strip()) or (isinstance(text, Mapping) and text):
            yield text, str(asked.get("instructions") or ""), None


def _of_messages(
    messages: Sequence[Any], told: str
) -> Iterator[tuple[str | Object, str, str | None]]:
    said = [(m.get("role"), _content(m.get("content"))) for m in messages if isinstance(m, Mapping)]
    last = max((i for i, (role, text) in enumerate(said) if role == "user" and text), default=None)
    if last is None:
        return
    system = [text for role, text in said[:last] if role in ("system", "developer") and text]
    after = [text for role, text in said[last + 1 :] if role == "assistant" and text]
    yield said[last][1], "\n\n".join([*filter(None, [told]), *system]), next(iter(after), None)


def _content(value: Any) -> str:
    """The text of a message, whose content may be in parts."""
    if isinstance(value, str):
        return value if value.strip() else ""
    if isinstance(value, list):
        parts = (p.get("text") if isinstance(p, Mapping) else p for p in value)
        return "\n".join(p for p in parts if isinstance(p, str) and p.strip())
    return ""


def _answer(response: Any, number: int) -> tuple[str | None, float | None]:
    response = _parsed(response)
    if isinstance(response, str):
        return _streamed(response) if response.startswith("data:") else (response or None), None
    if isinstance(response, list):  # a stream's pieces, or contents
        return _joined(response), None
    if not isinstance(response, Mapping):
        return None, None
    choices = response.get("choices")
    if isinstance(choices, list) and len(choices) > number:
        choice = _mapping(choices[number])
        message = _mapping(choice.get("message"))
        found = _content(message.get("content")) or _content(choice.get("text"))
        return found.strip() or None, _confidence(choice.get("logprobs"))
    if isinstance(output := response.get("output"), list):
        return _joined(output), None
    said = (response.get(n) for n in ("output_text", "content", "text", "answer", "label"))
    return next((s for s in said if isinstance(s, str) and s), None), None


def _streamed(events: str) -> str | None:
    """What server-sent events say together."""
    data = (line[5:].strip() for line in events.splitlines() if line.startswith("data:"))
    return _joined([_parsed(piece) for piece in data])


def _joined(pieces: Sequence[Any]) -> str | None:
    found: list[Any] = []
    for piece in pieces:
        if not isinstance(piece, Mapping):
            continue
        choices = piece.get("choices")
        if isinstance(choices, list) and choices:
            first = _mapping(choices[0])
            found += [_mapping(first.get("delta")).get("content"), first.get("text")]
        else:
            found.append(_content(piece.get("content")) or _content(piece.get("text")))
    return "".join(piece for piece in found if isinstance(piece, str)) or None


def _confidence(logprobs: Any) -> float | None:
    """The length-normalised likelihood of an answer whose tokens' log-probabilities are there."""
    of = _mapping(logprobs)
    content = of.get("content")
    if isinstance(content, list):
        values = [_mapping(token).get("logprob") for token in content]
    else:
        values = list(of.get("token_logprobs") or [])
    known = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    if not known or not all(map(math.isfinite, known)):
        return None
    return math.exp(min(0.0, sum(known) / len(known)))


def _number(value: Any) -> float | None:
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return float(value) if fits else None


def _liked(value: Any) -> float | None:
    """Feedback in whatever form: thumbs and words; numbers are good above 0, where 0 is bad."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value > 0)
    word = str(value).strip().lower()
    return 1.0 if word in GOOD else 0.0 if word in BAD else None


def _exported(line: Object) -> Any:
    """The messages of an exported chat, in their order."""
    chat = _mapping(_mapping(line.get("snapshot")).get("chat")) or line
    chat = _mapping(chat.get("chat")) or chat
    messages = chat.get("messages")
    history = _mapping(_mapping(chat.get("history")).get("messages"))
    if chat is not line and isinstance(messages, list):
        return messages
    return list(history.values()) if history else None


def _of_conversation(line: Object, messages: Sequence[Any]) -> Iterator[Request]:
    """A request for each message of a user that was answered."""
    known = {str(m.get("id")): m for m in messages if isinstance(m, Mapping)}
    before: Object = {}
    found = False
    for message in (m for m in messages if isinstance(m, Mapping)):
        role, text = message.get("role"), _content(message.get("content"))
        asked = known.get(str(message.get("parentId")), before)
        before = message if role == "user" else before
        if role != "assistant" or not text or not _content(asked.get("content")):
            continue
        found = True
        conversation = line.get("chat_id") or line.get("id")
        rating = _mapping(message.get("annotation")).get("rating")
        yield Request(
            _content(asked.get("content")),
            text,
            id=None if message.get("id") is None else str(message["id"]),
            time=_first([message, asked, line], TIMES),
            model=_first([message], ("model", "modelName")),
            conversation=None if conversation is None else str(conversation),
            liked=_liked(rating),
            of=line,
        )
    if not found:
        raise UnusableError(NO_TEXT)
