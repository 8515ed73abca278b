"""The process of the shadow: `python -m stillhouse.serve.shadowing PROJECT CHANNEL STUDENT...`,
with a request a line on standard input, and an answer a line on standard output.

It is a server without an address: students are loaded, followed and asked as `stillhouse serve`
does it, so that their answers are those that they would give there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from stillhouse.offline import go_offline
from stillhouse.storage.private import keep_private

logger = logging.getLogger("stillhouse")

AT_ONCE = 16


def main() -> None:
    go_offline()
    keep_private()
    os.nice(19)  # who answers clients goes first
    # Whatever a library prints is no answer.
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)

    from stillhouse.config.project import load_project
    from stillhouse.errors import UserError
    from stillhouse.serve.running import Asked, open_service

    project, channel, *students = sys.argv[1:]
    try:
        service = open_service(load_project(Path(project)), Asked(tuple(students), channel))
    except UserError as error:
        logger.error("The shadow can't begin: %s", error.message)
        sys.exit(1)
    asyncio.run(answer_all(service, sys.stdin.buffer, out))


async def answer_all(service: Any, lines: Any, out: Any) -> None:
    """Answer each request; a few at once, so that they wait in the pipe and not here."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(line: bytes) -> None:
        try:
            said = await _answered(service, json.loads(line))
            out.write(json.dumps(said).encode("ascii") + b"\n")
        finally:
            places.release()

    async with service.running(), asyncio.TaskGroup() as group:
        while line := await asyncio.to_thread(lines.readline):
            await places.acquire()
            group.create_task(one(line))


async def _answered(service: Any, message: dict[str, Any]) -> dict[str, Any]:
    """`answer`, `confidence` and `release`; none of them where it failed."""
    from stillhouse.serve.asked import of_chat, of_completion
    from stillhouse.serve.service import Heard
    from stillhouse.serve.wire import ChatRequest, CompletionRequest

    number = {"n": message["n"]}
    asked: Any
    try:
        if message["chat"]:
            asked = ChatRequest.model_validate(message["request"])
            question = await of_chat(service.students, asked)
        else:
            asked = CompletionRequest.model_validate(message["request"])
            (question,) = await of_completion(service.students, asked)
        heard = Heard("", asked)
        pieces = [piece async for piece in service.pieces(question, heard)]
    except Exception as error:
        # Its words may be those of the text.
        logger.warning("The shadow did not answer: %s", type(error).__name__)
        return number
    return number | {
        "release": question.student.release,
        "answer": "".join(piece.text for piece in pieces),
        "confidence": pieces[-1].about.get("confidence"),
    }


if __name__ == "__main__":
    main()
