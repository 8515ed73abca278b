"""The latency profile: a server under one load after another, and what it is held to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from stillhouse.config.latency import Latency
from stillhouse.facts import LatencyLevelFacts, LatencyProfileFacts
from stillhouse.load.figures import level_of, mean_tokens
from stillhouse.load.limits import judged, worst
from stillhouse.load.loops import Load, closed_loop, open_loop
from stillhouse.load.machine import machine
from stillhouse.load.memory import gpu_bytes, watched
from stillhouse.load.request import Prompt
from stillhouse.load.served import QUEUE, Served, serving
from stillhouse.load.target import Target, target_of
from stillhouse.load.texts import prompts_of
from stillhouse.storage.files import digest, write_json

logger = logging.getLogger("stillhouse")

# Beside the page: all figures, no text that was asked.
FINDINGS = "latency.json"
# Of the most that callers got answered, where no rates are given.
SHARES = (0.5, 0.8)


def profile_student(
    project_file: Path,
    student: str,
    version: str,
    texts: Sequence[tuple[str, str]],
    texts_from: str,
    settings: Latency,
    folder: Path,
) -> LatencyProfileFacts:
    """Start the student's own server, ask it, and write what was found to `folder`; where nothing
    is to be measured, that.

    Raises `UserError` where the server doesn't start.
    """
    if not settings.measured:
        return _write(folder, settings, [], texts_from="", texts=0)
    prompts = prompts_of(student, texts, settings.answer_tokens)
    before, queue = gpu_bytes(), max(QUEUE, 2 * max(settings.concurrency, default=1))
    with (
        serving(project_file, student, version, queue=queue) as server,
        watched(server.process) as peak,
    ):
        loads = measure(
            target_of(server.url), prompts, settings, student,
            after_each=lambda: peak.look_at_gpus(before),
        )  # fmt: skip
    return _write(
        folder, settings, loads, texts_from=texts_from, texts=len(prompts), server=server,
        peak=peak.bytes, gpu=peak.gpu_bytes,
    )  # fmt: skip


def measure(
    target: Target,
    prompts: Sequence[Prompt],
    settings: Latency,
    name: str,
    *,
    after_each: Callable[[], None] = lambda: None,
) -> list[Load]:
    """Warm up, then each level: closed loops first, as the rates of open ones may come of them. It
    ends with the first level that is given up; what it saw is among them."""
    loads: list[Load] = []
    started = 0  # each level goes on where the one before ended, through the prompts
    how: dict[str, Any] = {"seconds": settings.seconds, "timeout": settings.timeout}

    def done(load: Load, said: str) -> bool:
        nonlocal started
        started += len(load.asked)
        after_each()
        loads.append(load)
        logger.info("%s: %s", name, in_a_line(level_of(load), said))
        return not load.given_up

    if settings.warmup:
        most = max(settings.concurrency, default=1)
        warm = closed_loop(
            target, prompts, concurrency=min(most, settings.warmup), requests=settings.warmup, **how
        )
        if warm.given_up:
            loads.append(warm)
            return loads
    for callers in sorted(set(settings.concurrency)):
        load = closed_loop(
            target, prompts, concurrency=callers, requests=settings.requests, start=started, **how
        )
        if not done(load, f"{callers} at once"):
            return loads
    for rate in _rates(settings, [level_of(load) for load in loads]):
        load = open_loop(
            target, prompts, rate=rate, requests=settings.requests, start=started,
            seed=settings.seed, **how,
        )  # fmt: skip
        if not done(load, f"{rate:.3g} a second"):
            return loads
    return loads


def _rates(settings: Latency, levels: Sequence[LatencyLevelFacts]) -> list[float]:
    if settings.rates is not None:
        return sorted(set(settings.rates))
    most = max((level.requests_per_second for level in levels), default=0.0)
    return [round(share * most, 2) for share in SHARES if share * most >= 0.01]


def in_a_line(level: LatencyLevelFacts, said: str) -> str:
    errors = ", ".join(f"{count} {kind}" for kind, count in level.errors.items()) or "no errors"
    p95 = f"p95 {level.whole.p95:.3f} s" if level.whole else "nothing answered"
    return f"{said}: {level.requests_per_second:.2f} requests a second, {p95}, {errors}"


def _write(
    folder: Path,
    settings: Latency,
    loads: Sequence[Load],
    *,
    texts: int,
    texts_from: str,
    server: Served | None = None,
    peak: int | None = None,
    gpu: int | None = None,
) -> LatencyProfileFacts:
    levels, limits = [level_of(load) for load in loads], judged(settings.limits, loads, peak)
    prompt_tokens, answer_tokens = mean_tokens(loads)
    facts = LatencyProfileFacts(
        digest="",
        verdict=worst(limits, measured=bool(loads)),
        levels=levels,
        limits=limits if loads else [],
        machine=machine(),
        texts=texts,
        texts_from=texts_from,
        prompt_tokens=prompt_tokens,
        answer_tokens=answer_tokens,
        starts_seconds=round(server.starts, 2) if server else None,
        peak_bytes=peak,
        gpu_bytes=gpu,
        figures=figures_of(levels),
    )
    facts = replace(facts, digest=digest(asdict(facts)))
    write_json(folder / FINDINGS, {**asdict(facts), "settings": settings.model_dump(mode="json")})
    return facts


def figures_of(levels: Sequence[LatencyLevelFacts]) -> dict[str, float]:
    """What is plotted over time and versions: the least load of the closed loop, and the most that
    was answered."""
    closed = [level for level in levels if level.loop == "closed"]
    found: dict[str, float] = {}
    if closed and (least := closed[0]).whole and least.first:
        found |= {"p50_seconds": least.whole.p50, "p95_seconds": least.whole.p95}
        found["p95_ttft_seconds"] = least.first.p95
    if levels:
        best = max(levels, key=lambda level: level.requests_per_second)
        found["requests_per_second"] = best.requests_per_second
        found["tokens_per_second"] = max(level.tokens_per_second for level in levels)
        sent = sum(level.sent for level in levels)
        failed = sum(sum(level.errors.values()) for level in levels)
        found["error_share"] = round(failed / sent, 6) if sent else 0.0
    return found
