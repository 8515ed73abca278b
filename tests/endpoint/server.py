"""A small server of OpenAI's interface around a model of the tests', a process of its own.

`main(MODEL_FOLDER, ADDRESS_FILE)` listens on a free port of 127.0.0.1 and writes its address. It
does what real servers do to completions and conversations, and what they should not: `PUT /behave`
sets how (see `Behaviour`), `GET /seen` says what was asked.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from transformers import AutoModelForCausalLM, AutoTokenizer

MODEL = "tiny"


@dataclass
class Behaviour:
    """`status` is answered to the next `times` questions (0: to all), with `headers`; `refuses` are
    fields that a question may not have; `after` so many questions it begins to misbehave."""

    status: int = 200
    times: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    refuses: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=lambda: ["/v1/completions", "/v1/chat/completions"])
    log_probs: bool = True
    html: bool = False
    stall: float = 0.0
    drip: bool = False
    die: bool = False
    model: str = MODEL
    lists: str = MODEL
    shift: int = 0
    scale: float = 1.0
    says: str | None = None
    key: str | None = None
    after: int = 0
    ids: bool = True


class Server:
    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.behaviour, self.asked = Behaviour(), 0
        self.bodies: list[dict[str, Any]] = []
        self.running = self.most = 0
        self.lock = threading.Lock()

    async def behave(self, request: Request) -> Response:
        self.behaviour = Behaviour(**await request.json())
        self.asked, self.bodies, self.most = 0, [], 0
        return JSONResponse({})

    async def seen(self, _: Request) -> Response:
        return JSONResponse({"asked": self.asked, "most": self.most, "bodies": self.bodies})

    async def models(self, _: Request) -> Response:
        if self.behaviour.html and not self.behaviour.after:
            return HTMLResponse("<html>Log in</html>")
        listed = {"id": self.behaviour.lists, "root": "tiny", "max_model_len": 600}
        return JSONResponse({"object": "list", "data": [{**listed, "created": self.asked}]})

    async def answer(self, request: Request) -> Response:
        how, body = self.behaviour, await request.json()
        self.asked += 1
        self.bodies.append({"path": request.url.path, **body})
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.asked > how.after and (said := await self._misbehaved(request, body)):
                return said
            await asyncio.sleep(0.002)
            return JSONResponse(await run_in_threadpool(self._answered, request.url.path, body))
        finally:
            self.running -= 1

    async def _misbehaved(self, request: Request, body: dict[str, Any]) -> Response | None:
        how, number = self.behaviour, self.asked - self.behaviour.after
        if how.key and request.headers.get("authorization") != f"Bearer {how.key}":
            return JSONResponse({"error": "key"}, status_code=401)
        if request.url.path not in how.paths:
            return JSONResponse({"detail": "Not Found"}, status_code=404)
        if how.die:
            os._exit(3)
        if how.stall:
            await asyncio.sleep(how.stall)
        if how.html:
            return HTMLResponse("<html>Log in</html>")
        if how.drip:
            return _Dripping()
        if how.status != 200 and (not how.times or number <= how.times):
            return JSONResponse({"error": body}, status_code=how.status, headers=how.headers)
        if any(name in body for name in how.refuses):
            return JSONResponse({"error": body}, status_code=400)
        return None

    def _answered(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock, torch.inference_mode():
            how = self.behaviour
            one = self._chat if path.endswith("chat/completions") else self._completion
            prompts = [None] if path.endswith("chat/completions") else _prompts(body["prompt"])
            choices = [{"index": i, **one(body, prompt)} for i, prompt in enumerate(prompts)]
            misled = how.model != MODEL and self.asked > how.after
            return {"model": how.model if misled else MODEL, "choices": choices[::-1]}

    def _log_probs(self, ids: list[int]) -> torch.Tensor:
        logits = self.model(torch.tensor([ids])).logits[0].float() * self.behaviour.scale
        return logits.log_softmax(-1)

    def _completion(self, body: dict[str, Any], prompt: list[int] | str | None) -> dict[str, Any]:
        ids = self.tokenizer(prompt).input_ids if isinstance(prompt, str) else list(prompt or [])
        stops = {self.tokenizer.eos_token_id, *body.get("stop_token_ids", [])}
        written, values, ended = self._greedy(ids, body["max_tokens"], stops)
        named = bool(body.get("return_tokens_as_token_ids")) and self.behaviour.ids
        found: dict[str, Any] = {"finish_reason": "stop" if ended else "length"}
        shown = [i for i in written if i not in stops]
        found["text"] = self.tokenizer.decode(shown)
        if not self.behaviour.log_probs:
            return found
        told, log_probs, top = list(written), list(values), [None] * len(written)
        before = self._log_probs(ids)[:-1]
        of_prompt = [None, *(float(row[i]) for row, i in zip(before, ids[1:], strict=True))]
        k = body.get("prompt_logprobs") or body.get("logprobs") or 1
        likely = [None, *(self._top(row, k, named) for row in before)]
        shifted = [i + self.behaviour.shift for i in ids]
        if body.get("prompt_logprobs"):
            found["prompt_logprobs"] = [None] + [
                {
                    **{str(i): {"logprob": float(row[i])} for i in row.topk(k).indices.tolist()},
                    str(i + self.behaviour.shift): {"logprob": float(row[i])},
                }
                for row, i in zip(before, ids[1:], strict=True)
            ]
        if body.get("echo"):
            told, log_probs, top = shifted + told, of_prompt + log_probs, likely + top
            found["text"] = self.tokenizer.decode(ids) + found["text"]
        if body.get("logprobs"):
            names = [self._name(i, named) for i in told]
            found["logprobs"] = {"tokens": names, "token_logprobs": log_probs, "top_logprobs": top}
        return found

    def _chat(self, body: dict[str, Any], _: Any) -> dict[str, Any]:
        prompt = "\n\n".join(m["content"] for m in body["messages"]) + "\n\nAnswer: "
        ids = self.tokenizer(prompt).input_ids
        written, values, ended = self._greedy(ids, body["max_tokens"], set())
        said = self.tokenizer.decode(written)
        said = said if self.behaviour.says is None else self.behaviour.says
        found: dict[str, Any] = {"message": {"role": "assistant", "content": said}}
        found["finish_reason"] = "stop" if ended or self.behaviour.says else "length"
        if body.get("logprobs") and self.behaviour.log_probs:
            first = self._log_probs(ids)[-1]
            best = first.topk(body["top_logprobs"])
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            top = [{"token": self._name(i, named=False), "logprob": p} for i, p in pairs]
            found["logprobs"] = {"content": [
                {
                    "token": self._name(i, named=False), "logprob": value,
                    "top_logprobs": top if place == 0 else [],
                }
                for place, (i, value) in enumerate(zip(written, values, strict=True))
            ]}  # fmt: skip
        return found

    def _greedy(
        self, ids: list[int], most: int, stops: set[int]
    ) -> tuple[list[int], list[float], bool]:
        written: list[int] = []
        values: list[float] = []
        while len(written) < most:
            row = self._log_probs([*ids, *written])[-1]
            best = int(row.argmax())
            written.append(best)
            values.append(float(row[best]))
            if best in stops:
                return written, values, True
        return written, values, False

    def _top(self, row: torch.Tensor, k: int, named: bool) -> dict[str, float]:
        best = row.topk(k)
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return {self._name(i, named): value for i, value in pairs}

    def _name(self, token: int, named: bool) -> str:
        return f"token_id:{token}" if named else self.tokenizer.decode([token % 600])


def _prompts(said: Any) -> list[Any]:
    if isinstance(said, str) or (said and isinstance(said[0], int)):
        return [said]
    return list(said)


class _Dripping(Response):
    """Bytes that never end, slowly."""

    async def __call__(self, _: Any, __: Any, send: Any) -> None:
        head = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        while True:
            await send({"type": "http.response.body", "body": b" ", "more_body": True})
            await asyncio.sleep(0.05)


def main(folder: str, address: str) -> None:
    torch.set_num_threads(1)
    server = Server(Path(folder))
    routes = [
        Route("/v1/models", server.models),
        Route("/v1/completions", server.answer, methods=["POST"]),
        Route("/v1/chat/completions", server.answer, methods=["POST"]),
        Route("/behave", server.behave, methods=["PUT"]),
        Route("/seen", server.seen),
    ]
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    part = Path(f"{address}.part")
    part.write_text(json.dumps(listening.getsockname()[1]))
    part.rename(address)
    config = uvicorn.Config(Starlette(routes=routes), log_level="error", timeout_keep_alive=60)
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))
