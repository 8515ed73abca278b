"""Logged objects as proxies, servers and exports write them."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stillhouse.monitor.clock import Clock, moment
from stillhouse.monitor.requests import UnusableError, requests_in

CHAT = [
    {"role": "system", "content": "Name the department."},
    {"role": "user", "content": "Where is my invoice?"},
]
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "billing"}}]}


def one(value: Any, form: str = "auto") -> Any:
    (found,) = requests_in(value, form)
    return found


@pytest.mark.parametrize(
    "line",
    [
        {"request": {"messages": CHAT}, "response": ANSWER},
        {"request": json.dumps({"messages": CHAT}), "response": json.dumps(ANSWER)},
        {"request_body": {"messages": CHAT}, "response_body": ANSWER},
        # As batches write them.
        {"request": {"body": {"messages": CHAT}}, "response": {"status_code": 200, "body": ANSWER}},
        # LiteLLM's standard payload: the response whole, or its text alone.
        {"startTime": 1.7e9, "call_type": "acompletion", "messages": CHAT, "response": ANSWER},
        {"startTime": 1.7e9, "messages": CHAT, "response": "billing", "status": "success"},
        {"messages": [*CHAT, {"role": "assistant", "content": "billing"}]},
        {"messages": [CHAT[0], {"role": "user", "content": [{"type": "text",
         "text": "Where is my invoice?"}, {"type": "image_url"}]}], "choices": ANSWER["choices"]},
        {"input": "Where is my invoice?", "answer": "billing"},
        {"input": "Where is my invoice?", "output": "billing"},
        # The responses API.
        {"request": {"input": CHAT}, "response": {"output": [
            {"type": "message", "content": [{"type": "output_text", "text": "billing"}]}]}},
        # Completions, alone and as a stream that was logged whole.
        {"request": {"prompt": "Where is my invoice?"}, "response": {"choices": [
            {"text": " billing"}]}},
        {"request": {"messages": CHAT}, "response": "".join(
            f'data: {{"choices": [{{"delta": {{"content": "{piece}"}}}}]}}\n\n'
            for piece in ("bil", "ling")) + "data: [DONE]"},
        # What a container runtime or a structured logger wraps around a line.
        {"log": json.dumps({"input": "Where is my invoice?", "answer": "billing"}) + "\n",
         "stream": "stdout"},
    ],
)  # fmt: skip
def test_text_and_answer_are_found_in_each_form(line: dict[str, Any]) -> None:
    found = one(line)
    assert (found.input, found.answer) == ("Where is my invoice?", "billing")


def test_the_last_user_speaks_and_instructions_stand_before() -> None:
    talk = [*CHAT, {"role": "assistant", "content": "billing"}, {"role": "user", "content": "Why?"}]
    found = one({"request": {"messages": talk}, "response": ANSWER})
    assert (found.input, found.told) == ("Why?", "Name the department.")


def test_an_exported_chat_is_a_request_for_each_answer() -> None:
    messages = [
        {"id": "1", "role": "user", "content": "a", "timestamp": 1.7e9},
        {"id": "2", "parentId": "1", "role": "assistant", "content": "b",
         "annotation": {"rating": -1}},
        {"id": "3", "parentId": "1", "role": "assistant", "content": "c",
         "annotation": {"rating": 1}},
        {"id": "4", "role": "user", "content": "d"},
    ]  # fmt: skip
    found = list(requests_in({"id": "chat", "chat": {"messages": messages}}))
    assert [(r.input, r.answer, r.liked, r.conversation) for r in found] == [
        ("a", "b", 0.0, "chat"),
        ("a", "c", 1.0, "chat"),
    ]
    history = {"messages": {m["id"]: m for m in messages}}
    snapshot = {"snapshot": {"chat": {"chat": {"history": history}}}}
    assert [r.answer for r in requests_in(snapshot)] == ["b", "c"]


def test_several_prompts_are_several_requests() -> None:
    line = {"id": "x", "request": {"prompt": ["a", "b"]},
            "response": {"choices": [{"text": "1"}, {"text": "2"}]}}  # fmt: skip
    assert [(r.input, r.answer, r.id) for r in requests_in(line)] == [
        ("a", "1", "x"),
        ("b", "2", "x#1"),
    ]


def test_confidence_is_the_length_normalised_likelihood() -> None:
    tokens = [{"logprob": -0.2}, {"logprob": -0.4}]
    choice = {**ANSWER["choices"][0], "logprobs": {"content": tokens}}
    found = one({"request": {"messages": CHAT}, "response": {"choices": [choice]}})
    assert found.confidence == pytest.approx(math.exp(-0.3))
    old = {"choices": [{"text": "x", "logprobs": {"token_logprobs": [None, -0.5]}}]}
    assert one({"prompt": "a", "response": old}).confidence == pytest.approx(math.exp(-0.5))
    assert one({"input": "a", "confidence": 0.7}).confidence == 0.7
    assert one({"input": "a", "confidence": 7}).confidence is None


@pytest.mark.parametrize(
    ("said", "liked"),
    [("up", 1.0), ("thumbs_down", 0.0), (True, 1.0), (-1, 0.0), (5, 1.0), ("so so", None)],
)
def test_feedback_comes_in_many_words(said: Any, liked: float | None) -> None:
    assert one({"input": "a", "feedback": said}).liked == liked


@pytest.mark.parametrize(
    ("line", "form", "reason"),
    [
        (["a"], "auto", "no_object"),
        ({"a": 1}, "auto", "no_text"),
        ({"messages": [{"role": "system", "content": "x"}]}, "auto", "no_text"),
        ({"prompt": [1, 2, 3]}, "auto", "no_text"),
        ({"startTime": 1.0, "messages": "redacted-by-litellm"}, "auto", "redacted"),
        ({"input": "a"}, "openai", "other_format"),
        ({"messages": CHAT}, "litellm", "other_format"),
        ({"messages": CHAT}, "serve", "other_format"),
    ],
)
def test_what_is_no_request_is_told_why(line: Any, form: str, reason: str) -> None:
    with pytest.raises(UnusableError) as refused:
        list(requests_in(line, form))
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    "value",
    [
        1_767_225_600,
        "1767225600",
        1_767_225_600_000,
        1_767_225_600_000_000_000,
        "2026-01-01T00:00:00Z",
        "2026-01-01T01:00:00+01:00",
        "2026-01-01 00:00:00",
        "Thu, 01 Jan 2026 00:00:00 GMT",
        "01/Jan/2026:00:00:00 +0000",
    ],
)
def test_times_in_many_forms_are_one(value: Any) -> None:
    assert moment(value) == datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("value", [None, True, "soon", float("nan"), 1e300, [], "", "2026-13-01"])
def test_what_is_no_time_is_none(value: Any) -> None:
    assert moment(value) is None


def test_senseless_times_have_the_place_of_their_line() -> None:
    now = datetime(2026, 6, 1, tzinfo=UTC)
    clock = Clock(now)
    first = clock.of("2026-05-01")
    assert clock.of("2031-01-01") == clock.of("1970-01-01") == clock.of(None) == first
    back = clock.of("2026-03-01")
    assert back == datetime(2026, 3, 1, tzinfo=UTC)
    assert clock.of("2026-05-02") == first + timedelta(days=1)
    assert clock.counted == {"senseless": 2, "no_time": 1, "jumped": 1}
    assert Clock(now).of(None) == now
