"""`stillhouse serve`: released students behind OpenAI's API."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.cli.options import ProjectOption
from stillhouse.cli.ui import require_free
from stillhouse.config.project import load_project


def serve(
    students: Annotated[
        list[str] | None, typer.Argument(help="Students of the project file; all by default.")
    ] = None,
    project: ProjectOption = None,
    channel: Annotated[
        str, typer.Option(help="The channel to follow: production or candidate.")
    ] = "production",
    unreleased: Annotated[
        bool, typer.Option("--unreleased", help="Serve what there is now, released or not.")
    ] = False,
    teacher: Annotated[
        str | None,
        typer.Option(help="With --unreleased: the teacher version; the last by default."),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    keys: Annotated[
        Path | None,
        typer.Option(help="A file with a line `NAME KEY` for each who may ask; mode 0600."),
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="A folder to write requests to, masked; none by default.")
    ] = None,
    shadow: Annotated[
        str | None,
        typer.Option(help="A channel that answers again, for the log alone; see docs/ab_test.md."),
    ] = None,
    queue: Annotated[int, typer.Option(min=1, help="Requests at once; more are told 429.")] = 256,
    rate: Annotated[
        float, typer.Option(min=0, help="Requests a second of each key, or address; 0: no limit.")
    ] = 0.0,
    body: Annotated[int, typer.Option(min=1, help="Bytes of a request; more are told 413.")] = (
        1 << 20
    ),
    seconds: Annotated[float, typer.Option(min=0.1, help="For each request at most.")] = 60.0,
) -> None:
    """Answer over HTTP as OpenAI's API does; follows the channel while it runs."""
    from stillhouse.cli.releasing import known_channel
    from stillhouse.serve.door import Limits
    from stillhouse.serve.running import Asked, open_service, require_loopback
    from stillhouse.serve.running import serve as listen

    settings = load_project(project)
    require_free(host, port)
    require_loopback(host, keys)
    asked = Asked(
        tuple(students or ()),
        None if unreleased else known_channel(channel),
        settings.teacher(teacher).version if teacher else None,
        keys,
        log,
        known_channel(shadow) if shadow else None,
        Limits(body=body, rate=rate, queue=queue, seconds=seconds),
    )
    service = open_service(settings, asked)
    typer.echo(f"http://{host}:{port}/v1 answers; Ctrl-C ends it")
    listen(service, host, port)
