"""What is answered over HTTP is what the library answers, several at once or alone."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from transformers import AutoTokenizer

from stillhouse.config.dataset import SummarizationTask
from stillhouse.serve.answers import _Words
from stillhouse.serve.service import Service
from stillhouse.serve.students import Calibration, Student, load
from stillhouse.tasks.common import Examples
from stillhouse.tasks.kinds import open_tasks

CHAT, COMPLETE = "/v1/chat/completions", "/v1/completions"
TEXTS = ["Where is my invoice?", "It smells of smoke!", "x", "The screen " * 30, "Grüße, 你好"]


def chat(text: str, model: str = "router:routing", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


async def said(client: httpx.AsyncClient, body: dict[str, Any], path: str = CHAT) -> Any:
    found = await client.post(path, json=body)
    assert found.status_code == 200, found.text
    return found.json()


def by_library(student: Student, task: str, texts: list[str]) -> list[Any]:
    kind = student.kinds[task]
    rows = [
        {"pair_id": str(n), "instruction": kind.task.instruction, "input": text}
        for n, text in enumerate(texts)
    ]
    asked = Examples(kind, student.encoder.prompts(rows), texts, [""] * len(texts))
    return kind.answers(texts, kind.predict(student.model, student.encoder, asked))


def test_what_a_student_learned_is_known_without_the_dataset(
    student: Student, tasks: list[Any], routing_dataset: Path
) -> None:
    for kind in open_tasks(routing_dataset, tasks):
        served = student.kinds[kind.task.name]
        assert list(served.answer_tokens.items()) == list(kind.answer_tokens.items())
        assert served.options == kind.options and served.meaning == kind.meaning


def test_classes_are_answered_as_in_the_report(
    service: Service, student: Student, talk: Callable[..., Any]
) -> None:
    async def every(client: httpx.AsyncClient) -> list[Any]:
        return await asyncio.gather(*(said(client, chat(text)) for text in TEXTS * 8))

    found = talk(service, every)
    for got, wanted in zip(found, by_library(student, "routing", TEXTS) * 8, strict=True):
        assert got["choices"][0]["message"]["content"] == wanted.label
        about = got["stillhouse"]
        assert about["confidence"] == pytest.approx(wanted.confidence, abs=2e-4)
        assert about["task"] == "routing" and about["escalate"] is False
    assert [got["stillhouse"]["truncated"] for got in found[:5]] == [
        False,
        False,
        False,
        True,
        False,
    ]
    batches = service.gauges.registry.get_sample_value("stillhouse_batch_requests_count")
    assert batches is not None and batches < len(found)  # several at once


def test_written_answers_are_those_of_the_report(
    service: Service, student: Student, talk: Callable[..., Any]
) -> None:
    async def every(client: httpx.AsyncClient) -> list[Any]:
        asked = [chat(text, "router/order", logprobs=True) for text in TEXTS * 2]
        return await asyncio.gather(*(said(client, body) for body in asked))

    found = talk(service, every)
    for got, wanted in zip(found, by_library(student, "order", TEXTS) * 2, strict=True):
        choice = got["choices"][0]
        assert choice["message"]["content"] == wanted.response
        assert got["stillhouse"]["confidence"] == pytest.approx(wanted.confidence, abs=2e-4)
        assert set(got["stillhouse"].get("confidence_of", {})) == set(wanted.parts)
        tokens = choice["logprobs"]["content"]
        assert "".join(token["token"] for token in tokens) == wanted.response
        assert got["usage"]["completion_tokens"] == len(tokens)


def test_a_stream_says_the_same(service: Service, talk: Callable[..., Any]) -> None:
    async def both(client: httpx.AsyncClient) -> Any:
        found = []
        for model in ("router:routing", "router:order"):
            body = chat(TEXTS[0], model, stream_options={"include_usage": True})
            whole = await said(client, body)
            streamed = await client.post(CHAT, json={**body, "stream": True})
            found.append((whole, streamed))
        return found

    for whole, streamed in talk(service, both):
        assert streamed.headers["content-type"].startswith("text/event-stream")
        *events, done = [line for line in streamed.text.split("\n\n") if line]
        assert done == "data: [DONE]"
        chunks = [json.loads(event.removeprefix("data: ")) for event in events]
        *parts, usage = chunks
        assert parts[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
        text = "".join(c["choices"][0]["delta"].get("content", "") for c in parts)
        assert text == whole["choices"][0]["message"]["content"]
        assert parts[-1]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
        assert parts[-1]["stillhouse"] == whole["stillhouse"]
        assert usage["usage"] == whole["usage"] and usage["choices"] == []
        assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}


def test_confidence_is_calibrated_and_below_the_threshold_escalates(
    student: Student, talk: Callable[..., Any]
) -> None:
    (wanted,) = by_library(student, "routing", TEXTS[:1])

    def asked(temperature: float, threshold: float | None) -> Any:
        known = {"routing": Calibration(temperature, threshold)}
        own = replace(student, calibration=known)
        service = Service({"router": own})
        found = talk(service, lambda c: said(c, chat(TEXTS[0], logprobs=True, top_logprobs=2)))
        counted = service.gauges.registry.get_sample_value(
            "stillhouse_escalated_total", {"task": "routing"}
        )
        return found, counted

    (plain, _), (flat, counted) = asked(1.0, 0.0), asked(50.0, 0.9)
    assert plain["stillhouse"]["confidence"] == pytest.approx(wanted.confidence, abs=1e-4)
    assert plain["stillhouse"]["escalate"] is False
    assert flat["stillhouse"]["confidence"] == pytest.approx(0.5, abs=0.05)
    assert flat["stillhouse"] | {"confidence": 0} == {
        "release": None, "task": "routing", "confidence": 0,
        "threshold": 0.9, "escalate": True, "truncated": False,
    }  # fmt: skip
    assert counted == 1
    # Log-probabilities stay the model's own.
    assert plain["choices"] == flat["choices"]
    top = plain["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert top[0]["token"] == wanted.label and len(top) == 2


def test_formats_that_are_asked_for(service: Service, talk: Callable[..., Any]) -> None:
    def schema(properties: dict[str, Any]) -> dict[str, Any]:
        made = {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
        return {"type": "json_schema", "json_schema": {"name": "x", "schema": made}}

    labels = {"queue": {"type": "string", "enum": ["billing", "hardware", "other"]}}
    whole = {"size": {"type": "string", "enum": ["small", "large"]}, "n": {"enum": [1, 2]}}

    async def every(client: httpx.AsyncClient) -> Any:
        return [
            await client.post(CHAT, json=chat("Hello", model, response_format=form))
            for model, form in (
                ("router:routing", {"type": "json_object"}),
                ("router:routing", schema(labels)),
                ("router:order", schema(whole)),
                ("router:routing", schema(whole)),
                ("router:routing", schema({"queue": {"type": "string", "enum": ["billing"]}})),
                ("router:order", schema({"n": {"type": "nonsense"}})),
            )
        ]

    answers = talk(service, every)
    *good, first, second, third = answers
    said = [json.loads(a.json()["choices"][0]["message"]["content"]) for a in good]
    assert said[0]["answer"] == said[1]["queue"] in ("billing", "hardware")
    assert said[2]["size"] in ("small", "large") and said[2]["n"] in (1, 2)
    for refused in (first, second, third):
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "schema_not_served"


def test_a_task_is_named_or_told(service: Service, talk: Callable[..., Any]) -> None:
    system = {"role": "system", "content": "You help.\nRead  the order."}
    parts = [{"type": "text", "text": "red"}, {"type": "text", "text": "urgent"}]

    async def every(client: httpx.AsyncClient) -> Any:
        told = chat("red", "router")
        told["messages"].insert(0, system)
        bodies = [
            chat("red", "router", metadata={"task": "routing"}),
            told,
            {**chat("", "router:order"), "messages": [{"role": "user", "content": parts}]},
            chat('{"question": "Who?", "passage": "Ada did it."}', "router:handbook"),
            chat("Question: Who?\n\nAda did it.", "router:handbook"),
            chat("red", "router"),
            chat("Who?", "router:handbook"),
            chat('{"question": 3}', "router:handbook"),
            chat("red", "router:nothing"),
            chat("red", "other"),
        ]
        return [await client.post(CHAT, json=body) for body in bodies]

    found = talk(service, every)
    tasks = [f.json()["stillhouse"]["task"] for f in found[:5]]
    assert tasks == ["routing", "order", "order", "handbook", "handbook"]
    texts = [f.json()["choices"][0]["message"]["content"] for f in found[:5]]
    assert texts[3] == texts[4]
    assert [f.status_code for f in found[5:]] == [400, 400, 400, 404, 404]
    assert "router:order" in found[5].json()["error"]["message"]
    assert found[8].json()["error"]["code"] == "model_not_found"


def test_completions_are_the_models_own(
    service: Service, student: Student, talk: Callable[..., Any]
) -> None:
    from stillhouse.lm.generation import generate

    prompts = ["Name the department", "The screen"]
    encoder = student.encoder
    wanted = generate(
        student.model, encoder.texts(prompts), end_ids=[encoder.end_id], max_new_tokens=9,
        vocabulary=student.vocabulary,
    )  # fmt: skip
    texts = [encoder.tokenizer.decode(w.ids, skip_special_tokens=True) for w in wanted]

    async def every(client: httpx.AsyncClient) -> Any:
        body = {"model": "router", "prompt": prompts, "max_tokens": 9, "logprobs": 2}
        whole = await said(client, body, COMPLETE)
        stop = texts[0][3:5]
        one = {**body, "prompt": prompts[0]}
        stopped = await said(client, {**one, "stop": [stop]}, COMPLETE)
        streamed = await client.post(COMPLETE, json={**one, "stop": [stop], "stream": True})
        drawn = [
            await said(client, {**one, "temperature": 1.5, "seed": seed}, COMPLETE)
            for seed in (1, 1, 2, 3)
        ]
        named = await said(client, {"model": "router:routing", "prompt": prompts}, COMPLETE)
        return whole, stopped, streamed, drawn, named

    whole, stopped, streamed, drawn, named = talk(service, every)
    for choice, text, alone in zip(whole["choices"], texts, wanted, strict=True):
        assert choice["text"] == text
        assert choice["logprobs"]["token_logprobs"] == pytest.approx(
            alone.log_probs[: len(alone.ids)], abs=1e-3
        )
        assert all(len(top) <= 2 for top in choice["logprobs"]["top_logprobs"])
    assert stopped["choices"][0]["text"] == texts[0][: texts[0].index(texts[0][3:5])]
    assert stopped["choices"][0]["finish_reason"] == "stop"
    events = [json.loads(e[6:]) for e in streamed.text.split("\n\n") if e and "DONE" not in e]
    assert "".join(e["choices"][0]["text"] for e in events) == stopped["choices"][0]["text"]
    said_then = [d["choices"][0]["text"] for d in drawn]
    assert said_then[0] == said_then[1] and len(set(said_then)) > 1
    assert [c["text"] in ("billing", "hardware") for c in named["choices"]] == [True, True]


def test_half_a_character_and_half_a_stop_wait(student: Student) -> None:
    def pieces(text: str, *stops: str) -> list[str]:
        words = _Words(student.encoder, stops, strips=False)
        (ids,) = student.encoder.texts([text])
        found = []
        for token in ids:
            found.append(words.add(token))
            if words.stopped:
                return found
        return [*found, words.rest()]

    said = pieces("a你b")
    assert "".join(said) == "a你b" and "\ufffd" not in "".join(said) and "" in said
    assert "".join(pieces("one END two", "END")) == "one "
    assert "".join(pieces("one EN two", "END")) == "one EN two"
    assert "".join(pieces("one EN", "END")) == "one EN"


@pytest.fixture
def fond_of_classes(tiny_teacher: Path, tasks: list[Any], tmp_path: Path) -> Student:
    """A student of a class and of a summary, to which class tokens are the likeliest of all."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_teacher, tmp_path / "quantized")
    file = tmp_path / "quantized" / "model.safetensors"
    weights = load_file(file)
    ids = AutoTokenizer.from_pretrained(tiny_teacher).convert_tokens_to_ids(
        ["<|routing:billing|>", "<|routing:hardware|>"]
    )
    weights["model.embed_tokens.weight"][ids] *= 50
    save_file(weights, file, metadata={"format": "pt"})
    summary = SummarizationTask(
        name="digest", kind="summarization", sources=["tickets"], max_answer_tokens=6
    )
    return load("router", tmp_path, [tasks[0], summary], 64)


def test_an_answer_in_words_holds_no_token_that_is_another_tasks_answer(
    fond_of_classes: Student, talk: Callable[..., Any]
) -> None:
    async def every(client: httpx.AsyncClient) -> list[Any]:
        return await asyncio.gather(*(said(client, chat(t, "router:digest")) for t in TEXTS))

    found = talk(Service({"router": fond_of_classes}), every)
    answers = [one["choices"][0]["message"]["content"] for one in found]
    expected = by_library(fond_of_classes, "digest", TEXTS)
    assert answers == [answer.response for answer in expected]
    assert any(answers) and not any("<|routing" in answer for answer in answers)
    (routed,) = by_library(fond_of_classes, "routing", TEXTS[:1])
    assert routed.label in ("billing", "hardware")
