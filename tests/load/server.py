"""A small server of OpenAI's streams, a process of its own: what it does, the model's name says.

`python server.py` prints the port of 127.0.0.1 that it listens on. One thing at a time, as a
server with one thread would: while it pauses, nobody is answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
TOKENS, STEP = 4, 0.02


def event(value: object) -> bytes:
    data = b"data: " + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


def part(text: str | None, finish: str | None = None) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]})


async def answer(model: str, writer: asyncio.StreamWriter) -> None:
    if model.isdigit():
        writer.write(b"HTTP/1.1 %s No\r\ncontent-length: 2\r\n\r\nno" % model.encode())
        return
    if model == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    if model == "pauses":
        time.sleep(0.4)
    if model == "silent":
        await asyncio.sleep(3600)
    writer.write(HEAD)
    if model == "nothing":
        writer.write(event(b"[DONE]") + b"0\r\n\r\n")
        return
    writer.write(part(""))  # a role, and no token
    if model == "malformed":
        writer.write(event(b"{no json"))
    for number in range(TOKENS):
        await asyncio.sleep(STEP)
        writer.write(part(f"{number} "))
        if model in ("stalls", "cut", "told") and number == 1:
            if model == "stalls":
                await writer.drain()
                await asyncio.sleep(3600)
            if model == "told":
                writer.write(event({"error": {"message": "it failed"}}))
            writer.close()
            return
    writer.write(part(None, "stop"))
    # More tokens than parts: some servers write several at once.
    counted: object = {"text": "8", "less": -5}.get(model, 2 * TOKENS)
    usage = {"prompt_tokens": 7, "completion_tokens": counted}
    writer.write(event({"choices": [], "usage": usage}))
    writer.write(event(b"[DONE]") + b"0\r\n\r\n")


async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            body = json.loads(await reader.readexactly(length))
            await answer(body["model"], writer)
            await writer.drain()
    except (OSError, EOFError):
        writer.close()


async def main() -> None:
    server = await asyncio.start_server(client, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
