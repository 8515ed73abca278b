"""Requests that want to break a server: bytes of HTTP itself, and bodies that are JSON and no good.

What is expected of each is a status; of bodies, that they are refused, or answered where they ask
for something that can be had.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

CHAT, COMPLETE = "/v1/chat/completions", "/v1/completions"
HEADS = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\n"
GOOD = json.dumps(
    {"model": "router:routing", "messages": [{"role": "user", "content": "x"}]}
).encode()


def post(*headers: bytes, body: bytes = GOOD, known: bool = True) -> bytes:
    """A request; with its length where that is `known`."""
    said = [*headers, b"Content-Length: %d" % len(body)] if known else list(headers)
    lines = b"".join(line + b"\r\n" for line in said)
    return b"POST %b HTTP/1.1\r\n" % CHAT.encode() + HEADS + lines + b"\r\n" + body


def get(target: bytes, *headers: bytes) -> bytes:
    lines = b"".join(line + b"\r\n" for line in (b"Host: 127.0.0.1", *headers))
    return b"GET %b HTTP/1.1\r\n" % target + lines + b"\r\n"


MANY = b"".join(b"X-%d: a\r\n" % number for number in range(60_000))
# Of HTTP, by what is wrong with it, with the statuses that may come of it.
WIRE: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "nothing of HTTP": (b"\x00\x01\x02\r\n\r\n", (400,)),
    "the beginning of TLS": (bytes.fromhex("1603010200010001fc0303") + b"x" * 200, (400,)),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400,)),
    "no such version": (b"GET / FOO/1.1\r\n\r\n", (400,)),
    "no host": (b"GET /health HTTP/1.1\r\n\r\n", (403,)),
    "another host": (b"GET /health HTTP/1.1\r\nHost: rebound.example\r\n\r\n", (403,)),
    "a path of other bytes": (get(b"/\xff\xfe"), (400,)),
    "a path of nothing": (get(b"/%ff%00%2e%2e/"), (404,)),
    "a long path": (get(b"/" + b"a" * 200_000), (400, 431)),
    "a large head": (get(b"/health", b"X: " + b"a" * 3_000_000), (431,)),
    "many heads": (b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + MANY + b"\r\n", (431,)),
    "a head with a zero": (get(b"/health", b"X: a\x00b"), (400,)),
    "a folded head": (get(b"/health", b"X: a\r\n b"), (400,)),
    "less than nothing": (post(b"Content-Length: -5", known=False), (400,)),
    "more than a number holds": (post(b"Content-Length: " + b"9" * 25, known=False), (400,)),
    "more than may be": (post(b"Content-Length: 999999999", known=False), (413,)),
    "two lengths": (post(b"Content-Length: 5"), (400,)),
    "a length, and pieces": (post(b"Transfer-Encoding: chunked"), (400,)),
    "packed otherwise": (post(b"Transfer-Encoding: gzip", known=False), (400,)),
    "no piece": (post(b"Transfer-Encoding: chunked", body=b"ZZ\r\nx\r\n", known=False), (400,)),
    "a piece below zero": (
        post(b"Transfer-Encoding: chunked", body=b"-1\r\nx\r\n", known=False), (400,),
    ),
    "an endless end": (
        post(
            b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n" + MANY, known=False
        ), (431, 400),
    ),
    "pieces with long names": (
        post(b"Transfer-Encoding: chunked", body=b"2;" + b"a" * 900_000, known=False), (431,),
    ),
    "packed": (post(b"Content-Encoding: gzip", body=b"\x1f\x8b\x08" + b"\x00" * 40), (400,)),
}  # fmt: skip

# Types of a body other than JSON.
TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "")


def chat(**changed: Any) -> dict[str, Any]:
    asked = {"model": "router:routing", "messages": [{"role": "user", "content": "Hello"}]}
    return {**asked, **changed}


def held(schema: Any, model: str = "router:order") -> dict[str, Any]:
    """A request whose answer is to be held to `schema`."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    return chat(model=model, response_format=form)


