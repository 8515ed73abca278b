"""OpenAI's own client talks to a real process, which then ends as it should."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.made import MINIMAL
from tests.served import serving

KEY = "a-key-of-the-tests-no-secret"
HELLO: list[Any] = [{"role": "user", "content": "Where is my invoice?"}]


@pytest.fixture(scope="module")
def server(tiny_teacher: Path, tmp_path_factory: Any) -> Iterator[tuple[str, Any]]:
    """Address and process of `stillhouse serve`, with keys."""
    root = tmp_path_factory.mktemp("project")
    (root / "stillhouse.yaml").write_text(MINIMAL)
    shutil.copytree(tiny_teacher, root / "var/students/router/t-1/current/quantized")
    (root / "keys").write_text(f"ada {KEY}\n")
    (root / "keys").chmod(0o600)
    with serving(root, "--unreleased", "--keys", root / "keys") as server:
        yield server


@pytest.mark.timeout(300)
def test_the_client_talks_to_it_unchanged(server: tuple[str, Any]) -> None:
    url, process = server
    client = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    assert [model.id for model in client.models.list()] == ["router", "router:routing"]
    assert client.models.retrieve("router:routing").owned_by == "stillhouse"

    found = client.chat.completions.create(
        model="router", messages=HELLO, logprobs=True, top_logprobs=2
    )
    (choice,) = found.choices
    assert choice.message.content in ("billing", "hardware") and choice.finish_reason == "stop"
    assert choice.logprobs is not None and choice.logprobs.content is not None
    (token,) = choice.logprobs.content
    assert len(token.top_logprobs) == 2 and token.logprob <= 0
    assert found.usage is not None and found.usage.completion_tokens == 1
    about = found.model_extra["stillhouse"]  # type: ignore[index]
    assert 0.5 <= about["confidence"] <= 1 and about["task"] == "routing"

    stream = client.chat.completions.create(
        model="router:routing", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    said = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert said == choice.message.content
    assert chunks[-1].usage == found.usage

    schema = {
        "type": "object",
        "properties": {"queue": {"type": "string"}},
        "required": ["queue"],
        "additionalProperties": False,
    }
    held = client.chat.completions.create(
        model="router",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "q", "schema": schema}},
    )
    assert held.choices[0].message.content == f'{{"queue": "{said}"}}'.replace(": ", ":")

    text = client.completions.create(model="router", prompt="The screen", max_tokens=5, logprobs=2)
    assert text.choices[0].finish_reason in ("length", "stop")

    with pytest.raises(openai.NotFoundError, match="no such model"):
        client.chat.completions.create(model="gpt-4o", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="takes"):
        client.completions.create(model="router", prompt="The screen", max_tokens=900_000)
    with pytest.raises(openai.BadRequestError, match="not served"):
        tool: Any = {"type": "function", "function": {"name": "f", "parameters": {}}}
        client.chat.completions.create(model="router", messages=HELLO, tools=[tool])
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{url}/v1", api_key="wrong", max_retries=0).models.list()
    with pytest.raises(openai.APIStatusError) as large:
        client.completions.create(model="router", prompt="x" * 2_000_000)
    assert large.value.status_code == 413

    # Asked to end, it first says all that it has begun to say.
    long = client.completions.create(model="router", prompt="The", max_tokens=300, stream=True)
    first = next(iter(long))
    process.send_signal(signal.SIGTERM)
    rest = list(long)
    assert first.choices[0].finish_reason is None or not rest
    assert [c.choices[0].finish_reason for c in [first, *rest]][-1] in ("length", "stop")
    assert process.wait(60) in (0, -signal.SIGTERM)  # uvicorn passes the signal on at its end
    assert "Traceback" not in process.said()
