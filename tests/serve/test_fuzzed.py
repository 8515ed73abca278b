"""Whatever is sent: an answer, or a refusal with a reason.

`STILLHOUSE_FUZZ=1000` sends as many.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import httpx
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from stillhouse.serve.door import Door
from stillhouse.serve.service import Service

PATHS = {
    "/v1/chat/completions": "ChatRequest",
    "/v1/completions": "CompletionRequest",
    "/v1/feedback": "Feedback",
}
CONTROLS = st.sampled_from(["\x00", "\ud83d", "\x1b[2J", "<script>", "\u202e", "{", "Question: "])
TEXT = st.one_of(st.text(max_size=40), CONTROLS, st.just("router"), st.just("router:order"))
ANY = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), TEXT, st.just(10**400), st.just([])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


# What makes a request of whatever else was drawn; or leaves it as it is.
HELLO = {"messages": [{"role": "user", "content": "Hello"}], "prompt": "Hello", "max_tokens": 4}
GOOD: list[dict[str, Any]] = [
    {},
    {"model": "router:routing", **HELLO},
    {"model": "router", "stop": None, **HELLO},
    {"model": "router:order", "response_format": None, "top_logprobs": 2, **HELLO},
]
SAID = {"id": "0" * 24, "index": 0, "correct": True, "score": None, "answer": None, "metric": None}
TOLD: list[dict[str, Any]] = [{}, SAID]


def of(schema: dict[str, Any], every: dict[str, Any], depth: int = 0) -> st.SearchStrategy[Any]:
    """Values that a part of an OpenAPI schema takes, and now and then others."""
    if "$ref" in schema:
        return of(every[schema["$ref"].rsplit("/", 1)[1]], every, depth)
    if "anyOf" in schema or "oneOf" in schema:
        found = [of(s, every, depth) for s in schema.get("anyOf") or schema["oneOf"]]
        return st.one_of(*found, ANY)
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema.get("type") == "object" and "properties" in schema and depth < 5:
        required = set(schema.get("required", ()))
        parts = {n: of(s, every, depth + 1) for n, s in schema["properties"].items()}
        return st.fixed_dictionaries(
            {n: p for n, p in parts.items() if n in required},
            optional={n: p for n, p in parts.items() if n not in required},
        )
    if schema.get("type") == "array":
        return st.lists(of(schema.get("items", {}), every, depth + 1), max_size=3)
    simple: dict[Any, st.SearchStrategy[Any]] = {
        "string": TEXT,
        "integer": st.integers(-1, 40),
        "number": st.floats(0, 2),
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return simple.get(schema.get("type"), ANY)


def bodies(openapi: dict[str, Any]) -> st.SearchStrategy[tuple[str, bytes]]:
    """What the schema takes, what it takes with one part replaced, and what is no request."""
    every = openapi["components"]["schemas"]

    @st.composite
    def body(draw: Any) -> tuple[str, bytes]:
        path = draw(st.sampled_from(sorted(PATHS)))
        kind = draw(st.sampled_from(["valid", "valid", "broken", "any", "bytes", "cut"]))
        if kind == "bytes":
            return path, draw(st.binary(max_size=60))
        value = draw(ANY if kind == "any" else of(every[PATHS[path]], every))
        if isinstance(value, dict) and kind != "any":
            value |= draw(st.sampled_from(TOLD if path == "/v1/feedback" else GOOD))
            if kind == "broken":
                value[draw(st.sampled_from(sorted(value)))] = draw(ANY)
        data = json.dumps(value).encode()
        if kind == "cut":
            data = data[: len(data) // 2] + draw(st.sampled_from([b"", b"[" * 3000, b"\xff"]))
        return path, data

    return body()


def openapi_of(app: Any) -> dict[str, Any]:
    assert isinstance(app, Door)
    found: dict[str, Any] = app.app.openapi()  # type: ignore[attr-defined]
    return found


async def sent(client: httpx.AsyncClient, path: str, data: bytes) -> httpx.Response:
    return await client.post(path, content=data, headers={"content-type": "application/json"})


def fuzz(service: Service, talk: Callable[..., Any], count: int) -> dict[int, int]:
    """How often each status was answered."""
    from stillhouse.serve.app import application

    counted: dict[int, int] = {}
    drawn: list[tuple[str, bytes]] = []

    @settings(
        max_examples=count, database=None, suppress_health_check=list(HealthCheck), deadline=None
    )
    @seed(11)
    @given(bodies(openapi_of(application(service))))
    def draw(body: tuple[str, bytes]) -> None:
        drawn.append(body)

    draw()

    async def every(client: httpx.AsyncClient) -> None:
        for path, data in drawn:
            found = await sent(client, path, data)
            counted[found.status_code] = counted.get(found.status_code, 0) + 1
            assert found.status_code == 200 or 400 <= found.status_code < 500, (path, data)
            if found.status_code != 200:
                error = found.json()["error"]
                assert error["message"] and error["type"], (path, data)
            else:
                assert b'"server_error"' not in found.content, (path, data)

    talk(service, every)
    return counted


def test_whatever_is_sent_is_answered_or_refused_with_a_reason(
    service: Service, talk: Callable[..., Any]
) -> None:
    counted = fuzz(service, talk, int(os.environ.get("STILLHOUSE_FUZZ", "120")))
    assert counted[200] >= 2 and counted[400] >= 15
    assert counted[404] >= 1  # feedback that is well said: this server keeps no log


def test_other_methods_and_paths_are_refused(service: Service, talk: Callable[..., Any]) -> None:
    async def every(client: httpx.AsyncClient) -> Any:
        return [
            await client.request(method, path, content=b"{}")
            for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST")
            for path in (*PATHS, "/", "/v1", "/v1/models/", "/v1/models/router:none", "/%2e%2e/etc")
        ]

    for found in talk(service, every):
        assert found.status_code in (404, 405, 415), (found.request.method, found.request.url)
        assert found.json()["error"]["message"]
