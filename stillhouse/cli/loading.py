"""`stillhouse load`: how fast a server answers, any that speaks OpenAI's interface."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.config.project import Project, load_project
from stillhouse.errors import UserError

if TYPE_CHECKING:
    from stillhouse.load.request import Prompt


def load(
    url: Annotated[str, typer.Argument(help="Where OpenAI's interface begins: http://HOST/v1.")],
    model: Annotated[str, typer.Option(help="The model that is asked, by its id there.")],
    concurrency: Annotated[
        str, typer.Option(help="Callers at once, a level each; empty: none.")
    ] = "1,2,4,8",
    rate: Annotated[
        str | None,
        typer.Option(help="Requests a second that arrive; 0.5 and 0.8 of the most, by default."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="Of each level.")] = 15,
    requests: Annotated[int, typer.Option(min=1, help="Of each level at most.")] = 2000,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds for each request.")] = 30,
    warmup: Annotated[int, typer.Option(min=0, help="Requests before, which don't count.")] = 32,
    tokens: Annotated[int | None, typer.Option(min=1, help="Of an answer at most.")] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="JSON lines with `text`, `messages` or `prompt`; else the test split."),
    ] = None,
    project: ProjectOption = None,
    task: Annotated[str | None, typer.Option(help="Only this task's test split.")] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="A file that holds the server's key; mode 0600.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of arrivals, and of which texts are drawn.")] = 7,
    as_json: Annotated[bool, typer.Option("--json", help="All figures, as JSON.")] = False,
) -> None:
    """Ask a server under one load after another: latency, throughput, errors."""
    from stillhouse.config.endpoint import ApiKey
    from stillhouse.config.latency import Latency
    from stillhouse.endpoint.client import look_up
    from stillhouse.load.figures import level_of
    from stillhouse.load.machine import machine
    from stillhouse.load.profile import measure
    from stillhouse.load.target import target_of
    from stillhouse.load.texts import prompts_in

    settings = Latency(
        concurrency=[int(n) for n in _numbers(concurrency, "--concurrency")],
        rates=None if rate is None else _numbers(rate, "--rate"),
        seconds=seconds, requests=requests, timeout=timeout, warmup=warmup,
        answer_tokens=tokens, seed=seed,
    )  # fmt: skip
    key = look_up(ApiKey(file=key_file.absolute()), Path.cwd()) if key_file else None
    target = target_of(url, key=key)
    if prompts is not None:
        asked = prompts_in(prompts, model, tokens)
    else:
        asked = _of_test_split(load_project(project), model, task, settings)
    levels = [level_of(one) for one in measure(target, asked, settings, model)]
    if as_json:
        found = {"model": model, "machine": machine(), "levels": [asdict(x) for x in levels]}
        typer.echo(json.dumps(found, indent=2))
    else:
        _print(levels)
    if not any(level.answered for level in levels):
        raise typer.Exit(1)


def _numbers(said: str, option: str) -> list[float]:
    try:
        found = [float(part) for part in said.split(",") if part.strip()]
    except ValueError:
        found = [0.0]
    whole = option == "--concurrency"
    if any(n <= 0 or (whole and (n != int(n) or n > 1024)) for n in found):
        what = "whole numbers from 1 to 1024" if whole else "numbers above 0"
        raise UserError(f"{option} {said}: not {what}", remedy=f"write {option} 1,2,4.")
    return found


def _of_test_split(project: Project, model: str, task: str | None, settings: Any) -> list[Prompt]:
    """For a student's own server its texts; for another model the tasks' prompts, written out."""
    from stillhouse.lm.prompts import render_prompt
    from stillhouse.load.request import Prompt
    from stillhouse.load.texts import CHAT, drawn, prompts_of
    from stillhouse.storage.layout import Layout

    student, _, named = model.partition(":")
    own = next((s for s in project.students if s.name == student), None)
    wanted = task or named or None
    names = own.tasks if own else [t.name for t in project.tasks]
    if wanted is not None and wanted not in names:
        raise UserError(f"there is no task {wanted!r}", remedy=f"use one of {', '.join(names)}.")
    tasks = [project.task(name) for name in ([wanted] if wanted else names)]
    dataset = Layout(project.data_path).table("dataset_splits")
    if not dataset.exists():
        raise UserError(
            f"{project.name}: there is no test split yet",
            remedy="`stillhouse run` makes it; or name texts with --prompts FILE.jsonl.",
        )
    texts, _ = drawn(None, dataset, tasks, settings)
    if own:
        return prompts_of(student, texts, settings.answer_tokens)
    limit = {} if settings.answer_tokens is None else {"max_tokens": settings.answer_tokens}
    told = {t.name: t.instruction for t in tasks}
    return [
        Prompt(
            CHAT,
            {
                "model": model,
                "messages": [{"role": "user", "content": render_prompt(told[name], text)}],
                **limit,
            },
            name,
        )
        for name, text in texts
    ]


def _print(levels: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    from stillhouse.load.shown import LEVELS, TIMES, level_rows

    console = Console()
    if not console.is_terminal:  # in a file or a pipe a line is as long as it has to be
        console = Console(width=200)
    for title, places in (
        ("Answers", (0, *range(1, TIMES))),
        ("Milliseconds, from when a request was due", (0, *range(TIMES, len(LEVELS)))),
    ):
        table = Table(*(LEVELS[place] for place in places), title=title, title_justify="left")
        for row in level_rows(levels):
            table.add_row(*(row[place] for place in places))
        console.print(table)
    if any(level.given_up for level in levels):
        typer.echo("The server stopped answering; loads after that were not tried.", err=True)