def nested(depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        found = {"type": "object", "properties": {"a": found}, "required": ["a"]}
    return found


# That take long, are endless, say nothing or lead elsewhere.
SCHEMAS: dict[str, dict[str, Any]] = {
    "itself": {"$ref": "#"},
    "each other": {
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a",
    },
    "elsewhere": {"$ref": "http://127.0.0.1:9/x.json"},
    "a file": {"$ref": "file:///etc/passwd"},
    "deep": nested(200),
    "patterns that all hold": {
        "allOf": [{"type": "string", "pattern": f"a.{{{n}}}b"} for n in range(1, 40)]
    },
    "one of thousands": {
        "anyOf": [
            {"type": "object", "properties": {f"k{n}": {}}, "required": [f"k{n}"]}
            for n in range(900)
        ]
        * 3
    },
    "a multiple": {"type": "integer", "multipleOf": 10**9 + 7},
    "very many fields": {
        "type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(9000)},
    },
    "ways back": {"type": "string", "pattern": "^(a+)+$"},
    "times times times": {"type": "string", "pattern": "^((a{1,1000}){1,1000})$"},
    "no pattern": {"type": "string", "pattern": "["},
    "a very long one": {"type": "string", "minLength": 10**9},
    "nothing": {"not": {}},
    "half a character": {"const": "\ud800"},
    "no type": {"type": 3},
    "no properties": {"properties": 3},
    "another grammar": {"const": "\"\n%ignore /x/\nstart: /.*/"},
}  # fmt: skip


def bodies() -> Iterator[tuple[str, str, bytes]]:
    """Name, path and body of each."""
    for name, data in {
        "no JSON": b"{", "nothing": b"", "no UTF-8": b'{"model": "\xff\xfe"}', "two": b"{} {}",
        "deep": b"[" * 100_000, "deep objects": b'{"a":' * 5_000, "a list": b"[]", "null": b"null",
        "NaN": b'{"model": "router", "temperature": NaN}', "a huge number": b"9" * 6_000,
        "Infinity": b'{"model": "router:routing", "max_tokens": Infinity}',
        "UTF-16": json.dumps(chat(model="x")).encode("utf-16"),
    }.items():  # fmt: skip
        yield name, CHAT, data
        yield name, COMPLETE, data
    twice = b'{"model": "router:routing", "model": "none", "messages": [], "messages": 3}'
    yield "twice the same", CHAT, twice
    changes: dict[str, Any] = {
        "model": ["", "x" * 100_000, None, 3, ["router"], "router:\x00", "\ud800", "../router"],
        "messages": [
            [], {}, "x", [{}], [{"role": "user"}], [{"role": "\x1b[2J", "content": "x"}],
            [{"role": "user", "content": 3}], [{"role": "user", "content": "\ud800"}],
            [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}],
            [{"role": "user", "content": "x" * 500_000}], [{"role": "user", "content": "\x00"}],
            [{"role": "user", "content": "x"}] * 2000,
        ],
        "max_tokens": [0, -1, 1.5, "many", 10**30, 1e300, True, []],
        "temperature": [-1, 1e308, 10**400, "warm", -1e-320],
        "top_logprobs": [-1, 21, 10**18], "n": [0, 2, 10**9, "x"], "logprobs": [3, "x"],
        "stop": [3, ["x"] * 9, [None], {}], "seed": [2**70, -(2**70), "x"],
        "metadata": [{"x": 3}, {"task": "none"}, [], "x"], "stream": ["maybe", 7],
        "logit_bias": [{"5": 100}, {"x": "y"}], "tools": [[{}]], "audio": [{"x": 1}],
        "response_format": [{}, {"type": "xml"}, {"type": "json_schema"}, 3, "json", [],
                            {"type": "json_schema", "json_schema": {"schema": []}}],
    }  # fmt: skip
    for name, values in changes.items():
        for value in values:
            yield f"{name}: {str(value)[:40]!r}", CHAT, json.dumps(chat(**{name: value})).encode()
    for prompt in (None, [], [3], [[1, 2]], "", ["x"] * 65, {"a": 1}):
        asked = {"model": "router", "prompt": prompt}
        yield f"prompt: {prompt!r}", COMPLETE, json.dumps(asked).encode()
