"""`stillhouse serve` beside `transformers serve`: the same quantized student, one-token answers.

    python benchmarks/serving.py --project examples/helpdesk

Both are processes of their own on loopback, asked by the same client: `--concurrency` callers, each
of which asks again as soon as it is answered (a closed loop). Texts are test pairs of the student's
first task. Ours is asked as clients do, for the task's answer with its confidence. Theirs is asked
for the same tokens: the student's prompt, written out as a completion, and one token of answer; its
processor does what it does by default, one request after another. It can't be held to the classes,
and says no confidence.

They take turns, forwards and backwards; ratios are within a repetition, medians over repetitions.
`times_the_requests_a_cpu_second` counts the processor time of each server alone, so neither what
else the machine does nor the client, which takes some of the same cores, has a say in it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from stillhouse.config.project import load_project
from stillhouse.lm.prompts import render_prompt
from stillhouse.storage.files import write_json
from stillhouse.storage.layout import Layout
from stillhouse.tasks.common import rows_of

HERE = Path(__file__).resolve().parent
STARTS_SECONDS = 600


@dataclass(frozen=True)
class Load:
    """What one run of callers saw: seconds of each answer, errors by what they were, seconds in
    all."""

    seconds: list[float]
    errors: dict[str, int]
    took: float

    @property
    def rate(self) -> float:
        return len(self.seconds) / self.took

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def closed_loop(
    url: str,
    bodies: Sequence[dict[str, Any]],
    *,
    concurrency: int,
    requests: int,
    timeout: float = 60.0,
    answered: Callable[[Any], bool] = bool,
) -> Load:
    """So many callers, each asking again as soon as it is answered, until `requests` are sent;
    `bodies` in turn. What is not 200, or not `answered`, or comes too late, is an error."""
    seconds: list[float] = []
    errors: dict[str, int] = {}

    async def caller(client: httpx.AsyncClient, left: Iterator[dict[str, Any]]) -> None:
        for body in left:
            began = time.perf_counter()
            try:
                found = await client.post(url, json=body)
                fault = None if found.status_code == 200 else str(found.status_code)
                if fault is None and not answered(found.json()):
                    fault = "no answer"
            except httpx.HTTPError as error:
                fault = type(error).__name__
            if fault is None:
                seconds.append(time.perf_counter() - began)
            else:
                errors[fault] = errors.get(fault, 0) + 1

    async def every() -> None:
        left = itertools.islice(itertools.cycle(bodies), requests)
        limits = httpx.Limits(max_connections=concurrency)
        async with httpx.AsyncClient(timeout=timeout, limits=limits, trust_env=False) as client:
            await asyncio.gather(*(caller(client, left) for _ in range(concurrency)))

    began = time.perf_counter()
    asyncio.run(every())
    return Load(seconds, errors, time.perf_counter() - began)


@contextlib.contextmanager
def served(command: Sequence[str], port: int, path: str) -> Iterator[psutil.Process]:
    """The process, once it answers."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    log = Path(f"/proc/{os.getpid()}/fd/2")
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + STARTS_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not start")
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False).status_code == 200:
                    break
            time.sleep(0.2)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--project", type=Path, default=HERE.parent / "examples" / "helpdesk")
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--requests", type=int, default=400, help="of each turn of ours")
    parser.add_argument("--theirs", type=int, default=100, help="of each turn of theirs")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "serving.json")
    options = parser.parse_args()
    project = load_project(options.project)
    student, version = project.students[0], project.teachers[-1].version
    layout, task = Layout(project.data_path), project.task(student.tasks[0])
    folder = layout.student(student.name, version) / "quantized"
    dataset = layout.table("dataset_splits")
    texts = [row["input"] for rows in rows_of(dataset, task.name, "test") for row in rows]
    ours = [
        {"model": f"{student.name}:{task.name}", "messages": [{"role": "user", "content": text}]}
        for text in texts
    ]
    theirs = [
        {
            "model": str(folder),
            "prompt": render_prompt(task.instruction, text),
            "max_tokens": 1,
            "temperature": 0.0,
        }
        for text in texts
    ]
    ports = free_port(), free_port()
    program = str(Path(sys.executable).parent)
    commands = (
        [f"{program}/stillhouse", "serve", student.name, "--unreleased", "--project",
         str(options.project), "--port", str(ports[0])],
        [f"{program}/transformers", "serve", str(folder), "--host", "127.0.0.1", "--port",
         str(ports[1])],
    )  # fmt: skip
    urls = (
        f"http://127.0.0.1:{ports[0]}/v1/chat/completions",
        f"http://127.0.0.1:{ports[1]}/v1/completions",
    )
    with (
        served(commands[0], ports[0], "/health") as one,
        served(commands[1], ports[1], "/health") as other,
    ):
        processes = one, other
        asked = ((urls[0], ours, options.requests), (urls[1], theirs, options.theirs))
        for url, bodies, _ in asked:
            closed_loop(url, bodies, concurrency=options.concurrency, requests=64)
        runs: list[tuple[Load, Load]] = []
        spent: list[tuple[float, float]] = []  # processor seconds a request
        for repetition in range(options.repetitions):
            order = (0, 1) if repetition % 2 == 0 else (1, 0)
            found: dict[int, Load] = {}
            each: dict[int, float] = {}
            for which in order:
                url, bodies, count = asked[which]
                before = _cpu(processes[which])
                found[which] = closed_loop(
                    url, bodies, concurrency=options.concurrency, requests=count
                )
                each[which] = (_cpu(processes[which]) - before) / count
            runs.append((found[0], found[1]))
            spent.append((each[0], each[1]))
            print(*(_shown(load) for load in runs[-1]), sep=" | ", file=sys.stderr, flush=True)
    results = {
        "concurrency": options.concurrency,
        "times_the_requests_a_second": _median(a.rate / b.rate for a, b in runs),
        "times_the_requests_a_cpu_second": _median(b / a for a, b in spent),
        "p99_over_p50": _median(a.percentile(0.99) / a.percentile(0.5) for a, _ in runs),
        "theirs_p99_over_p50": _median(b.percentile(0.99) / b.percentile(0.5) for _, b in runs),
        "p50_ratio": _median(b.percentile(0.5) / a.percentile(0.5) for a, b in runs),
        "errors": [a.errors for a, _ in runs],
        "theirs_errors": [b.errors for _, b in runs],
    }
    write_json(options.json, results)
    print(results)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _median(values: Iterator[float] | Any) -> float:
    return round(statistics.median(values), 2)


def _shown(load: Load) -> str:
    p50, p99 = (load.percentile(share) * 1000 for share in (0.5, 0.99))
    return f"{load.rate:.1f}/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, errors {load.errors}"


if __name__ == "__main__":
    main()
