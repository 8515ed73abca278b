"""The routes: OpenAI's API over a `Service`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException

from stillhouse.serve.answers import Piece
from stillhouse.serve.asked import Question, find, of_chat, of_completion
from stillhouse.serve.bodies import Answer, models
from stillhouse.serve.door import App, Door
from stillhouse.serve.refusals import SERVER, UNKNOWN, RefusedError, as_json
from stillhouse.serve.service import Heard, Service
from stillhouse.serve.wire import NAMES, ChatRequest, CompletionRequest, Feedback

JSON = "application/json"
DONE = b"data: [DONE]\n\n"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
REFUSED: dict[int | str, dict[str, Any]] = {
    status: {"description": "Refused, with a reason."}
    for status in (400, 401, 403, 404, 408, 413, 415, 429, 503)
}


def application(service: Service) -> App:
    """All of it, behind its door."""
    app = FastAPI(
        title="Stillhouse",
        # Their pages load scripts from elsewhere.
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan(service),
        responses=REFUSED,
    )
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _failed)

    @app.get("/health")
    async def health() -> Response:
        return _json(service.health(), status=200 if service.well else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(service.gauges.text(), media_type=PROMETHEUS)

    @app.get("/v1/models")
    async def listed() -> Response:
        return _json(models(list(service.students.values())))

    @app.get("/v1/models/{model:path}")
    async def one(model: str) -> Response:
        student, _ = find(service.students, model)
        known = {m["id"]: m for m in models([student])["data"]}
        return _json(known[model.replace("/", ":", 1)])

    @app.post("/v1/chat/completions")
    async def chat(request: Request, asked: ChatRequest) -> Response:
        question = await of_chat(service.students, asked)
        return await _answered(service, request, asked, [question])

    @app.post("/v1/completions")
    async def complete(request: Request, asked: CompletionRequest) -> Response:
        questions = await of_completion(service.students, asked)
        return await _answered(service, request, asked, questions)

    @app.post("/v1/feedback", status_code=202)
    async def feedback(said: Feedback) -> Response:
        """What became of an answer: whether it was right, the right one, a downstream metric."""
        service.told(said)
        return _json({"id": said.id, "object": "feedback", "status": "accepted"}, status=202)

    return Door(app, service.keys, service.limits, service.gauges)


def _lifespan(service: Service) -> Callable[[FastAPI], Any]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with service.running():
            yield

    return lifespan


async def _answered(
    service: Service,
    request: Request,
    asked: ChatRequest | CompletionRequest,
    questions: list[Question],
) -> Response:
    first, chat = questions[0], isinstance(asked, ChatRequest)
    answer = Answer(
        asked.model,
        first.student.release,
        sum(question.prompt_tokens for question in questions),
        first.alternatives is not None,
        chat,
        request.state.id,
    )
    heard = Heard(answer.id, asked)
    if asked.stream:
        usage = bool(asked.stream_options and asked.stream_options.include_usage)
        events = _events(service, first, answer, heard, usage=usage)
        return StreamingResponse(events, media_type="text/event-stream")

    async def whole(number: int, question: Question) -> list[Piece]:
        return [piece async for piece in service.pieces(question, heard, number)]

    every: asyncio.Future[Any] = asyncio.gather(
        *(whole(number, question) for number, question in enumerate(questions))
    )
    gone: asyncio.Future[Any] = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait([every, gone], return_when=asyncio.FIRST_COMPLETED)
        if not every.done():
            return Response(status_code=499, background=_sent(service, heard))  # nobody reads it
        return _json(answer.whole(await every), background=_sent(service, heard))
    finally:
        gone.cancel()
        every.cancel()
        # Whoever hung up is told nothing, and neither is the log.
        await asyncio.wait([every])
        if not every.cancelled():
            every.exception()


def _sent(service: Service, heard: Heard) -> BackgroundTask:
    async def sent() -> None:
        service.sent(heard)

    return BackgroundTask(sent)


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _events(
    service: Service, question: Question, answer: Answer, heard: Heard, *, usage: bool
) -> AsyncIterator[bytes]:
    """Server-sent events. What fails after the first of them is told as one, as OpenAI does."""
    written = 0
    try:
        if (begin := answer.first()) is not None:
            yield _event(begin)
        async for piece in service.pieces(question, heard):
            written = piece.written
            for chunk in answer.chunks(piece):
                yield _event(chunk)
        if usage:
            yield _event(answer.last(written))
        yield DONE
    except RefusedError as refusal:
        yield _event(refusal.body)
        yield DONE
    finally:  # whether or not somebody reads to the end
        service.sent(heard)


def _event(value: Any) -> bytes:
    return b"data: " + as_json(value) + b"\n\n"


def _json(
    value: Any,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    background: BackgroundTask | None = None,
) -> Response:
    return Response(as_json(value), status, headers, JSON, background)


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)  # noqa: S101 - as it was registered
    return _json(error.body, status=error.status, headers=error.headers)


async def _invalid(_: Request, error: Exception) -> Response:
    """What is wrong with the fields, and nothing of what the client put there: neither of values,
    nor of names that are not ours."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as it was registered
    found = error.errors()[0]
    if found["type"] == "json_invalid":
        return _json(RefusedError(400, "the body is no JSON").body, status=400)
    parts = [str(part) if isinstance(part, int) else part for part in found["loc"][1:]]
    place = ".".join(part for part in parts if part.isdigit() or part in NAMES)
    message = found["msg"]
    if found["type"].startswith("union_tag"):
        message = f"its `type` is none of {found['ctx'].get('expected_tags', 'those known')}"
    refusal = RefusedError(400, f"{place}: {message}" if place else message, param=place or None)
    return _json(refusal.body, status=400)


async def _failed(_: Request, __: Exception) -> Response:
    refusal = RefusedError(500, "the answer failed; the server's log says how", kind=SERVER)
    return _json(refusal.body, status=500)


async def _http(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as it was registered
    kind = UNKNOWN if error.status_code == 404 else "invalid_request_error"
    refusal = RefusedError(error.status_code, str(error.detail), kind=kind)
    return _json(refusal.body, status=error.status_code, headers=dict(error.headers or {}))
