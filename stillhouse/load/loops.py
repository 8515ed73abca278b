"""How many requests are sent when.

A **closed** loop has so many callers, each of which asks again as soon as it is answered: what a
batch job does, and how throughput is found. It is kind to a slow server, which is asked less. An
**open** loop sends requests when they are due, at random times, whatever was answered by then, as
people do; latency counts from when a request was due. Otherwise whatever had to wait behind a pause
of the server would be left out of the very figures that it belongs into ("coordinated omission",
Gil Tene). Arrivals are those of a Poisson process: gaps are exponential.

No loop waits for a server for ever: a request is given up after its timeout, and a level once as
many requests in a row have failed as there are callers, and `GIVE_UP` at least.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stillhouse.load.request import Asked, Prompt, ask
from stillhouse.load.target import Target

if TYPE_CHECKING:
    import httpx

GIVE_UP = 10
# Seconds that a caller rests after an error: a server that refuses at once is not asked at once.
REST = 0.05


@dataclass
class Load:
    """What a level saw: `asked` in the order in which requests ended, from `began` on. `seconds`
    is how long requests were sent."""

    loop: str
    load: float
    began: float
    seconds: float = 0.0
    asked: list[Asked] = field(default_factory=list)
    given_up: bool = False
    callers: int = 1
    _failed: int = 0

    def note(self, one: Asked) -> None:
        self.asked.append(one)
        self._failed = self._failed + 1 if one.error else 0
        self.given_up |= self._failed >= max(GIVE_UP, self.callers)


def closed_loop(
    target: Target,
    prompts: Sequence[Prompt],
    *,
    concurrency: int,
    seconds: float,
    requests: int,
    timeout: float,
    start: int = 0,
) -> Load:
    """`concurrency` callers, until `seconds` are over or `requests` are sent; what is under way
    then is waited for. `prompts` in turn, from `start` on."""

    async def level(client: httpx.AsyncClient) -> Load:
        load = Load("closed", concurrency, time.perf_counter(), callers=concurrency)
        left = itertools.islice(_in_turn(prompts, start), requests)
        end = load.began + seconds

        async def caller() -> None:
            for prompt in left:
                one = await ask(client, target, prompt, timeout=timeout)
                load.note(one)
                if load.given_up or time.perf_counter() >= end:
                    return
                if one.error:
                    await asyncio.sleep(REST)

        await asyncio.gather(*(caller() for _ in range(concurrency)))
        load.seconds = min(time.perf_counter() - load.began, seconds)
        return load

    return _run(level)


def open_loop(
    target: Target,
    prompts: Sequence[Prompt],
    *,
    rate: float,
    seconds: float,
    requests: int,
    timeout: float,
    seed: int = 0,
    start: int = 0,
) -> Load:
    """`rate` requests a second on average, for `seconds` or until `requests` are sent."""

    async def level(client: httpx.AsyncClient) -> Load:
        load = Load("open", rate, time.perf_counter())
        under_way: set[asyncio.Task[None]] = set()

        async def one(prompt: Prompt, due: float) -> None:
            load.note(await ask(client, target, prompt, timeout=timeout, due=due))

        due = load.began
        for prompt, due in zip(
            _in_turn(prompts, start),
            itertools.islice(_arrivals(load.began, rate, seconds, seed), requests),
            strict=False,
        ):
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            if load.given_up:
                break
            task = asyncio.create_task(one(prompt, due))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        sent = due - load.began
        if under_way:
            await asyncio.wait(under_way)
        # Fewer than were wanted were sent: up to the last of them.
        load.seconds = sent if load.given_up or len(load.asked) == requests else seconds
        return load

    return _run(level)


def _run(level: Callable[[httpx.AsyncClient], Awaitable[Load]]) -> Load:
    import httpx

    async def with_client() -> Load:
        async with httpx.AsyncClient(
            timeout=None,  # each request has its own  # noqa: S113
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=None),
            follow_redirects=False,
            trust_env=False,  # proxies of the environment lead outside
        ) as client:
            return await level(client)

    return asyncio.run(with_client())


def _in_turn(prompts: Sequence[Prompt], start: int) -> Iterator[Prompt]:
    first = start % len(prompts)
    return itertools.cycle([*prompts[first:], *prompts[:first]])


def _arrivals(began: float, rate: float, seconds: float, seed: int) -> Iterable[float]:
    """When requests are due."""
    chance, due = random.Random(seed), began
    while (due := due + chance.expovariate(rate)) < began + seconds:
        yield due
